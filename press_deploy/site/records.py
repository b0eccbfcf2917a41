"""The records in Desk: what a run has on disk, projected into Deployment Run and Rollback Event.

Invariant: the disk is the truth. Projecting twice changes nothing, and a record that is missing or behind,
because the database came back older, is written again under the same name.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import frappe
from frappe.model.document import Document
from frappe.utils import add_days, flt, getdate

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.retention import FOLLOW_UP_DAYS
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import State
from press_deploy.engine.report.summary import summarise
from press_deploy.site.follow_up_figures import Figure, Figures, open_figures, read_figures
from press_deploy.site.projection import (
	describe_error,
	describe_failure,
	open_projection,
	save_projection,
	seconds_between,
	to_site_time,
)
from press_deploy.site.rollback_records import fold_rollbacks, project_rollbacks
from press_deploy.site.step_rows import describe_step

DATA_LIMIT = 140
LONG_LIMIT = 400
_HOLDS = {True: "Yes", False: "No", None: "Unknown"}


def project(run_path: str) -> dict:
	"""Write the records of the run in this directory. Returns {"run": its name}. Raises `JournalDamaged`."""
	bench = Bench(Path(run_path).parent.parent)
	run = RunDirectory.open(bench.path, Path(run_path).name)
	if run.read_plan().control_site != frappe.local.site:
		raise InputError(
			"run", run.name, f"site {frappe.local.site} does not control it", "ask the site that does"
		)
	summary = summarise(bench, run)
	if _Known(run.name).is_behind(run):
		record = open_projection("Deployment Run", run.name)
		_fill_run(record, summary, run)
		save_projection(record)
		project_rollbacks(run)
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

	One that can't be read or saved keeps none of the others from it. A run belongs to the site that controls it; runs
	of other sites, and those that no site controls, are passed over.
	"""
	known, projected, failed = _Known(), [], {}
	for run in list_runs(Path(bench_path)):
		try:
			if not run.journal.exists() or run.read_plan().control_site != frappe.local.site:
				continue
			if known.is_behind(run):
				project(str(run.path))
				projected.append(run.name)
		except Exception as error:
			# Its own words where it is one of ours; the runner may also have saved the same record meanwhile.
			frappe.db.rollback()
			failed[run.name] = describe_failure(error)
	return {"projected": projected, "failed": failed}


class _Known:
	"""What the site's records show of each run, or of one, to be compared with what is on the disk."""

	def __init__(self, run: str | None = None):
		runs, rows, events = ({key: run} if run else {} for key in ("name", "parent", "run"))
		self._seqs = dict(frappe.get_all("Deployment Run", runs, ["name", "last_seq"], as_list=True))
		self._figures = Counter(frappe.get_all("Deployment Follow Up", rows, pluck="parent"))
		self._rollbacks = Counter(frappe.get_all("Rollback Event", events, pluck="run"))

	def is_behind(self, run: RunDirectory) -> bool:
		"""Whether a record of this run is missing or shows less or more than the disk. Raises `JournalDamaged`."""
		state, rollbacks = fold_rollbacks(run)
		on_disk = state.last_seq, len(read_figures(run).rows), len(rollbacks)
		return on_disk != (self._seqs.get(run.name), self._figures[run.name], self._rollbacks[run.name])


def find_follow_up_days() -> int:
	"""For how many days after its end a run is followed up, as Deployment Settings say."""
	return frappe.get_cached_doc("Deployment Settings").follow_up_days or FOLLOW_UP_DAYS


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
			"duration": seconds_between(summary["started"], summary["ended"]),
			"downtime_seconds": flt(summary["downtime_seconds"]),
			"reason": summary["reason"],
			"error": describe_error(summary["error"]),
			"apps": json.dumps(summary["apps"], indent=1),
			"notes": "\n".join(_describe_note(note) for note in summary["notes"]),
			"steps": [describe_step(step) for step in summary["steps"]],
			"checks": [_check_row(check) for check in summary["checks"]],
			"conditions": [row for verdict in summary["verdicts"] for row in _condition_rows(verdict)],
		}
	)
	_fill_follow_up(record, summary, run)


def _fill_follow_up(record: Document, summary: dict[str, Any], run: RunDirectory) -> None:
	is_live = summary["state"] == State.SUCCEEDED.value and not summary["dry_run"]
	if is_live:
		open_figures(run, getdate(add_days(record.ended, find_follow_up_days())))
	figures = read_figures(run)
	record.follow_up = []
	for figure in figures.rows:
		record.append("follow_up", _figure_row(figure))
	record.follow_up_until = figures.until
	if figures.until:
		record.follow_up_status = "Open" if is_live and not _is_over(figures) else "Closed"


def _is_over(figures: Figures) -> bool:
	"""A follow-up closes with the first figure of its last day, or a later one."""
	return bool(figures.rows) and to_site_time(figures.rows[-1].taken).date() >= figures.until


def _figure_row(figure: Figure) -> dict[str, Any]:
	return {**vars(figure), "taken": to_site_time(figure.taken)}


def _note_in_plan(record: Document) -> None:
	"""A plan whose newest run is live is deployed; one that was rolled back may run again."""
	if not record.plan or record.dry_run or record.state not in ("Succeeded", "Rolled Back", "Fatal"):
		return
	status = "Deployed" if record.state == "Succeeded" else "Approved"
	if frappe.db.get_value("Deployment Plan", record.plan, "docstatus") == 1:
		frappe.db.set_value("Deployment Plan", record.plan, "status", status)


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
