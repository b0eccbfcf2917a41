"""Background jobs and scheduler entry points. Each is a door to a function in `press_deploy.site`."""

from __future__ import annotations

import json
import time
from typing import Any

import frappe
from frappe import _

from press_deploy.engine.backup import catalogue
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import ask_to_roll_back
from press_deploy.engine.execution.retention import tidy
from press_deploy.engine.journal.lock import is_alive
from press_deploy.engine.journal.requests import read_requests
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State, load_state, unfinished_runs
from press_deploy.engine.report.summary import is_owned_by
from press_deploy.engine.steps.unread_losses import refuse_unread
from press_deploy.site import follow_up, runners
from press_deploy.site.background import begin, working
from press_deploy.site.backup_records import project_backups
from press_deploy.site.critical_tests import run_tests
from press_deploy.site.notifications import find_people, notify
from press_deploy.site.projection import to_site_time
from press_deploy.site.proofs import close_lost_proof, note_begun, prove_newest
from press_deploy.site.records import find_follow_up_days, project_all


def resume_orphaned_runs() -> None:
	"""Every few minutes: a run whose runner died goes on. On each site of the bench; the lock admits one.

	Those of other sites too: a site that is closed by its run has no scheduler that could resume it.
	"""
	bench = runners.open_bench()
	if is_alive(bench.deployments):
		return
	for state in unfinished_runs(bench.path):
		run = RunDirectory.open(bench.path, state.run)
		if _is_orphan(run, state):
			try:
				runners.start(run, dry_run=state.dry_run)
			except frappe.ValidationError as error:
				if runners.belongs_here(run):
					raise
				# The people of this site read its Error Log; the bench's logs are the shell user's.
				frappe.clear_messages()
				frappe.logger("press_deploy").warning(f"{run.name} could not be resumed: {error}")
			return


def repair_records() -> None:
	"""Every few minutes: records follow the journals again, whatever happened to either."""
	bench = runners.open_bench()
	try:
		for run, why in project_all(str(bench.path))["failed"].items():
			frappe.logger("press_deploy").warning(f"{run} could not be projected: {why}")
	finally:
		project_backups(bench)


def follow_up_runs() -> None:
	"""Daily: one figure for every run that is followed up."""
	follow_up.sample_open_follow_ups()


def tidy_backups() -> None:
	"""Daily: backups and replaced databases that are over their time go; never the last proven one."""
	followed_up = frappe.get_all("Deployment Run", {"follow_up_status": "Open"}, pluck="name")
	bench, logger = runners.open_bench(), frappe.logger("press_deploy")
	days = find_follow_up_days()
	tidy(bench, frappe.local.site, followed_up, say=logger.info, follow_up_days=days)
	project_backups(bench)


def take_sample(run: str) -> None:
	follow_up.take_sample(run)


def back_up(user: str) -> None:
	"""Back this site up, whole, beside the runs; tell who asked."""
	bench = runners.open_bench()
	with working("backup", [user], _("Backup of {0}").format(frappe.local.site)) as work:
		try:
			catalogue.back_up_site(bench, frappe.local.site, say=work.say)
		finally:
			project_backups(bench)


def prove(user: str) -> None:
	"""Prove the newest backup of this site; tell who asked."""
	with working("proof", [user], _proof_title()) as work:
		prove_newest(runners.open_bench(), work.say)


def prove_daily() -> None:
	"""Daily: tell of a proof that never ended, and queue another one where Deployment Settings want it."""
	bench = runners.open_bench()
	if lost := close_lost_proof(bench):
		notify(find_people(), _("{0}: never ended").format(_proof_title()), lost.why)
	if frappe.db.get_single_value("Deployment Settings", "prove_daily"):
		# Before it is queued: whoever looks sees that this one has not ended, not how the last one did.
		note_begun(bench)
		begin("proof", "prove_by_schedule")


def prove_by_schedule() -> None:
	"""Prove the newest backup of this site; a failure is told to the people of Deployment Settings."""
	with working("proof", find_people(), _proof_title(), tells_success=False) as work:
		prove_newest(runners.open_bench(), work.say)


def list_losses(run: str, user: str) -> None:
	"""List what rolling the database of a run back would lose, for who asked."""
	title = _("What rolling back {0} would lose").format(run)
	with working(f"losses-{run}", [user], title, tells_success=False) as work:
		bench = runners.open_bench()
		work.say(_("Comparing the live database with the backup, table by table"))
		directory = runners.open_run(run)
		work.result = _tell_more(bench, directory, runners.read_losses(directory))


def roll_back(run: str, user: str, reason: str, approves: str) -> None:
	"""Roll a run back with its database, unless what would be lost is not the list any more that `approves` names.

	Then nothing is closed, and the result is the list of now.
	"""
	title = _("Rolling back {0}").format(run)
	with working(f"rollback-{run}", [user], title, tells_success=False) as work:
		bench, directory = runners.open_bench(), runners.open_run(run)
		work.say(_("Comparing once more, before the site is closed: the live database with the backup"))
		if unread := runners.read_losses(directory, unless_read=approves):
			work.result = _tell_more(bench, directory, unread)
			raise refuse_unread(bench, directory, unread, approves)
		work.say(_("What would be lost is what you have read. The site is closed now."))
		if load_state(directory).is_unfinished:
			ask_to_roll_back(bench, directory, user, reason, database=True, approves=approves)
			if not is_owned_by(bench, run):
				runners.start(directory)
		else:
			asked = {"by": user, "reason": reason, "approves": approves}
			runners.start_rollback(directory, database=True, compared=True, **asked)
		work.result = {"run": run}


def _tell_more(bench: Bench, run: RunDirectory, listed: dict[str, Any]) -> dict[str, Any]:
	"""A list of losses, with when the backup was made, as a form would have it, and the command that tells how a wait
	is ended.
	"""
	state = load_state(run)
	made = next(
		(state.steps[name].started for name in ("final-backup", "backup") if state.is_done(name)), None
	)
	backup_made = str(to_site_time(made)) if made else None
	return {**listed, "backup_made": backup_made, "command": bench.command_to_type("status", run.name)}


def run_critical_tests(plan: str, user: str) -> None:
	"""Run the critical tests of a plan on this site; tell who asked."""
	outcomes = [
		f"{test.target}: {json.dumps(run_tests(test.app, test.module, test.doctype, test.failfast))}"
		for test in frappe.get_doc("Deployment Plan", plan).read_spec().critical_tests
	]
	notify([user], _("Critical tests of {0}").format(plan), "\n".join(outcomes))


def _proof_title() -> str:
	return _("Proof of the newest backup of {0}").format(frappe.local.site)


def _is_orphan(run: RunDirectory, state: RunState) -> bool:
	"""Whether a runner would find something to do: one that only waits on would start again every time."""
	if state.state is not State.WAITING or read_requests(run, state.taken_requests):
		return True
	# With "wait" nothing follows from the deadline but more waiting.
	ends = state.waiting["when_nobody_decides"] != "wait"
	return ends and time.time() >= state.waiting["deadline"]
