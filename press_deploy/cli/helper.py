"""`press-deploy helper`: install, remove, ask or start the privileged helper."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from press_deploy.cli.guard import bench_option
from press_deploy.helper import __main__ as daemon
from press_deploy.helper.administration import confirm
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.configuration import ROLES
from press_deploy.helper.discovery import discover
from press_deploy.helper.errors import HelperError
from press_deploy.helper.install import install as install_helper
from press_deploy.helper.install import uninstall as uninstall_helper
from press_deploy.helper.practice import write_practice_configuration
from press_deploy.helper.registration import Wishes


def translate_errors(command: Callable[..., Any]) -> Callable[..., Any]:
	"""Print the helper's error, and exit with 1."""

	@wraps(command)
	def guarded(*arguments: Any, **options: Any) -> Any:
		try:
			return command(*arguments, **options)
		except HelperError as error:
			click.echo(str(error), err=True)
			sys.exit(1)

	return guarded


@click.group()
def helper() -> None:
	"""The small privileged daemon that holds maintenance mode and restarts services."""


@helper.command()
@bench_option
@click.option("--name", help="What the helper calls the bench, where another one of that name is installed.")
@click.option("--supervisor-socket", help="Where supervisord listens, if not in a usual place.")
@click.option("--username", help="For supervisord, if it asks for one.")
@click.option("--ask-password", is_flag=True, help="Ask for supervisord's password.")
@click.option(
	"--program",
	"programs",
	multiple=True,
	metavar="ROLE=NAME",
	callback=lambda context, option, value: sort_programs(value),
	help="A service, where none is found: web=, realtime= or workers=, then the name that supervisorctl status or "
	"systemctl shows. Repeat it for each; then nothing else is looked for.",
)
@click.option("--yes", is_flag=True, help="Services that are not called as usual are right; ask nothing.")
@translate_errors
def install(
	bench_path: str,
	name: str | None,
	supervisor_socket: str | None,
	username: str | None,
	ask_password: bool,
	programs: dict[str, list[str]] | None,
	yes: bool,
) -> None:
	"""Install the helper for a bench, or bring it up to date. Needs root; safe to repeat."""
	password = click.prompt("supervisord's password", hide_input=True) if ask_password else None
	wishes = Wishes(supervisor_socket, username, password, programs)
	lines = install_helper(bench_path, name=name, wishes=wishes, confirm=lambda lines: yes or confirm(lines))
	click.echo("\n".join(lines))


def sort_programs(given: tuple[str, ...]) -> dict[str, list[str]] | None:
	"""Return the names by role, None without any. Raises `click.BadParameter`."""
	programs: dict[str, list[str]] = {}
	for each in given:
		role, _, program = each.partition("=")
		if role not in ROLES or not program:
			raise click.BadParameter(f"{each!r}: write ROLE=NAME, where ROLE is one of {', '.join(ROLES)}")
		programs.setdefault(role, []).append(program)
	if given and "web" not in programs:
		raise click.BadParameter("name the web server, too: --program web=NAME")
	return programs or None


@helper.command()
@bench_option
@click.option("--force", is_flag=True, help="Even while it holds a site in maintenance.")
@translate_errors
def uninstall(bench_path: str, force: bool) -> None:
	"""Remove a bench from the helper, and the helper with its last bench. Needs root."""
	click.echo("\n".join(uninstall_helper(bench_path, force=force)))


@helper.command()
@bench_option
@translate_errors
def status(bench_path: str) -> None:
	"""Ask the helper how services and leases are, as JSON."""
	client = HelperClient(find_socket(bench_path), find_bench_name(bench_path))
	click.echo(json.dumps(client.status(), indent=1))


@helper.command()
@bench_option
@click.option("--supervisor-socket", help="Where supervisord listens, if not in a usual place.")
@translate_errors
def serve(bench_path: str, supervisor_socket: str | None) -> None:
	"""Serve by hand, without installing, where supervisord runs as the same user."""
	path = str(Path(bench_path).resolve())
	configuration = write_practice_configuration(path, discover(path, supervisor_socket))
	click.echo(f"serving {path}; stop with Ctrl-C")
	sys.exit(daemon.main(["--config", configuration]))
