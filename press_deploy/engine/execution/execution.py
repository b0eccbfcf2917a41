"""The doors to a run: start or resume it, roll it back, or ask for that while it is at work.

Invariant: whoever goes through holds the bench for this run alone, with its journal checked and nothing of it
left running from before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from press_deploy.engine.bench import processes
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.preview import remove_leftovers
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.execution.finishing import finish
from press_deploy.engine.execution.listening import Listener
from press_deploy.engine.execution.runner import Runner
from press_deploy.engine.ground.errors import DeployError, LockHeld, Refused
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lock import BenchLock, require_free
from press_deploy.engine.journal.requests import Action, check_approval, put_request, read_requests
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.engine.steps.announcements import tell_who_must_act
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.steps.ports import open_ports
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.unread_losses import require_read
from press_deploy.engine.steps.way_back_checks import check_way_back, refuse_pointless_rollback

RETRY_SECONDS = 1.0


def create_run(bench: Bench, spec: PlanSpec) -> RunDirectory:
	"""A new run of a plan, which has not begun. Raises `LockHeld`, and makes none, while the bench is not free."""
	require_free(bench, lambda name: _is_unfinished(bench, name))
	return RunDirectory.create(bench.path, spec)


def execute(
	bench: Bench,
	run: RunDirectory,
	listeners: Iterable[Listener] = (),
	*,
	dry_run: bool = False,
	by_shell: bool = False,
) -> State:
	"""Start the run, or resume it if its journal has begun. One process per bench at a time.

	`by_shell`: the bench's user begins it with a plan of his own, which may hold what Desk may not (see
	`allowances`). It is said by the process that has read the plan's file, and kept in the journal's first record,
	where no Desk user writes. A run that is over stays as it is. Raises `LockHeld`, `JournalDamaged`, `JournalError`, `InputError`.
	"""
	watching = list(listeners)
	with _hold(bench, run, "deployment", watching) as runner:
		state, journal = runner.opened.state, runner.opened.journal
		if state.started is None:
			facts = {"plan_sha256": runner.opened.spec.sha256, "run": run.name, "dry_run": dry_run}
			by = {"by_shell": True} if by_shell else {}
			journal.append("run-created", {**facts, **by})
		elif not state.is_unfinished:
			return _stay_over(runner, dry_run)
		elif dry_run and not state.dry_run:
			again = bench.command_to_type("run", str(run.plan), "--dry-run")
			remedy = f"start a dry run of its own: {again}"
			raise Refused("Dry-running", f"run {run.name}", "it has begun for real", remedy)
		reached = runner.run()
	return _go_on_if_asked(bench, run, watching, reached)


def roll_back(
	bench: Bench,
	run: RunDirectory,
	by: str,
	reason: str,
	listeners: Iterable[Listener] = (),
	*,
	database: bool = False,
	approves: str | None = None,
	only_if_read: bool = False,
) -> State:
	"""Roll back a run that is over (Succeeded or Fatal; Rolled Back, where the database is to follow the code), or
	that died and waits to be resumed.

	`database`: whatever the run did to it, the database goes back to the backup. `approves`: the SHA-256 of the
	list of lost documents that `by` was shown. `only_if_read`: a run that is over closes no open sites for a list
	that nobody has read yet, or that is another one by now. A run that is alive is asked by `ask_to_roll_back` instead.
	Raises as `execute`, and `Refused`.
	"""
	check_approval(approves)
	watching = list(listeners)
	with _hold(bench, run, f"rollback by {by}", watching) as runner:
		state, journal = runner.opened.state, runner.opened.journal
		if state.started is None:
			raise Refused(
				"Rolling back",
				f"run {run.name}",
				"it has not begun, so there is nothing to undo",
				f"see: {bench.command_to_type('status', run.name)}",
			)
		if state.is_unfinished:
			ask_to_roll_back(bench, run, by, reason, database=database, approves=approves)
		else:
			refuse_pointless_rollback(bench, state, database)
			check_way_back(bench, run, state, database)
			if only_if_read:
				require_read(bench, run, state, database, approves)
			cause = RollbackNeeded(f"{by}: {reason}", by=by, database=database, approves=approves)
			journal.append("rollback-started", cause.as_data())
		reached = runner.run()
	return _go_on_if_asked(bench, run, watching, reached)


def ask_to_roll_back(
	bench: Bench,
	run: RunDirectory,
	by: str,
	reason: str,
	*,
	database: bool = False,
	approves: str | None = None,
	action: Action = "rollback",
) -> None:
	"""Leave the request for a run that is not over, whoever is at work on it; arguments as in `roll_back`.

	`action`: any of `STOPS`; an abort and a NO-GO lead back as well.

	Raises `InputError`, and `Refused` where the rollback would have to stop behind closed doors.
	"""
	check_approval(approves)
	check_way_back(bench, run, load_state(run), database)
	put_request(run, action, by, reason, database=database, approves=approves)


def _go_on_if_asked(bench: Bench, run: RunDirectory, listeners: list[Listener], reached: State) -> State:
	"""Whoever answered while the runner was leaving found it alive and started none, so that this one goes on."""
	while reached is State.WAITING and read_requests(run, load_state(run).taken_requests):
		try:
			with _hold(bench, run, "deployment", listeners) as runner:
				reached = runner.run() if runner.state.is_unfinished else runner.state.state
		except LockHeld:
			# By another runner, which takes the request, or by work on backups, which ends.
			time.sleep(RETRY_SECONDS)
	return reached


@contextmanager
def _hold(bench: Bench, run: RunDirectory, reason: str, listeners: list[Listener]) -> Iterator[Runner]:
	"""The runner of a run, with the bench locked for it, its journal open and checked, and nothing of it left running."""
	spec = run.read_plan()
	with BenchLock(bench.deployments, run.name, reason, lambda name: _is_unfinished(bench, name)) as lock:
		journal, state = Journal(run.journal), RunState(run.name)
		try:
			for record in journal.records:
				state.follow(record)
			if state.started:
				run.check_plan(spec, state.plan_sha256)
				processes.end_processes_of(run.name)
				remove_leftovers(run.path)
			opened = Run(bench, run, spec, journal, state, Programs(run.name))
			runner = Runner(opened, open_ports(opened), listeners)
			opened.on_progress, journal.on_append = runner.tell_progress, runner.tell_record
			yield runner
		finally:
			journal.close()
			# Also when it was refused: a run that has not begun, or is over, leaves no owner behind.
			if state.started is None or not state.is_unfinished:
				lock.forget()


def _stay_over(runner: Runner, dry_run: bool) -> State:
	"""What to say of a run that is over: how it ended. What its runner could not finish is finished."""
	run, ports = runner.opened, runner.ports
	if run.state.state is State.CHECKED and not dry_run:
		again = run.bench.command_to_type("run", str(run.directory.plan))
		raise Refused(
			"Resuming",
			f"run {run.name}",
			"it was a dry run, and it is over",
			f"start the plan: {again}",
		)
	ports.doors.release_lease()
	tell_who_must_act(run, ports.site_processes)
	if not run.directory.report_html.exists():
		finish(run, ports)
	return run.state.state


def _is_unfinished(bench: Bench, name: str) -> bool:
	try:
		return load_state(RunDirectory.open(bench.path, name)).is_unfinished
	except DeployError:
		# A run that can't be read can't be shown to be over.
		return (bench.deployments / name).is_dir()
