"""What a person may answer to a run that waits.

Invariant: an answer is left for a run only while it asks, and an approval only with the list that it asks about.
"""

from __future__ import annotations

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.state import RunState, State


def find_answers(state: RunState) -> list[str]:
	"""What the run waits to be told: of "go", "no-go" and "approve"; nothing while it waits for nobody."""
	if state.state is not State.WAITING:
		return []
	if not state.waiting.get("approve"):
		return ["go", "no-go"]
	return ["approve", "go"] if state.waiting["accepts_go"] else ["approve"]


def check_answer(bench: Bench, state: RunState, answer: str, approves: str | None = None) -> None:
	"""Raise `Refused` unless the run waits for this answer; `approves`: the SHA-256 of the list that was read."""
	doing, what, answers = "Deciding for", f"run {state.run}", find_answers(state)
	back = bench.command_to_type("rollback", state.run)
	if not answers:
		stop = bench.command_to_type("decide", state.run, "abort")
		remedy = f"to stop it: {stop}; to go back: {back}"
		raise Refused(doing, what, f"it waits for nobody's decision, it is {state.state.value}", remedy)
	if answer not in answers:
		remedy = f"to go back without its question: {back}"
		raise Refused(doing, what, f"it waits for {' or '.join(answers)}, not for {answer}", remedy)
	if answer == "approve" and approves != state.waiting["approve"]:
		read = bench.command_to_type("losses", state.run)
		remedy = f"read it, then approve it by its own SHA-256: {read}"
		raise Refused(doing, what, "it asks about another list of losses than this one", remedy)
