"""The records in Desk: journals projected into Deployment Run and Rollback Event.

Invariant: the journal is the truth. Projecting twice changes nothing, and a record that is missing or
behind, because the database came back older, is written again under the same name.
"""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import frappe
from frappe.model.document import Document
from frappe.utils import add_days, convert_utc_to_system_timezone, flt, getdate

from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import DeployError
from press_deploy.engine.journal import read_journal
from press_deploy.engine.run_directory import RunDirectory, list_runs
from press_deploy.engine.state import RunState, State, load_state
from press_deploy.engine.summary import summarise
from press_deploy.site.projection import save_projection

DATA_LIMIT = 140
LONG_LIMIT = 400
_HOLDS = {True: "Yes", False: "No", None: "Unknown"}


def project(run_path: str) -> dict:
	"""Write the records of the run in this directory. Returns {"run": its name}. Raises `JournalDamaged`."""
	bench = Bench(Path(run_path).parent.parent)
	run = RunDirectory.open(bench.path, Path(run_path).name)
	summary = summarise(bench, run)
	record = _open("Deployment Run", run.name)
	if record.is_new() or record.last_seq != summary["last_seq"]:
		_fill_run(record, summary, run)
		save_projection(record)
		_project_rollbacks(run)
		_note_in_plan(record)
		frappe.db.commit()
	frappe.publish_realtime(
		"press_deploy_progress",
		{"run": run.name, "state": summary["state"], "phase": summary["phase"]},
		doctype="Deployment Run",
		docname=run.name,
	)
	return {"run": run.name}


def project_all(bench_path: str) -> dict:
	"""Repair the records of every run on disk. Returns {"projected": [names], "failed": {name: why}}.

	A run belongs to the site that controls it; runs of other sites are passed over.
	"""
	known = dict(frappe.get_all("Deployment Run", fields=["name", "last_seq"], as_list=True))
	projected, failed = [], {}
	for run in list_runs(Path(bench_path)):
		try:
			if not run.journal.exists() or run.read_plan().control_site not in (frappe.local.site, None):
				continue
			if known.get(run.name) != load_state(run).last_seq:
				project(str(run.path))
				projected.append(run.name)
		except DeployError as error:
			failed[run.name] = str(error)
	return {"projected": projected, "failed": failed}


def _open(doctype: str, name: str) -> Document:
	if frappe.db.exists(doctype, name):
		return frappe.get_doc(doctype, name)
	document = frappe.new_doc(doctype)
	document.name = name
	return document


def _fill_run(record: Document, summary: dict[str, Any], run: RunDirectory) -> None:
	spec = run.read_plan()
	record.update({key: summary[key] for key in ("state", "phase", "resumes", "directory", "last_seq")})
	record.update(
		{
			"plan": spec.title if frappe.db.exists("Deployment Plan", spec.title) else None,
			"plan_sha256": spec.sha256,
			"verdict": summary["verdict"],
			"dry_run": int(summary["dry_run"]),
			"started": to_site_time(summary["started"]),
			"ended": to_site_time(summary["ended"]),
			"duration": _seconds(summary["started"], summary["ended"]),
			"downtime_seconds": flt(summary["downtime_seconds"]),
			"reason": summary["reason"],
			"error": _describe_error(summary["error"]),
			"apps": json.dumps(summary["apps"], indent=1),
			"notes": "\n".join(_describe_note(note) for note in summary["notes"]),
			"steps": [_step_row(step) for step in summary["steps"]],
			"checks": [_check_row(check) for check in summary["checks"]],
			"conditions": [row for verdict in summary["verdicts"] for row in _condition_rows(verdict)],
		}
	)
	_open_follow_up(record, summary)


def _open_follow_up(record: Document, summary: dict[str, Any]) -> None:
	is_live = summary["state"] == State.SUCCEEDED.value and not summary["dry_run"]
	if not is_live:
		record.follow_up_status = "Closed" if record.follow_up_status else None
	elif not record.follow_up_status:
		days = frappe.get_cached_doc("Deployment Settings").follow_up_days or 7
		record.follow_up_until = getdate(add_days(record.ended, days))
		record.follow_up_status = "Open"


def _note_in_plan(record: Document) -> None:
	"""A plan whose newest run is live is deployed; one that was rolled back may run again."""
	if not record.plan or record.dry_run or record.state not in ("Succeeded", "Rolled Back", "Fatal"):
		return
	status = "Deployed" if record.state == "Succeeded" else "Approved"
	if frappe.db.get_value("Deployment Plan", record.plan, "docstatus") == 1:
		frappe.db.set_value("Deployment Plan", record.plan, "status", status)


def _project_rollbacks(run: RunDirectory) -> None:
	for number, state in enumerate(_split_rollbacks(run), start=1):
		event = _open("Rollback Event", f"{run.name}-rollback-{number}")
		steps = [step for step in state.steps.values() if step.phase == "rollback"]
		event.update(
			{
				"run": run.name,
				"outcome": state.state.value,
				"cause": state.rollback["cause"],
				"asked_by": state.rollback.get("by"),
				"started": to_site_time(state.rollback["time"]),
				"ended": to_site_time(state.ended),
				"duration": _seconds(state.rollback["time"], state.ended),
				"error": _describe_error(state.error),
				"steps": [_step_row(vars(step)) for step in steps],
			}
		)
		save_projection(event)


def _split_rollbacks(run: RunDirectory) -> list[RunState]:
	"""The state of the run at the end of each of its rollbacks; a Fatal one may be followed by another."""
	state, rollbacks = RunState(run.name), []
	for record in read_journal(run.journal) if run.journal.exists() else ():
		if record.event == "rollback-started" and state.rollback:
			rollbacks.append(deepcopy(state))
		state.follow(record)
	return [*rollbacks, state] if state.rollback else rollbacks


def _step_row(step: dict[str, Any]) -> dict[str, Any]:
	return {
		"step": step["name"],
		"phase": step["phase"],
		"title": step["title"][:DATA_LIMIT],
		"status": step["status"],
		"found": step["found"],
		"started": to_site_time(step["started"]),
		"ended": to_site_time(step["ended"]),
		"seconds": _seconds(step["started"], step["ended"]),
		"error": _describe_error(step["error"]),
	}


def _check_row(check: dict[str, Any]) -> dict[str, Any]:
	return {
		"title": check["name"][:DATA_LIMIT],
		**{key: check[key] for key in ("outcome", "found", "remedy")},
	}


def _condition_rows(verdict: dict[str, Any]) -> list[dict[str, Any]]:
	return [
		{
			"stage": verdict["stage"],
			"condition": each["name"][:LONG_LIMIT],
			"holds": _HOLDS[each["holds"]],
			"value": each["value"][:LONG_LIMIT],
			"threshold": each["threshold"][:LONG_LIMIT],
			"evidence": each["evidence"],
		}
		for each in verdict["conditions"]
	]


def _describe_note(note: dict[str, Any]) -> str:
	text = (
		note.get("text")
		or f"the journal was repaired: {note.get('cut_bytes')} bytes of a torn line were cut off"
	)
	return f"{note['time'][:19].replace('T', ' ')} UTC  {text}"


def _describe_error(error: dict[str, str] | None) -> str | None:
	if not error:
		return None
	return f"{error['doing']} {error['what']}: {error['why']}\n{error['remedy']}".strip()


def _seconds(started: str | None, ended: str | None) -> float | None:
	if not started or not ended:
		return None
	return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def to_site_time(moment: str | None) -> datetime | None:
	"""An ISO time with zone as the naive time of the site that Frappe keeps in its database."""
	if not moment:
		return None
	return convert_utc_to_system_timezone(datetime.fromisoformat(moment)).replace(tzinfo=None, microsecond=0)
