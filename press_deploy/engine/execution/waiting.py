"""What becomes of a run that waits for a person, each time that somebody resumes it.

Invariant: a run leaves its waiting only by a decision in the journal, or by the deadline for which the plan
or the step said what follows.
"""

from __future__ import annotations

import math
import time
from typing import Any

from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.steps.run import Run


def leave_waiting(run: Run, doors: Doors) -> str | None:
	"""Note in the journal what was decided, so that the run goes on with it; without a decision it waits on.

	Returns why the release is kept, where that is the end of the run. Raises `RollbackNeeded` when it goes back.
	"""
	while run.take_request():
		pass
	waiting, decision = run.state.waiting, run.state.decision()
	if waiting.get("approve"):
		return _leave_approval(run, doors, waiting, decision)
	if decision and decision["action"] not in ("go", "approve"):
		raise RollbackNeeded.asked_by(decision)
	if _is_go(decision) and waiting["accepts_go"]:
		run.journal.append("went-on", {"step": waiting["step"], "by": decision["by"]})
	elif _is_go(decision) and not run.state.is_closed:
		return f"kept by {decision['by']} ({decision['reason']}), in spite of: {waiting['reason']}"
	elif waiting["when_nobody_decides"] == "roll_back" and _is_over(waiting):
		raise RollbackNeeded("nobody decided in time")
	else:
		_wait_on(run, doors, waiting)
	return None


def _leave_approval(run: Run, doors: Doors, waiting: dict[str, Any], decision: dict[str, Any] | None) -> None:
	"""The rollback goes on when its list was approved; somebody, or the deadline, may give it up."""
	if by := run.state.approval_of(waiting["approve"]):
		run.journal.append("went-on", {"step": waiting["step"], "by": by, "rollback": True})
	elif decision and decision["action"] not in ("go", "approve") and not _needs_database(run, decision):
		# Without the database nothing of the users' is lost.
		raise RollbackNeeded.asked_by(decision)
	elif _is_go(decision) and waiting["accepts_go"]:
		run.journal.append("rollback-abandoned", {"reason": f"{decision['by']}: {decision['reason']}"})
	elif waiting["when_nobody_decides"] == "keep" and _is_over(waiting):
		why = "nobody approved in time what would be lost"
		run.journal.append("rollback-abandoned", {"reason": why})
	else:
		_wait_on(run, doors, waiting)


def _needs_database(run: Run, decision: dict[str, Any]) -> bool:
	return bool(decision.get("database")) or run.state.was_announced("migrate")


def _is_go(decision: dict[str, Any] | None) -> bool:
	return decision is not None and decision["action"] == "go"


def _is_over(waiting: dict[str, Any]) -> bool:
	return time.time() >= waiting["deadline"]


def _wait_on(run: Run, doors: Doors, waiting: dict[str, Any]) -> None:
	"""Nobody need look again before the deadline, if something follows from that."""
	ends = waiting["when_nobody_decides"] != "wait"
	doors.hand_over(waiting["deadline"] - time.time() if ends else math.inf)
