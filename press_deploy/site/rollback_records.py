"""Rollback Events: each rollback of a run as its journal tells it, with what it lost.

Invariant: a rollback is an event of its own under a name of its own; an approval stands there only with the
list that it was given for.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from frappe import _

from press_deploy.engine.databases.losses.model import ACTIONS
from press_deploy.engine.journal.journal import read_journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State
from press_deploy.site.projection import (
	describe_error,
	open_projection,
	save_projection,
	seconds_between,
	to_site_time,
)
from press_deploy.site.step_rows import describe_step

NAMES_LIMIT = 10_000
DATA_LIMIT = 140
ABANDONED = "Abandoned"


def project_rollbacks(run: RunDirectory) -> None:
	"""Write a Rollback Event for each rollback of a run. Raises `JournalDamaged`."""
	for number, state in enumerate(fold_rollbacks(run)[1], start=1):
		event = open_projection("Rollback Event", f"{run.name}-rollback-{number}")
		event.update(
			{
				"run": run.name,
				"outcome": _find_outcome(state),
				"cause": state.rollback["cause"],
				"asked_by": _cut(state.rollback.get("by")),
				"reason": state.rollback.get("abandoned")
				or state.reason
				or (state.waiting or {}).get("reason"),
				"started": to_site_time(state.rollback["time"]),
				"ended": to_site_time(state.ended),
				"duration": seconds_between(state.rollback["time"], state.ended),
				"error": describe_error(state.error),
				"steps": [
					describe_step(vars(step)) for step in state.steps.values() if step.phase == "rollback"
				],
				**_describe_database(state),
			}
		)
		save_projection(event)


def fold_rollbacks(run: RunDirectory) -> tuple[RunState, list[RunState]]:
	"""The state of a run now, and at the end of each of its rollbacks; a Fatal one may be followed by another."""
	state, rollbacks = RunState(run.name), []
	for record in read_journal(run.journal) if run.journal.exists() else ():
		if record.event == "rollback-started" and state.rollback:
			rollbacks.append(deepcopy(state))
		state.follow(record)
	return state, [*rollbacks, state] if state.rollback else rollbacks


def _find_outcome(state: RunState) -> str:
	# The run may go on after it.
	kept = state.rollback.get("abandoned") and state.state not in (State.ROLLING_BACK, State.FATAL)
	return ABANDONED if kept else state.state.value


def _describe_database(state: RunState) -> dict[str, Any]:
	"""What the rollback did to the databases, who approved it, and what it lost."""
	ways = state.before("rollback-database").get("sites", {})
	# Where jobs wrote after the approval, another list was approved right before the databases were replaced.
	approved = {
		**state.result("lost-documents"),
		**state.before("rollback-database").get("approval", {}),
	}
	# An earlier rollback of the same run may have had a list of its own.
	losses = state.losses if state.losses and state.losses["seq"] > state.rollback["seq"] else {}
	sites = losses.get("sites", {})
	return {
		"with_database": int(state.rolls_database_back),
		"quarantine": "\n".join(f"{site}: {way['quarantine']}" for site, way in ways.items()),
		"approved_by": _cut(approved.get("approved_by")),
		"approved_list": approved.get("sha256"),
		"losses": [row for site, data in sites.items() for row in _loss_rows(site, data)],
		"other_losses": "\n".join(line for site, data in sites.items() for line in _other_lines(site, data)),
		"exports": "\n".join(losses.get("files", [])),
	}


def _cut(name: str | None) -> str | None:
	return name[:DATA_LIMIT] if name else None


def _loss_rows(site: str, data: dict[str, Any]) -> list[dict[str, Any]]:
	rows = []
	for doctype, actions in data["documents"].items():
		counts = {action: actions.get(action, {}).get("count", 0) for action in ACTIONS}
		row = {"site": site, "document_type": doctype[:DATA_LIMIT], **counts, "names": _list_names(actions)}
		rows.append(row)
	return rows


def _list_names(actions: dict[str, Any]) -> str:
	lines = []
	for action, named in actions.items():
		more = named["count"] - len(named["names"])
		names = ", ".join(named["names"])
		lines.append(f"{_(action)}: {names}" + (f" … +{more}" if more else ""))
	text = "\n".join(lines)
	return text if len(text) <= NAMES_LIMIT else f"{text[:NAMES_LIMIT]}…"


def _other_lines(site: str, data: dict[str, Any]) -> list[str]:
	settings = [_("{0}: settings of {1}").format(site, doctype) for doctype in data["singles"]]
	tables = data["other_tables"].items()
	return settings + [_("{0}: {1} rows of table {2}").format(site, rows, table) for table, rows in tables]
