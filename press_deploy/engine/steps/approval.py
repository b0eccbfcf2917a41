"""What would be lost, listed and shown to a person, who approves exactly that.

Invariant: with an approval of another list, or of an earlier rollback's, nothing goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from press_deploy.engine.databases.losses.of_run import describe_all, find_all
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps.interrupts import WaitForPerson
from press_deploy.engine.steps.run import Run

DRAINS = ("pause-jobs", "rollback-pause-jobs")


def had_jobs_at_work(state: RunState, drains: tuple[str, ...] = DRAINS) -> bool:
	"""Whether a drain was gone on from with jobs that were not done: they write behind closed doors."""
	return any(state.result(name).get("busy") for name in drains)


def require_approval(run: Run, standbys: Mapping[str, StandbyDatabase | None]) -> dict[str, Any]:
	"""Go on where nothing would be lost, or where a person approved this very list: {"found", "approved_by",
	"sha256"}, or {"found"} alone. Raises `WaitForPerson`, and as `list_losses`.
	"""
	listed, state = describe_all(find_all(standbys)), run.state
	known = state.losses
	# The same list of an earlier rollback is no list of this one.
	if known is None or known["sha256"] != listed["sha256"] or known["seq"] < state.rollback["seq"]:
		run.journal.append("losses", listed)
	for line in listed["lines"]:
		run.log(line)
	if not listed["total"]:
		return {"found": "nothing"}
	if by := state.approval_of(listed["sha256"]):
		return {
			"approved_by": by,
			"sha256": listed["sha256"],
			"found": f"{by} approved: {listed['summary']}",
		}
	may_stay = state.may_stay_as_it_is
	raise WaitForPerson(
		f"rolling the database back would lose: {listed['summary']}",
		when_nobody_decides="keep" if may_stay else "wait",
		accepts_go=may_stay,
		approve=listed["sha256"],
	)


def require_approval_again(run: Run, standbys: Mapping[str, StandbyDatabase | None]) -> dict[str, Any]:
	"""Right before the databases are replaced: where jobs may have written since the list was made, it is made
	again. Returns {"approved_by", "sha256"} where a person approved it, else {}. Raises as `require_approval`.
	"""
	had_list = bool(standbys) and run.state.is_done("lost-documents")
	if not had_list or not had_jobs_at_work(run.state, DRAINS[1:]):
		return {}
	approved = require_approval(run, standbys)
	return {key: approved[key] for key in ("approved_by", "sha256") if key in approved}
