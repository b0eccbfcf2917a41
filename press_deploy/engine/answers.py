"""What a person may answer to a run that waits.

Invariant: an answer is left for a run only while it asks, and an approval only with the list that it asks about.
"""

from __future__ import annotations

from press_deploy.engine.errors import Refused
from press_deploy.engine.state import RunState, State


def find_answers(state: RunState) -> list[str]:
	"""What the run waits to be told: of "go", "no-go" and "approve"; nothing while it waits for nobody."""
	if state.state is not State.WAITING:
		return []
	if not state.waiting.get("approve"):
		return ["go", "no-go"]
	return ["approve", "go"] if state.waiting["accepts_go"] else ["approve"]


def check_answer(state: RunState, answer: str, approves: str | None = None) -> None:
	"""Raise `Refused` unless the run waits for this answer; `approves`: the SHA-256 of the list that was read."""
	doing, what, answers = "Deciding for", f"run {state.run}", find_answers(state)
	if not answers:
		remedy = f"to stop it: press-deploy decide {state.run} abort; to go back: press-deploy rollback {state.run}"
		raise Refused(doing, what, f"it waits for nobody's decision, it is {state.state.value}", remedy)
	if answer not in answers:
		remedy = f"to go back without its question: press-deploy rollback {state.run}"
		raise Refused(doing, what, f"it waits for {' or '.join(answers)}, not for {answer}", remedy)
	if answer == "approve" and approves != state.waiting["approve"]:
		remedy = f"read it, then approve it by its own SHA-256: press-deploy losses {state.run}"
		raise Refused(doing, what, "it asks about another list of losses than this one", remedy)
