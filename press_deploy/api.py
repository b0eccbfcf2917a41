"""What Desk and REST may ask for. Each method: authorise (role and state, here on the server) → call → return."""

from __future__ import annotations

from typing import Any

import frappe
from frappe import _
from frappe.utils import cint

from press_deploy.engine.execution.execution import ask_to_roll_back
from press_deploy.engine.journal.answers import check_answer
from press_deploy.engine.journal.requests import STOPS, check_approval, put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.engine.report.summary import is_owned_by
from press_deploy.engine.steps.unread_losses import loses_at_work
from press_deploy.engine.steps.way_back_checks import check_way_back
from press_deploy.site import proofs, runners
from press_deploy.site.background import begin, describe_work
from press_deploy.site.input_messages import errors_shown
from press_deploy.site.progress import describe_progress

DOES = ("Deployment Manager", "System Manager")
# What users wrote is lost with a database: who asks for that, or approves it, has the role that is for it.
APPROVES = ("Deployment Manager",)
SEES = (*DOES, "Deployment Viewer")
GOES_BACK = (State.RUNNING, State.WAITING, State.SUCCEEDED, State.FATAL)


@frappe.whitelist(methods=["POST"])
def start(plan: str) -> dict:
	"""Start an approved plan. Returns {"run": name}."""
	_authorise(DOES)
	return _start(frappe.get_doc("Deployment Plan", plan).read_spec_to_start())


@frappe.whitelist(methods=["POST"])
def dry_run(plan: str) -> dict:
	"""Make the checks of preflight for a plan, approved or not; nothing is changed. Returns {"run": name}."""
	_authorise(DOES)
	document = frappe.get_doc("Deployment Plan", plan)
	with errors_shown(document):
		spec = document.read_spec()
	return _start(spec, dry_run=True)


@frappe.whitelist(methods=["POST"])
def abort(run: str, reason: str = "") -> dict:
	"""Ask a run to stop: before the deployment it just ends, after that it rolls back."""
	directory, state = _open_for_change(run)
	_require(state, State.PENDING, State.RUNNING, State.WAITING)
	return _ask(directory, "abort", reason or _("aborted in Desk"))


@frappe.whitelist(methods=["POST"])
def roll_back(run: str, reason: str, database: int | bool = 0, approves: str | None = None) -> dict:
	"""Roll back a run that is under way, waiting, live, or ended Fatal; with its database, one whose code is back.

	`database`: the database too, whatever the run did to it; `approves` is then the SHA-256 of the list of
	losses that this person has read. The runner compares it with what would really be lost.

	Returns {"run"}, or {"work"} where the list is made again before sites at work are closed: see `jobs.roll_back`.
	"""
	directory, state = _open_for_change(run)
	if cint(database):
		_authorise(APPROVES)
	if not (cint(database) and state.database_may_follow):
		_require(state, *GOES_BACK)
	reason = _require_reason(reason)
	wanted = {"database": bool(cint(database)), "approves": approves or None}
	if wanted["database"] != bool(wanted["approves"]):
		frappe.throw(_("A rollback of the database needs the list of what would be lost, read by you."))
	with errors_shown():
		check_approval(wanted["approves"])
	if state.is_unfinished:
		if wanted["database"] and loses_at_work(state, True):
			return _compare_and_roll_back(directory, reason, wanted["approves"])
		return _ask(directory, "rollback", reason, **wanted)
	with errors_shown():
		# What the process of its own would refuse would stand in a log that nobody reads.
		check_way_back(runners.open_bench(), directory, state, wanted["database"])
	if loses_at_work(state, wanted["database"]):
		return _compare_and_roll_back(directory, reason, wanted["approves"])
	with errors_shown():
		runners.start_rollback(directory, by=frappe.session.user, reason=reason, **wanted)
	return {"run": directory.name}


@frappe.whitelist(methods=["POST"])
def losses(run: str) -> dict:
	"""Queue the list of what rolling the database of a run back would lose; ask `work` for it."""
	directory, state = _open_for_change(run)
	if not state.database_may_follow:
		_require(state, *GOES_BACK)
	return begin(f"losses-{directory.name}", "list_losses", run=directory.name, user=frappe.session.user)


@frappe.whitelist(methods=["GET", "POST"])
def work(name: str) -> dict[str, Any]:
	"""How work that was queued is doing: see `site.background.describe_work`."""
	_authorise(DOES)
	return describe_work(name)


@frappe.whitelist(methods=["POST"])
def resume(run: str) -> dict:
	"""Go on with a run whose runner died."""
	directory, state = _open_for_change(run)
	_require(state, State.PENDING, State.RUNNING, State.WAITING, State.ROLLING_BACK)
	if is_owned_by(runners.open_bench(), directory.name):
		frappe.throw(_("Run {0} is at work; there is nothing to resume.").format(directory.name))
	runners.start(directory, dry_run=state.dry_run)
	return {"run": directory.name}


@frappe.whitelist(methods=["POST"])
def decide(run: str, decision: str, reason: str, list_sha256: str | None = None) -> dict:
	"""Decide for a run that waits: "go" or "no-go".

	A run that waits to lose documents: "approve" with the SHA-256 of its list, or "go" to keep the release.
	"""
	directory, state = _open_for_change(run)
	if decision == "approve":
		_authorise(APPROVES)
	_require(state, State.WAITING)
	reason = _require_reason(reason)
	approved = {"approves": list_sha256} if decision == "approve" else {}
	with errors_shown():
		check_answer(runners.open_bench(), state, decision, **approved)
	return _ask(directory, decision, reason, **approved)


@frappe.whitelist(methods=["GET", "POST"])
def progress(run: str) -> dict[str, Any]:
	"""How a run is doing, read from its journal: see `site.progress.describe_progress`."""
	_authorise(SEES)
	with errors_shown():
		return describe_progress(runners.open_bench(), runners.open_run(run))


@frappe.whitelist(methods=["GET"])
def report(run: str) -> None:
	"""Download the report of a run as one HTML file."""
	_authorise(SEES)
	with errors_shown():
		directory = runners.open_run(run)
	if not directory.report_html.is_file():
		frappe.throw(_("Run {0} has no report yet; it is written when the run ends.").format(directory.name))
	frappe.local.response.type = "download"
	frappe.local.response.filename = f"{directory.name}.html"
	frappe.local.response.filecontent = directory.report_html.read_bytes()


@frappe.whitelist(methods=["POST"])
def back_up_now() -> dict:
	"""Queue a complete backup of this site; ask `work` how it is doing."""
	_authorise(DOES)
	return begin("backup", "back_up", user=frappe.session.user)


@frappe.whitelist(methods=["POST"])
def prove_latest_backup() -> dict:
	"""Queue the proof of this site's newest backup; ask `work` how it is doing."""
	_authorise(DOES)
	return begin("proof", "prove", user=frappe.session.user)


@frappe.whitelist(methods=["GET", "POST"])
def newest_backup(filters: str | None = None) -> str:
	"""For the workspace: the rung of this site's newest backup."""
	_authorise(SEES)
	return frappe.utils.escape_html(proofs.describe_newest_backup(runners.open_bench()))


@frappe.whitelist(methods=["GET", "POST"])
def last_proof(filters: str | None = None) -> str:
	"""For the workspace: when this site's newest backup was last proven, and whether it passed."""
	_authorise(SEES)
	return frappe.utils.escape_html(proofs.describe_last_proof_briefly(runners.open_bench()))


@frappe.whitelist(methods=["POST"])
def run_critical_tests_now(plan: str) -> None:
	"""Queue the critical tests of a plan; only for plans whose test site is this one, and no production site."""
	_authorise(DOES)
	document = frappe.get_doc("Deployment Plan", plan)
	with errors_shown(document):
		spec = document.read_spec()
	if spec.test_site != frappe.local.site or spec.tests_run_on_production:
		frappe.throw(
			_("These tests run on {0}; start them from there.").format(spec.test_site or _("no site yet"))
		)
	frappe.enqueue(
		"press_deploy.jobs.run_critical_tests",
		queue="long",
		timeout=7200,
		plan=plan,
		user=frappe.session.user,
	)


@frappe.whitelist(methods=["POST"])
def sample_now(run: str) -> None:
	"""Queue one more figure for the follow-up of a run."""
	directory, _state = _open_for_change(run)
	if frappe.db.get_value("Deployment Run", directory.name, "follow_up_status") != "Open":
		frappe.throw(_("The follow-up of run {0} is not open.").format(directory.name))
	frappe.enqueue("press_deploy.jobs.take_sample", run=directory.name)


def _authorise(roles: tuple[str, ...]) -> None:
	# Not `frappe.only_for`: it lets everybody pass while tests run.
	if frappe.session.user != "Administrator" and not {*roles} & {*frappe.get_roles()}:
		frappe.throw(_("Only for: {0}.").format(", ".join(_(role) for role in roles)), frappe.PermissionError)


def _start(spec: PlanSpec, dry_run: bool = False) -> dict:
	with errors_shown():
		run = runners.create_run(spec, dry_run)
	runners.start(run, dry_run)
	return {"run": run.name}


def _open_for_change(run: str) -> tuple[RunDirectory, RunState]:
	_authorise(DOES)
	with errors_shown():
		directory = runners.open_run(run)
		return directory, load_state(directory)


def _require(state: RunState, *allowed: State) -> None:
	if state.state not in allowed:
		wanted = ", ".join(_(each.value) for each in allowed)
		frappe.throw(
			_("Run {0} is {1}; this is possible only while it is: {2}.").format(
				state.run, _(state.state.value), wanted
			)
		)


def _require_reason(reason: str) -> str:
	if not isinstance(reason, str) or not reason.strip():
		frappe.throw(_("Give a reason; it stands in the report."))
	return reason.strip()


def _compare_and_roll_back(directory: RunDirectory, reason: str, approves: str | None) -> dict:
	if not approves:
		frappe.throw(
			_(
				"This run migrated, so that its database goes back too. A Deployment Manager reads first what would be lost, "
				"with: Roll Back Database…"
			)
		)
	with errors_shown():
		runners.check_words(by=frappe.session.user, reason=reason)
	# Comparing may take longer than a request may.
	asked = {"run": directory.name, "user": frappe.session.user, "reason": reason, "approves": approves}
	return begin(f"rollback-{directory.name}", "roll_back", **asked)


def _ask(directory: RunDirectory, action: str, reason: str, **wanted: Any) -> dict:
	bench = runners.open_bench()
	with errors_shown():
		if action in STOPS:
			ask_to_roll_back(bench, directory, frappe.session.user, reason, action=action, **wanted)
		else:
			put_request(directory, action, frappe.session.user, reason, **wanted)
	if not is_owned_by(bench, directory.name):
		runners.start(directory, dry_run=load_state(directory).dry_run)
	return {"run": directory.name}
