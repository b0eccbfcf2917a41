"""Starting runners from inside Frappe: by the helper, or detached. No run is executed in this process.

Invariant: what is started here survives the restart of the process that started it, and inherits neither
its open files nor the settings of its web server.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import frappe
from frappe import _
from frappe.utils import get_bench_path

from press_deploy.engine import execution, inputs
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import InputError, Refused
from press_deploy.engine.plan import PlanSpec
from press_deploy.engine.requests import check_approval
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.state import unfinished_runs
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.errors import HelperError, Unreachable
from press_deploy.site.records import project

REASON_LIMIT = 500
LOG = "press_deploy.runner.log"
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SSH_AUTH_SOCK")


def open_bench() -> Bench:
	"""The bench this site is on."""
	return Bench.open(get_bench_path())


def open_run(name: str) -> RunDirectory:
	"""A run of this bench. Raises `InputError` for a name that is wrong or unknown."""
	return RunDirectory.open(open_bench().path, name)


def create_run(spec: PlanSpec) -> RunDirectory:
	"""A new run of a plan, on disk and as a record, not yet started.

	Raises `Refused` while another is under way, `LockHeld` while backups are worked on.
	"""
	bench = open_bench()
	if under_way := unfinished_runs(bench.path):
		raise Refused(
			"Starting",
			f"plan {spec.title}",
			f"run {under_way[0].run} is not finished ({under_way[0].state.value})",
			"wait for it, resume it or roll it back",
		)
	run = execution.create_run(bench, spec)
	project(str(run.path))
	return run


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
			env={name: os.environ[name] for name in _INHERITED if name in os.environ},
			stdin=subprocess.DEVNULL,
			stdout=log,
			stderr=subprocess.STDOUT,
			start_new_session=True,
		)


def command_line(bench: Bench, command: str, *arguments: str) -> list[str]:
	"""The argument list of a `press-deploy` command for this bench."""
	return [bench.python, "-m", "press_deploy.cli", command, "--bench", str(Path(bench.path)), *arguments]
