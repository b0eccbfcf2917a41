"""The ways by which a site's database goes back, and what an earlier rollback of the run made of them.

Invariant: what an earlier rollback put back is live, and users may have worked on it since: it is not
replaced again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.standby_of_run import is_swap_complete

SWAP, RESTORE = "swap", "restore"
# In the quarantine of a database that was imported, once it was.
RESTORED = "restored"
STEP = "rollback-database"


def is_restored(way: dict[str, Any]) -> bool:
	return (Path(way["quarantine"]) / RESTORED).exists()


def find_earlier_way(state: RunState, standby: StandbyDatabase | None, site: str) -> dict[str, Any] | None:
	"""How an earlier rollback put this site's database back, and `since` when that is live; None if it isn't.

	`since` is in epoch seconds, from before anything was replaced.
	"""
	# Before the next rollback is begun, the steps of the last one are not among the earlier ones yet.
	newest = [state.steps[STEP]] if STEP in state.steps else []
	for step in reversed([*state.earlier_rollbacks, *newest]):
		way = step.before.get("sites", {}).get(site) if step.name == STEP and step.has_effect else None
		if way and (is_restored(way) if way["how"] == RESTORE else is_swap_complete(standby)):
			return {"since": step.started_at, **way}
	return None


def find_moment(run: Run, site: str) -> float:
	"""When the database went back that is live now: what was written later belongs to it. In epoch seconds."""
	way = run.state.before(STEP)["sites"][site]
	return way.get("since", run.state.steps[STEP].started_at)
