"""What follows from a verdict: GO goes on, NO-GO rolls back or asks, anything unknown asks a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from press_deploy.engine.steps.interrupts import RollbackNeeded, WaitForPerson
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition, Verdict, settle, wants_rollback


def decide(run: Run, step: str, stage: str, judge: Callable[[], list[Condition]]) -> dict[str, Any]:
	"""Journal a verdict with its conditions and act on it.

	Returns what the step records when the run may go on; else raises `RollbackNeeded` or `WaitForPerson`.
	"""
	verdict, conditions = settle(judge)
	person = run.state.accepted.get(step)
	data = {"stage": stage, "verdict": verdict.value, "conditions": [each.as_data() for each in conditions]}
	if person and verdict is not Verdict.GO:
		run.journal.append(
			"verdict", {**data, "measured": verdict.value, "verdict": Verdict.GO.value, "by": person}
		)
		return {"verdict": Verdict.GO.value, "found": f"GO by {person} (measured: {verdict.value})"}
	run.journal.append("verdict", data)
	if verdict is Verdict.GO:
		return {"verdict": verdict.value, "found": f"GO: all {len(conditions)} conditions hold"}
	why = describe(verdict, conditions)
	if verdict is Verdict.NO_GO and wants_rollback(conditions, run.spec.triggers):
		raise RollbackNeeded(why)
	if verdict is not Verdict.NO_GO and run.spec.inconclusive == "roll_back":
		raise RollbackNeeded(why)
	raise WaitForPerson(why)


def describe(verdict: Verdict, conditions: list[Condition]) -> str:
	"""A verdict in a sentence: the conditions that stand against GO, with value, threshold and evidence."""
	against = [each for each in conditions if each.holds is not True]
	parts = [
		f"{each.name} is {each.value}, wanted {each.threshold}"
		+ (f" ({each.evidence})" if each.evidence else "")
		for each in against
	]
	return f"{verdict.value}: {'; '.join(parts) or 'nothing was measured'}"
