"""Starts a client program with one pipe to it or from it, and sees to it that nothing of it stays.

Invariant: it leads a group of its own, which ends with it; it inherits the option file and nothing else, and
its environment is that of all programs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import IO

from press_deploy.engine.bench.programs import Programs, end_group
from press_deploy.engine.ground.errors import CommandFailed


def start_client(
	command: Sequence[str],
	options: int | None,
	errors: IO[bytes],
	*,
	is_fed: bool = False,
	remedy: str = "install it",
	temporary: str | None = None,
) -> subprocess.Popen:
	"""Start it: what it writes comes from `stdout`; one that `is_fed` takes what it reads from `stdin`.

	`options` is the option file's descriptor, `errors` takes what it says, and `temporary` is the directory for its
	temporary files where it is not the usual one. Raises `CommandFailed`.
	"""
	try:
		process = subprocess.Popen(
			command,
			stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL,
			stdout=subprocess.DEVNULL if is_fed else subprocess.PIPE,
			stderr=errors,
			pass_fds=() if options is None else (options,),
			env={**Programs().environment(), **({"TMPDIR": temporary} if temporary else {})},
			start_new_session=True,
			bufsize=0,
		)
	except OSError as error:
		raise CommandFailed("Starting", command[0], error.strerror or str(error), remedy) from None
	if process.stdin:
		# So that a client that takes nothing any more can't hold us for ever.
		os.set_blocking(process.stdin.fileno(), False)
	return process


def end_client(process: subprocess.Popen) -> None:
	"""End it, with its group, if it still runs; and let go of its pipe."""
	if process.poll() is None:
		end_group(process)
		process.wait()
	close_pipe(process)


def close_pipe(process: subprocess.Popen) -> None:
	"""Let go of its pipe: one that is fed sees the end of what it reads."""
	pipe = process.stdin or process.stdout
	assert pipe
	try:
		pipe.close()
	except BrokenPipeError:
		pass
