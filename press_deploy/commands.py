"""`bench --site SITE press-deploy …`: the same commands as `press-deploy`, for a plan of a site."""

import sys

import click
import frappe
from frappe.commands import get_site, pass_context


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


@press_deploy.command("status")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def status(context, run: str, as_json: bool = False):
	"""Show how a run is doing, or how it ended."""
	_delegate(context, "status", run, *(["--json"] if as_json else []))


@press_deploy.command("resume")
@click.argument("run")
@pass_context
def resume(context, run: str):
	"""Go on with a run that stopped half-way."""
	_delegate(context, "resume", run)


@press_deploy.command("rollback")
@click.argument("run")
@click.option("--reason", default="asked for on the command line", help="Why; it stands in the report.")
@pass_context
def rollback(context, run: str, reason: str):
	"""Roll a run back."""
	_delegate(context, "rollback", run, f"--reason={reason}")


@press_deploy.command("report")
@click.argument("run")
@pass_context
def report(context, run: str):
	"""Write the report of a run again, and print where it is."""
	_delegate(context, "report", run)


def _delegate(context, command: str, *arguments: str) -> None:
	from press_deploy.site.foreground import run_command

	_exit_with(context, run_command, command, *arguments)


def _exit_with(context, function, *arguments) -> None:
	frappe.init(get_site(context))
	frappe.connect()
	try:
		code = function(*arguments)
	finally:
		frappe.destroy()
	sys.exit(code)


commands = [press_deploy]
