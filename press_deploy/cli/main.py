"""The commands of `press-deploy`, by name.

Invariant: what a command needs is imported when that command is called. Some need half of this app, and others are
asked every few seconds.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from press_deploy import __version__

# Name → the module that has it, and the first sentence of its help.
COMMANDS = {
	"backup": ("backups", "Back SITE up, and see that every file is whole."),
	"backup-config": (
		"backup_key",
		"Print the configuration of a site that is in a backup, FILE, with its passwords in clear.",
	),
	"backup-key": (
		"backup_key",
		"Copy the key that opens the configurations in this bench's backups to the new FILE.",
	),
	"decide": ("running", "Decide for a run that waits, or abort one at work."),
	"demo": ("demo", "Deploy on a practice bench of real parts: git, supervisor, gunicorn, SQLite."),
	"errors": (
		"errors",
		"List what FILES say went wrong, the same thing once, by its fingerprint; what is held against a release first.",
	),
	"helper": ("helper", "The small privileged daemon that holds maintenance mode and restarts services."),
	"judge": (
		"judge",
		"Say how often releases of a known kind are rolled back by given limits, and after how long.",
	),
	"losses": (
		"backups",
		"List what rolling the database of RUN back would lose; its last line is what approves it.",
	),
	"prove": (
		"prove",
		"Prove the dump FILE (.sql, .sql.gz, .sql.zst, SQLite), and say how far it can be trusted.",
	),
	"report": ("report", "Write the report of a run again, and print where it is."),
	"resume": ("running", "Start a run that was only planned, or go on with one that stopped half-way."),
	"rollback": ("running", "Roll a run back: one at work, waiting, dead, or over."),
	"run": ("running", "Start a run from the plan spec in the JSON file PLAN."),
	"standby": (
		"backups",
		"List the standby and quarantine databases of a bench, remove those of one run, or make them again.",
	),
	"status": ("status", "Show how a run is doing, or how it ended."),
}


# Where the context of a command keeps what was typed, for whoever does it elsewhere.
ARGUMENTS = "press_deploy.arguments"


class Commands(click.Group):
	"""Knows what there is without importing it."""

	def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
		ctx.meta[ARGUMENTS] = list(args)
		return super().parse_args(ctx, args)

	def list_commands(self, ctx: click.Context) -> list[str]:
		return sorted(COMMANDS)

	def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
		if cmd_name not in COMMANDS:
			return None
		try:
			module = import_module(f"press_deploy.cli.{COMMANDS[cmd_name][0]}")
		except ImportError as error:
			_go_on_at_home(ctx.meta[ARGUMENTS], error)
		return getattr(module, cmd_name.replace("-", "_"))

	def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
		with formatter.section("Commands"):
			formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _go_on_at_home(typed: list[str], error: ImportError) -> NoReturn:
	"""The environment can't import its own `press-deploy`: a run's home can, if it is a run that this is about."""
	bench = Path(sys.prefix).parent
	if "--bench" in typed[:-1]:
		bench = Path(typed[typed.index("--bench") + 1])
	for word in typed:
		home = bench / "deployments" / word / "press-deploy"
		if os.path.isfile(home) and sys.flags.no_site == 0:
			click.echo(f"The environment can't do this ({error}); going on with {home}", err=True)
			os.execv(home, [str(home), *typed])
	click.echo(f"Starting press-deploy in {sys.prefix}: {error}", err=True)
	click.echo(
		f"  → install what it asks for: {sys.executable} -m pip install -e {bench}/apps/press_deploy",
		err=True,
	)
	sys.exit(1)


@click.group(cls=Commands)
@click.version_option(__version__)
def main() -> None:
	"""Deploys releases to a Frappe bench: back up, switch, validate, open, monitor, roll back."""
	for stream in (sys.stdout, sys.stderr):
		# A terminal that can't show a character shows another one.
		if hasattr(stream, "reconfigure"):
			stream.reconfigure(errors="replace")
