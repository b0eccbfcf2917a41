"""How a run is doing, for the form that shows it live. Read from the disk: the records may be behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from press_deploy.engine import steps
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import UNFINISHED, RunState, State, load_state
from press_deploy.engine.report.summary import summarise
from press_deploy.engine.steps.unread_losses import loses_at_work

TAIL_LINES = 50
TAIL_BYTES = 65_536
_SHOWN = (
	"run", "title", "state", "verdict", "phase", "started", "ended", "reason", "error", "waiting", "dry_run",
	"alive", "steps", "checks", "verdicts", "downtime_seconds", "last_seq",
)  # fmt: skip


def describe_progress(bench: Bench, run: RunDirectory) -> dict[str, Any]:
	"""What `engine.report.summary.summarise` says, and: percent (0 to 100), step (title), log (last lines), unfinished,
	losses (what a person is to approve; None while nobody is asked), database_may_follow (the code alone is back),
	database_goes_along (it goes back with the code of a run that is over, so that its losses are read first).

	Raises `JournalDamaged`, `InputError`.
	"""
	summary = summarise(bench, run)
	state, current = load_state(run), summary["steps"][-1] if summary["steps"] else None
	return {
		**{key: summary[key] for key in _SHOWN},
		"percent": _percent(summary),
		"step": current["title"] if current else None,
		"log": _tail(run.step_log(current["name"])) if current else [],
		"losses": _find_losses(state),
		"database_may_follow": state.database_may_follow,
		"database_goes_along": not state.is_unfinished and loses_at_work(state, False),
		"unfinished": State(summary["state"]) in UNFINISHED,
		"has_report": run.report_html.is_file(),
	}


def _find_losses(state: RunState) -> dict[str, Any] | None:
	"""The list that the run waits for: {"sites", "sha256"}."""
	wanted, losses = (state.waiting or {}).get("approve"), state.losses
	# Any other list is not the one to be approved.
	if not wanted or not losses or losses["sha256"] != wanted:
		return None
	return {"sites": losses["sites"], "sha256": losses["sha256"]}


def _percent(summary: dict[str, Any]) -> int:
	if State(summary["state"]) not in UNFINISHED:
		return 100
	is_rollback = summary["state"] == State.ROLLING_BACK.value
	planned = {step.name for step in (steps.ROLLBACK if is_rollback else steps.FORWARD)}
	over = [
		each for each in summary["steps"] if each["name"] in planned and each["status"] in ("done", "skipped")
	]
	return round(100 * len(over) / len(planned))


def _tail(path: Path) -> list[str]:
	try:
		with path.open("rb") as file:
			file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
			return file.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
	except OSError:
		return []
