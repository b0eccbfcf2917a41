"""The commands that execute a run, or answer one: run, resume, rollback, decide."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from press_deploy.cli.guard import FAILED, bench_option, translate_errors
from press_deploy.cli.home import go_home, home_options
from press_deploy.cli.terminal import TerminalListener, open_console, show_summary, what_now
from press_deploy.engine.bench.allowances import is_own_file
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import ask_to_roll_back, create_run, execute, roll_back
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.ground.users import name_user
from press_deploy.engine.homes.home import running_home
from press_deploy.engine.journal.answers import check_answer
from press_deploy.engine.journal.lock import is_alive
from press_deploy.engine.journal.requests import STOPS, put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import EXIT_CODES, UNCHANGED, UNFINISHED, State, load_state
from press_deploy.engine.plan.spec import PLAN_SIZE_LIMIT, parse_plan
from press_deploy.engine.report.summary import summarise


@click.command()
@click.argument("plan", type=click.Path(exists=True, dir_okay=False))
@bench_option
@home_options
@click.option("--dry-run", is_flag=True, help="Only look: stop after preflight, change nothing.")
@translate_errors
def run(plan: str, bench_path: str, installed: bool, here: bool, dry_run: bool) -> None:
	"""Start a run from the plan spec in the JSON file PLAN.

	It may hold what Desk has to be allowed (console tests, for instance), unless the file is that of an earlier run.
	"""
	bench = Bench.open(bench_path)
	go_home(bench, None, installed, here)
	with Path(plan).open("rb") as file:
		spec = parse_plan(file.read(PLAN_SIZE_LIMIT + 1))
	by_shell = is_own_file(bench, Path(plan))
	_finish(bench, create_run(bench, spec), dry_run=dry_run, by_shell=by_shell)


@click.command()
@click.argument("run")
@bench_option
@home_options
@click.option("--dry-run", is_flag=True, help="Only look: stop after preflight, change nothing.")
@translate_errors
def resume(run: str, bench_path: str, installed: bool, here: bool, dry_run: bool) -> None:
	"""Start a run that was only planned, or go on with one that stopped half-way."""
	bench = Bench.open(bench_path)
	directory = RunDirectory.open(bench.path, run)
	go_home(bench, directory, installed, here)
	was_over = not load_state(directory).is_unfinished
	# What the runner of a run that is over could not finish, as its report, is finished all the same.
	state = _execute(
		bench, directory, partial(execute, bench, directory, [TerminalListener()], dry_run=dry_run)
	)
	if was_over:
		click.echo(_say_over(bench, directory, state), err=True)
	sys.exit(_exit_code(state))


@click.command()
@click.argument("run")
@bench_option
@home_options
@click.option("--by", metavar="NAME", help="For whom you ask; it stands beside your user name.")
@click.option("--reason", default="asked for on the command line", help="Why; it stands in the report.")
@click.option("--database", is_flag=True, help="The database too, even if the run did not migrate it.")
@click.option(
	"--approve",
	metavar="SHA256|later",
	help="SHA256: you have read this list: press-deploy losses RUN. later: where people write all the time, close "
	"the sites first; the run then waits, closed, for: press-deploy decide RUN approve --list SHA256.",
)
# Desk has compared the list itself, where a person could read the refusal.
@click.option("--compared", is_flag=True, hidden=True)
@translate_errors
def rollback(
	run: str,
	bench_path: str,
	installed: bool,
	here: bool,
	by: str | None,
	reason: str,
	database: bool,
	approve: str | None,
	compared: bool,
) -> None:
	"""Roll a run back: one at work, waiting, dead, or over.

	The sites of a run that is over are closed only when you have read what their databases would lose.
	"""
	approve, reads_later = (None, True) if approve == "later" else (approve, compared)
	bench, by = Bench.open(bench_path), _name_asker(by)
	directory = RunDirectory.open(bench.path, run)
	go_home(bench, directory, installed, here)
	if load_state(directory).is_unfinished and is_alive(bench.deployments):
		ask_to_roll_back(bench, directory, by, reason, database=database, approves=approve)
		click.echo(
			f"The runner at work was asked to roll back; watch it: {bench.command_to_type('status', run)}"
		)
		return
	asked = {"database": database, "approves": approve, "only_if_read": not reads_later}
	state = _execute(
		bench, directory, lambda: roll_back(bench, directory, by, reason, [TerminalListener()], **asked)
	)
	# It was given up: the release is live, which is not what was asked for.
	sys.exit(FAILED if state is State.SUCCEEDED else _exit_code(state))


@click.command()
@click.argument("run")
@click.argument("decision", type=click.Choice(["go", "no-go", "abort", "approve"]))
@bench_option
@home_options
@click.option("--by", metavar="NAME", help="For whom you decide; it stands beside your user name.")
@click.option("--reason", default="decided on the command line", help="Why; it stands in the report.")
@click.option("--list", "listed", metavar="SHA256", help="Which list of lost documents is approved.")
@translate_errors
def decide(
	run: str,
	decision: str,
	bench_path: str,
	installed: bool,
	here: bool,
	by: str | None,
	reason: str,
	listed: str | None,
) -> None:
	"""Decide for a run that waits, or abort one at work."""
	if (decision == "approve") != (listed is not None):
		raise click.UsageError(
			"approve goes with --list SHA256, which stands below the list, and only approve"
		)
	bench, by = Bench.open(bench_path), _name_asker(by)
	directory = RunDirectory.open(bench.path, run)
	go_home(bench, directory, installed, here)
	state = load_state(directory)
	if not state.is_unfinished:
		raise Refused(
			"Deciding for", f"run {run}", "it is over", f"see: {bench.command_to_type('status', run)}"
		)
	if decision != "abort":
		check_answer(bench, state, decision, listed)
	if decision in STOPS:
		ask_to_roll_back(bench, directory, by, reason, action=decision)
	else:
		put_request(directory, decision, by, reason, approves=listed)
	if is_alive(bench.deployments):
		click.echo(f"The runner at work was told; watch it: {bench.command_to_type('status', run)}")
		return
	_finish(bench, directory)


def _name_asker(named: str | None) -> str:
	"""The user of this process, whom nobody can make up, and beside it the name that was given."""
	user = name_user(os.getuid())
	return f"{user} (for {named})" if named and named != user else user


def _say_over(bench: Bench, directory: RunDirectory, state: State) -> str:
	"""Why nothing was resumed, and what to do instead."""
	over = f"Nothing was resumed: this run is over ({state.value})"
	if state not in (*UNCHANGED, State.ROLLED_BACK):
		return f"{over}."
	dry_run = ["--dry-run"] if load_state(directory).dry_run else []
	again = bench.command_to_type("run", str(directory.plan), *dry_run)
	if state is State.CHECKED:
		return f"{over}\n  → look once more: {again}"
	return f"{over}\n  → mend the cause, then start the plan again: {again}"


def _finish(bench: Bench, directory: RunDirectory, *, dry_run: bool = False, by_shell: bool = False) -> None:
	how = {"dry_run": dry_run, "by_shell": by_shell}
	work = partial(execute, bench, directory, [TerminalListener()], **how)
	sys.exit(_exit_code(_execute(bench, directory, work)))


def _execute(bench: Bench, directory: RunDirectory, work: Callable[[], State]) -> State:
	was_over = not load_state(directory).is_unfinished
	try:
		with _awake(bench):
			state = work()
	except KeyboardInterrupt:
		click.echo("\nInterrupted. What was under way stands as follows:")
		_show(bench, directory)
		sys.exit(FAILED)
	if state in UNFINISHED or was_over:
		_show(bench, directory)
		return state
	for line in what_now(summarise(bench, directory)) if state in UNCHANGED else ():
		click.echo(line)
	click.echo(f"report: {directory.report_html}")
	return state


@contextmanager
def _awake(bench: Bench) -> Iterator[None]:
	"""A practice bench sleeps between two commands; any other is left alone, and the demo is not imported."""
	if running_home() or not bench.is_for_practice:
		yield
		return
	from press_deploy.demo.command import awake

	with awake(bench.path):
		yield


def _show(bench: Bench, directory: RunDirectory) -> None:
	show_summary(open_console(), summarise(bench, directory))


def _exit_code(state: State) -> int:
	return EXIT_CODES.get(state, FAILED)
