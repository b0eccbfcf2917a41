"""What all commands share: where the bench is, and how an error of ours ends.

Invariant: an error that is meant for people is shown as it is, without a traceback, and the exit code is that
of its kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from press_deploy.engine.ground.errors import DeployError, InputError, LockHeld, Refused
from press_deploy.engine.homes.home import running_home

FAILED, BAD_USAGE = 1, 2


def find_own_bench() -> str:
	"""The bench that this program is installed on; else the present directory."""
	# In a home, the interpreter is the system's.
	home = running_home()
	bench = home.path.parents[2] if home else Path(sys.prefix).parent
	return str(bench) if (bench / "apps").is_dir() and (bench / "sites").is_dir() else "."


bench_option = click.option(
	"--bench",
	"bench_path",
	default=find_own_bench,
	show_default="the one this program is installed on, else this directory",
	help="The bench's directory.",
)


def translate_errors(command: Callable[..., Any]) -> Callable[..., Any]:
	"""Print an error of ours as what it says, and exit with the code of its kind."""

	@wraps(command)
	def guarded(*arguments: Any, **options: Any) -> Any:
		try:
			return command(*arguments, **options)
		except DeployError as error:
			click.echo(str(error), err=True)
			sys.exit(BAD_USAGE if isinstance(error, InputError | Refused | LockHeld) else FAILED)
		except OSError as error:
			what = error.filename or "a file"
			click.echo(f"Reading or writing {what}: {error.strerror or error}", err=True)
			click.echo("  → run this as the user the bench belongs to; see its rights and its disk", err=True)
			sys.exit(FAILED)

	return guarded
