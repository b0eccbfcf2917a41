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
@click.option("--database", is_flag=True, help="The database too, even if the run did not migrate it.")
@click.option("--approve", metavar="SHA256", help="You have read this list: press-deploy losses RUN.")
@pass_context
def rollback(context, run: str, reason: str, database: bool = False, approve: str | None = None):
	"""Roll a run back."""
	options = [*(["--database"] if database else []), *([f"--approve={approve}"] if approve else [])]
	_delegate(context, "rollback", run, f"--reason={reason}", *options)


@press_deploy.command("decide")
@click.argument("run")
@click.argument("decision", type=click.Choice(["go", "no-go", "abort", "approve"]))
@click.option("--reason", default="decided on the command line", help="Why; it stands in the report.")
@click.option("--list", "listed", metavar="SHA256", help="Which list of lost documents is approved.")
@pass_context
def decide(context, run: str, decision: str, reason: str, listed: str | None = None):
	"""Decide for a run that waits, or abort one at work."""
	options = [f"--list={listed}"] if listed else []
	_delegate(context, "decide", run, decision, f"--reason={reason}", *options)


@press_deploy.command("losses")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def losses(context, run: str, as_json: bool = False):
	"""List what rolling the database of RUN back would lose."""
	_delegate(context, "losses", run, *(["--json"] if as_json else []))


@press_deploy.command("backup")
@click.option("--list", "only_list", is_flag=True, help="Make none; list the backups there are.")
@click.option("--without-files", is_flag=True, help="The database and the configuration only.")
@click.option("--method", type=click.Choice(["auto", "frappe", "stream", "physical"]), default="auto")
@pass_context
def backup(context, only_list: bool = False, without_files: bool = False, method: str = "auto"):
	"""Back this site up, and see that every file is whole."""
	flags = [*(["--list"] if only_list else []), *(["--without-files"] if without_files else [])]
	_delegate(context, "backup", get_site(context), *flags, f"--method={method}")


@press_deploy.command("prove")
@click.argument("file", required=False)
@click.option("--rung", type=click.Choice(["2", "4"]), default="2", show_default=True, help="Of FILE.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def prove(context, file: str | None = None, rung: str = "2", as_json: bool = False):
	"""Prove the dump FILE (an absolute path), or, without one, restore and compare this site's newest backup."""
	from press_deploy.site.foreground import prove_file, prove_site

	if file is None:
		_exit_with(context, prove_site)
	_exit_with(context, prove_file, file, f"--rung={rung}", *(["--json"] if as_json else []))


@press_deploy.command("standby")
@click.option(
	"--drop", "run", metavar="RUN", help="Remove what this run keeps: its standbys and quarantines."
)
@pass_context
def standby(context, run: str | None = None):
	"""List the standby and quarantine databases of this bench, or remove those of one run."""
	_delegate(context, "standby", *([f"--drop={run}"] if run else []))


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
