"""The commands about backups: make one, list them, look after standby databases, list what would be lost."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from press_deploy.cli.guard import FAILED, bench_option, translate_errors
from press_deploy.cli.home import go_home, home_options
from press_deploy.engine.backup.catalogue import back_up_site, find_backups
from press_deploy.engine.backup.rungs import Proof
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standbys, list_kept
from press_deploy.engine.ground.errors import DeployError, InputError, Refused
from press_deploy.engine.ground.progress import ProgressMeter, show_size
from press_deploy.engine.journal.lock import keep_idle
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.plan.backup import Backup
from press_deploy.engine.steps.standby_of_run import had_standby, rebuild
from press_deploy.engine.steps.unread_losses import find_unread


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
			proven = Proof(entry.directory).describe()
			click.echo(f"{entry.made}  {entry.site}  {show_size(entry.bytes)}  {entry.directory}  {proven}")
		return
	entry = back_up_site(bench, site, Backup(with_files=not without_files, method=method), click.echo)
	click.echo(f"{entry.reached.title}, {show_size(entry.bytes)}: {entry.directory}")


@click.command()
@bench_option
@click.option(
	"--drop", "dropped", metavar="RUN", help="Remove what this run keeps: its standbys and quarantines."
)
@click.option(
	"--load", "loaded", metavar="RUN", help="Make the standbys of this run again, from its backups."
)
@click.option("--although-fatal", is_flag=True, help="Drop them even if the run ended Fatal.")
@translate_errors
def standby(bench_path: str, dropped: str | None, loaded: str | None, although_fatal: bool) -> None:
	"""List the standby and quarantine databases of a bench, remove those of one run, or make them again."""
	bench = Bench.open(bench_path)
	if dropped and loaded:
		raise InputError("--load", loaded, "it can't be both loaded and dropped", "name one of the two")
	if dropped:
		_drop(bench, RunDirectory.open(bench.path, dropped), although_fatal)
		return
	if loaded:
		_load(bench, RunDirectory.open(bench.path, loaded))
		return
	kept, unknown = list_kept(bench)
	for each in kept:
		size = show_size(each["bytes"])
		click.echo(
			f"{each['name']}  {each['purpose']} of run {each['run'] or 'not known'}  {size}  {each['created']}"
		)
	if unknown:
		click.echo(
			f"Not known for {', '.join(unknown)}: the database's administrator is not named.", err=True
		)
		click.echo(f"  → name it: {WHERE_NAMED}", err=True)
		sys.exit(FAILED)
	if not kept:
		click.echo("There are none.")


@click.command()
@click.argument("run")
@bench_option
@home_options
@click.option("--json", "as_json", is_flag=True, help="As JSON; what goes wrong, too.")
# Desk asks whether what somebody has read is still all; only JSON says so.
@click.option("--unless-read", metavar="SHA256", hidden=True)
@translate_errors
def losses(
	run: str, bench_path: str, installed: bool, here: bool, as_json: bool, unless_read: str | None
) -> None:
	"""List what rolling the database of RUN back would lose; its last line is what approves it."""
	bench = Bench.open(bench_path)
	directory = RunDirectory.open(bench.path, run)
	go_home(bench, directory, installed, here)
	if as_json:
		return _print_losses(bench, directory, unless_read)
	found = list_losses(bench, directory)
	for line in found["lines"]:
		click.echo(line)
	if not found["total"]:
		click.echo("Nothing would be lost.")
	for line in found["not_listed"]:
		click.echo(line)
	click.echo(bench.command_to_type("rollback", run, "--database", "--approve", found["sha256"]))


def _print_losses(bench: Bench, run: RunDirectory, unless_read: str | None) -> None:
	"""The list, or null where `unless_read` is all that has to be read; {"error": …} for what goes wrong."""
	try:
		found = (
			find_unread(bench, run, load_state(run), True, unless_read)
			if unless_read
			else list_losses(bench, run)
		)
	except DeployError as error:
		click.echo(json.dumps({"error": error.as_data()}))
		raise
	click.echo(json.dumps(found, indent=1, ensure_ascii=False))


def _drop(bench: Bench, run: RunDirectory, although_fatal: bool) -> None:
	doing = "Removing the standby of"
	with _at_rest(bench, run, doing) as state:
		if state.is_unfinished:
			raise Refused(
				doing,
				f"run {run.name}",
				f"it is not over ({state.state.value})",
				f"see what it needs: {bench.command_to_type('status', run.name)}",
			)
		if state.state is State.FATAL and not although_fatal:
			raise Refused(
				doing,
				f"run {run.name}",
				"it ended Fatal: what users wrote may be in its quarantine alone, and its rollback still needs both",
				f"complete it: {bench.command_to_type('rollback', run.name)}; if the site was mended by hand "
				f"instead, and nobody needs what is in them: {bench.command_to_type('standby', '--drop', run.name, '--although-fatal')}",
			)
		standbys = _find_all(bench, run)
		# All are asked before the first one goes.
		for site, each in standbys.items():
			if each.is_swap_under_way():
				raise Refused(
					doing,
					f"{site}, run {run.name}",
					"a swap of its databases was begun and not finished, and needs all of them",
					f"complete it: {bench.command_to_type('rollback', run.name, '--database')}",
				)
		for site, each in standbys.items():
			each.drop_standby()
			each.drop_quarantine()
			shutil.rmtree(run.private / "standby" / site, ignore_errors=True)
			click.echo(f"{site}: {Path(each.name).name} and {Path(each.quarantine).name} are gone")


def _load(bench: Bench, run: RunDirectory) -> None:
	doing = "Making again the standby of"
	with _at_rest(bench, run, doing) as state:
		for site, each in _find_all(bench, run).items():
			if not had_standby(run, state, site):
				raise Refused(
					doing,
					f"{site}, run {run.name}",
					"it had none",
					f"restore its backup by hand: {bench.command_to_type('backup', site, '--list')}",
				)
			if each.is_swap_begun():
				click.echo(f"{site}: swapped already, so there is nothing to load")
				continue
			found = rebuild(each, run, state, ProgressMeter(click.echo))
			click.echo(f"{site}: {Path(each.name).name} is loaded, {found['tables']} tables")


@contextmanager
def _at_rest(bench: Bench, run: RunDirectory, doing: str) -> Iterator[RunState]:
	"""The state of a run, while nobody is at work on the bench and no run starts. Raises `Refused` when one is."""
	with keep_idle(bench.deployments) as is_idle:
		if not is_idle:
			why, newest = f"a run is at work on {bench.path}", f"ls -t {bench.deployments}"
			raise Refused(doing, f"run {run.name}", why, f"wait until it is over; its name: {newest}")
		yield load_state(run)


def _find_all(bench: Bench, run: RunDirectory) -> dict[str, StandbyDatabase]:
	"""The standbys of a run, of those sites that can have one."""
	found = find_standbys(bench, run, run.read_plan().site_names)
	if not any(found.values()):
		raise Refused(
			"Looking for standby databases of",
			f"run {run.name}",
			"the database's administrator is not known, or its kind can't have one",
			f"name the administrator: {WHERE_NAMED}",
		)
	return {site: each for site, each in found.items() if each}


def _check_site(bench: Bench, site: str | None, *, needed: bool) -> None:
	if (site is None and needed) or (site is not None and site not in bench.sites()):
		raise InputError(
			"site", site, "there is no such site on this bench", f"use one of: {', '.join(bench.sites())}"
		)
