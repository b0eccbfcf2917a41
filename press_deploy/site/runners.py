"""Runs as a site sees them, and starting their runners: by the helper, or detached. No run is executed here.

Invariant: a run belongs to the site that controls it, and to the shell user; any other site of the bench is told the
same of it as of a run that does not exist. What is started here survives the restart of the process that started it,
and inherits neither its open files nor the settings of its web server.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import frappe
from frappe import _
from frappe.utils import get_bench_path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution import execution
from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import (
	DeployError,
	InputError,
	LockHeld,
	Refused,
	StepFailed,
	from_data,
)
from press_deploy.engine.journal.lock import read_owner
from press_deploy.engine.journal.requests import check_approval
from press_deploy.engine.journal.run_directory import DEPLOYMENTS, RunDirectory
from press_deploy.engine.journal.state import RunState, unfinished_runs
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.errors import HelperError, Unreachable
from press_deploy.site.allowances import refuse_forbidden
from press_deploy.site.records import project

REASON_LIMIT = 500
LOG = "press_deploy.runner.log"
# Which one, is for whoever has a shell on the bench.
BUSY = "the bench is busy with a run of another site"
WAIT = "wait until it is over, then try again"
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SSH_AUTH_SOCK")


def open_bench() -> Bench:
	"""The bench this site is on."""
	return Bench.open(get_bench_path())


def open_run(name: str) -> RunDirectory:
	"""A run of this site. Raises `InputError` for a name that is wrong, unknown, or of another site's run."""
	try:
		inputs.run_name(name)
	except ValueError as error:
		why, _sep, remedy = str(error).partition("; ")
		raise InputError("run", name, why, remedy) from None
	run = RunDirectory(open_bench().path / DEPLOYMENTS / name)
	if not belongs_here(run):
		raise InputError(
			"run", name, "this site has no such run", "see the list of Deployment Runs: /app/deployment-run"
		)
	return run


def belongs_here(run: RunDirectory) -> bool:
	"""Whether this site controls a run. Of one that is not there, or can't be read, nobody can say so."""
	try:
		return run.read_plan().control_site == frappe.local.site
	except (DeployError, OSError):
		return False


def create_run(spec: PlanSpec, dry_run: bool = False) -> RunDirectory:
	"""A new run of a plan, on disk and as a record, not yet started.

	Raises `InputError` for what the shell user has not allowed; `Refused` while another is under way, `LockHeld`
	while backups are worked on, and neither names a run of another site.
	"""
	bench = open_bench()
	if not dry_run:
		refuse_forbidden(bench, spec)
	if under_way := unfinished_runs(bench.path):
		raise _refuse_second(bench, spec, under_way[0])
	try:
		run = execution.create_run(bench, spec)
	except LockHeld:
		owner = read_owner(bench.deployments)
		if owner and not belongs_here(RunDirectory(bench.deployments / owner.run)):
			raise LockHeld("Locking", "the bench", BUSY, WAIT) from None
		raise
	project(str(run.path))
	return run


def _refuse_second(bench: Bench, spec: PlanSpec, under_way: RunState) -> Refused:
	doing, what = "Starting", f"plan {spec.title}"
	if not belongs_here(RunDirectory(bench.deployments / under_way.run)):
		return Refused(doing, what, BUSY, WAIT)
	found = f"run {under_way.run} is not finished ({under_way.state.value})"
	command = bench.command_to_type
	remedy = f"see what it needs: {command('status', under_way.run)}; then wait for it, resume it ({command('resume', under_way.run)}) or roll it back ({command('rollback', under_way.run)})"
	return Refused(doing, what, found, remedy)


def start(run: RunDirectory, dry_run: bool = False) -> None:
	"""Let a runner start this run, or go on with it."""
	if dry_run:
		# A dry run changes nothing, so it needs nobody who is allowed to.
		return launch_detached("resume", run.name, "--dry-run")
	path = get_bench_path()
	try:
		HelperClient(find_socket(path), find_bench_name(path)).start_runner(run.name)
	except Unreachable:
		launch_detached("resume", run.name)
	except HelperError as error:
		frappe.throw(_("The helper did not start run {0}: {1}").format(run.name, error))


def start_rollback(
	run: RunDirectory,
	by: str,
	reason: str,
	*,
	database: bool = False,
	approves: str | None = None,
	compared: bool = False,
) -> None:
	"""Roll back a run that is over; `approves` is the SHA-256 of a list of losses.

	`compared`: it was just made again, so that the process of its own, whose log nobody reads, need not.

	Raises `InputError` for a reason that is not one line of text, or a hash that is none.
	"""
	check_approval(approves)
	check_words(by=by, reason=reason)
	options = [
		*(["--database"] if database else []),
		*([f"--approve={approves}"] if approves else []),
		*(["--compared"] if compared else []),
	]
	launch_detached("rollback", run.name, f"--by={by}", f"--reason={reason}", *options)


def read_losses(run: RunDirectory, unless_read: str | None = None) -> dict[str, Any] | None:
	"""What rolling back the database of a run would lose, as the home of the run tells it; see `describe_all`.

	With `unless_read`, the SHA-256 of a list that somebody has read: None where nothing else has to be read.
	Raises `Refused` and `StepFailed`, as the home does.
	"""
	options = [f"--unless-read={unless_read}"] if unless_read else []
	ended = subprocess.run(
		command_line(open_bench(), "losses", run.name, "--json", *options),
		cwd="/",
		env=_environment(),
		stdin=subprocess.DEVNULL,
		capture_output=True,
		text=True,
	)
	try:
		found = json.loads(ended.stdout)
	except ValueError:
		why = ended.stderr.strip() or f"exit status {ended.returncode}"
		remedy = open_bench().command_to_type("losses", run.name)
		raise StepFailed(
			"Listing the losses of", f"run {run.name}", why, f"see it in a shell: {remedy}"
		) from None
	if found and "error" in found:
		raise from_data(found["error"])
	return found


def check_words(**words: str) -> None:
	"""Raise `InputError` unless each is one line of text."""
	for field, value in words.items():
		try:
			inputs.line(value, limit=REASON_LIMIT)
		except ValueError as error:
			why, _sep, remedy = str(error).partition("; ")
			raise InputError(field, value, why, remedy) from None


def launch_detached(*arguments: str) -> None:
	"""Start `press-deploy ARGUMENTS --bench …` in a session of its own; its output goes to a log of the bench."""
	bench = open_bench()
	with (bench.logs / LOG).open("ab") as log:
		subprocess.Popen(
			command_line(bench, *arguments),
			cwd="/",
			env=_environment(),
			stdin=subprocess.DEVNULL,
			stdout=log,
			stderr=subprocess.STDOUT,
			start_new_session=True,
		)


def _environment() -> dict[str, str]:
	return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def command_line(bench: Bench, command: str, *arguments: str) -> list[str]:
	"""The argument list of a `press-deploy` command for this bench."""
	return [bench.python, "-m", "press_deploy.cli", command, "--bench", str(Path(bench.path)), *arguments]
