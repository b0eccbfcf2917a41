"""`bench --site SITE press-deploy …`: the same commands as `press-deploy`, for a plan of a site."""

import sys

import click
import frappe
from frappe.commands import get_site, pass_context

from press_deploy.cli.main import COMMANDS

# With whatever arguments and options `press-deploy` gives them.
PASSED_ON_COMMANDS = (
	"status",
	"resume",
	"rollback",
	"decide",
	"losses",
	"backup-key",
	"backup-config",
	"standby",
	"report",
	"errors",
)
# These know no bench.
WITHOUT_BENCH = ("judge",)
PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group("press-deploy")
def press_deploy():
	"""Deploy approved plans of this site."""


@press_deploy.command("run")
@click.argument("plan", required=False)
@click.option("--dry-run", is_flag=True, help="Only look: stop after preflight, change nothing.")
@pass_context
def run(context, plan: str | None = None, dry_run: bool = False):
	"""Execute PLAN, or the only approved plan, in the foreground."""
	from press_deploy.site.foreground import run_plan

	_exit_with(context, run_plan, plan, dry_run)


@press_deploy.command("backup", context_settings=PASSED_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@pass_context
def backup(context, options: tuple[str, ...] = ()):
	"""Back this site up, and see that every file is whole."""
	_delegate(context, "backup", get_site(context), *options)


@press_deploy.command("prove", context_settings=PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_context
def prove(context, arguments: tuple[str, ...] = ()):
	"""Prove the dump FILE (an absolute path), or, without one, restore and compare this site's newest backup."""
	from press_deploy.site.foreground import prove_site

	if not arguments:
		_exit_with(context, prove_site)
	_delegate(context, "prove", *arguments, knows_bench=False)


def _pass_on(name: str, said: str) -> None:
	"""Add the command of this name."""

	@press_deploy.command(name, help=said, context_settings=PASSED_ON, add_help_option=False)
	@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
	@pass_context
	def passed_on(context, arguments: tuple[str, ...] = ()):
		_delegate(context, name, *arguments, knows_bench=name not in WITHOUT_BENCH)


for _name in (*PASSED_ON_COMMANDS, *WITHOUT_BENCH):
	_pass_on(_name, COMMANDS[_name][1])


def _delegate(context, command: str, *arguments: str, knows_bench: bool = True) -> None:
	from press_deploy.site.foreground import run_command, run_without_bench

	_exit_with(context, run_command if knows_bench else run_without_bench, command, *arguments, connect=False)


def _exit_with(context, function, *arguments, connect: bool = True) -> None:
	"""`connect` to the site's database, or not: it may be gone when these commands are needed most."""
	frappe.init(get_site(context))
	if connect:
		frappe.connect()
	try:
		code = function(*arguments)
	finally:
		frappe.destroy()
	sys.exit(code)


commands = [press_deploy]
