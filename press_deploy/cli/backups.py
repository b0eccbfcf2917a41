"""The commands about backups: make one, list them, look after standby databases, list what would be lost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from press_deploy.cli.guard import bench_option, translate_errors
from press_deploy.engine.backup.catalogue import back_up_site, find_backups
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import InputError, Refused
from press_deploy.engine.losses.of_run import list_losses
from press_deploy.engine.mariadb.administrator import find_administrator
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.progress import show_size
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.standby import list_databases
from press_deploy.engine.standby.finding import find_standby
from press_deploy.engine.state import load_state


@click.command()
@click.argument("site", required=False)
@bench_option
@click.option("--list", "only_list", is_flag=True, help="Make none; list the backups there are.")
@click.option("--without-files", is_flag=True, help="The database and the configuration only.")
@click.option("--method", type=click.Choice(["auto", "frappe", "stream", "physical"]), default="auto")
@translate_errors
def backup(site: str | None, bench_path: str, only_list: bool, without_files: bool, method: str) -> None:
	"""Back SITE up, and see that every file is whole."""
	bench = Bench.open(bench_path)
	_check_site(bench, site, needed=not only_list)
	if only_list:
		for entry in find_backups(bench, site):
			rung = f"rung {entry.reached:d} ({entry.reached.words})"
			click.echo(f"{entry.made}  {entry.site}  {rung}  {show_size(entry.bytes)}  {entry.directory}")
		return
	entry = back_up_site(bench, site, Backup(with_files=not without_files, method=method), click.echo)
	click.echo(f"rung {entry.reached:d} ({entry.reached.words}), {show_size(entry.bytes)}: {entry.directory}")


@click.command()
@bench_option
@click.option(
	"--drop", "run", metavar="RUN", help="Remove what this run keeps: its standbys and quarantines."
)
@translate_errors
def standby(bench_path: str, run: str | None) -> None:
	"""List the standby and quarantine databases of a bench, or remove those of one run."""
	bench = Bench.open(bench_path)
	if run:
		_drop(bench, RunDirectory.open(bench.path, run))
		return
	kept = []
	for config in {json.dumps(bench.read_config(site), sort_keys=True) for site in bench.sites()}:
		administrator = find_administrator(json.loads(config))
		kept += [each for each in list_databases(bench, administrator) if each not in kept]
	for each in kept:
		size = show_size(each["bytes"])
		click.echo(
			f"{each['name']}  {each['purpose']} of run {each['run'] or 'not known'}  {size}  {each['created']}"
		)
	if not kept:
		click.echo("There are none.")


@click.command()
@click.argument("run")
@bench_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@translate_errors
def losses(run: str, bench_path: str, as_json: bool) -> None:
	"""List what rolling the database of RUN back would lose; its last line is what approves it."""
	bench = Bench.open(bench_path)
	found = list_losses(bench, RunDirectory.open(bench.path, run))
	if as_json:
		click.echo(json.dumps(found, indent=1, ensure_ascii=False))
		return
	for line in found["lines"]:
		click.echo(line)
	if not found["total"]:
		click.echo("Nothing would be lost.")
	click.echo(f"press-deploy rollback {run} --bench {bench.path} --database --approve {found['sha256']}")


def _drop(bench: Bench, run: RunDirectory) -> None:
	state = load_state(run)
	if state.is_unfinished:
		raise Refused("Removing the standby of", f"run {run.name}", "it is not over", "wait until it is")
	for site in run.read_plan().site_names:
		found = find_standby(bench, site, run.name, run.private / "standby" / site)
		if found:
			found.drop_standby()
			found.drop_quarantine()
			click.echo(f"{site}: {found.name} and {Path(found.quarantine).name} are gone")


def _check_site(bench: Bench, site: str | None, *, needed: bool) -> None:
	if (site is None and needed) or (site is not None and site not in bench.sites()):
		raise InputError(
			"site", site, "there is no such site on this bench", f"use one of: {', '.join(bench.sites())}"
		)
