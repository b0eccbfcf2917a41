"""Background jobs and scheduler entry points. Each is a door to a function in `press_deploy.site`."""

from __future__ import annotations

import json
import time

import frappe
from frappe import _
from frappe.utils import now_datetime

from press_deploy.engine.errors import DeployError
from press_deploy.engine.lock import is_alive
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.state import RunState, State, unfinished_runs
from press_deploy.site import follow_up, runners
from press_deploy.site.backup import back_up as back_up_site
from press_deploy.site.critical_tests import run_tests
from press_deploy.site.notifications import notify
from press_deploy.site.records import project_all


def resume_orphaned_runs() -> None:
	"""Every few minutes: a run whose runner died goes on. On each site of the bench; the lock admits one."""
	bench = runners.open_bench()
	if is_alive(bench.deployments):
		return
	for state in unfinished_runs(bench.path):
		if _is_orphan(state):
			runners.start(RunDirectory.open(bench.path, state.run), dry_run=state.dry_run)
			return


def repair_records() -> None:
	"""Every few minutes: records follow the journals again, whatever happened to either."""
	for run, why in project_all(str(runners.open_bench().path))["failed"].items():
		frappe.logger("press_deploy").warning(f"{run} could not be projected: {why}")


def follow_up_runs() -> None:
	"""Daily: one figure for every run that is followed up."""
	follow_up.sample_open_follow_ups()


def take_sample(run: str) -> None:
	follow_up.take_sample(run)


def back_up(user: str) -> None:
	"""Back up this site, whole, below its private directory; tell who asked."""
	stamp = now_datetime().strftime("%Y%m%d-%H%M%S")
	# Not in private/backups: Frappe's clean-up would trip over it, and delete what is in it.
	directory = runners.open_bench().site(frappe.local.site) / "private" / "press_deploy_backups" / stamp
	try:
		files = back_up_site(str(directory))["files"]
	except DeployError as error:
		notify([user], _("Backup failed"), str(error))
		raise
	notify([user], _("Backup made"), "\n".join(file["path"] for file in files))


def run_critical_tests(plan: str, user: str) -> None:
	"""Run the critical tests of a plan on this site; tell who asked."""
	outcomes = [
		f"{test.target}: {json.dumps(run_tests(test.app, test.module, test.doctype, test.failfast))}"
		for test in frappe.get_doc("Deployment Plan", plan).read_spec().critical_tests
	]
	notify([user], _("Critical tests of {0}").format(plan), "\n".join(outcomes))


def _is_orphan(state: RunState) -> bool:
	return state.state is not State.WAITING or time.time() >= state.waiting["deadline"]
