"""What each event of the journal does to the state of a run: a function for it, and a line in the table below.

Invariant: nothing but the record is asked. An event that is not in the table says nothing of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.lifecycle import LEFT, Phase, State, StepState

if TYPE_CHECKING:
	from press_deploy.engine.journal.state import RunState


def fold(state: RunState, record: Record) -> None:
	"""Take one more record into account."""
	state.last_seq = record.seq
	handler = _HANDLERS.get(record.event)
	if handler:
		handler(state, record, record.data)


def _created(state: RunState, record: Record, data: dict) -> None:
	state.state, state.started = State.RUNNING, record.time
	state.plan_sha256, state.dry_run = data["plan_sha256"], data.get("dry_run", False)
	state.by_shell = data.get("by_shell") is True


def _targets_resolved(state: RunState, record: Record, data: dict) -> None:
	state.targets = data["targets"]


def _runner_started(state: RunState, record: Record, data: dict) -> None:
	state.resumes += bool(data.get("resumed"))
	# The last one: a person may have gone on with what is installed, because the one before could not be used.
	state.home = data.get("home") or state.home


def _announced(state: RunState, record: Record, data: dict) -> None:
	known = state.steps.pop(data["step"], None)
	# The first announcement holds what was there before; a second attempt must not overwrite it.
	before = known.before if known and known.status == "announced" else data["before"]
	again = known and known.status == "announced"
	state.steps[data["step"]] = StepState(
		data["step"],
		data["phase"],
		data["title"],
		"announced",
		known.started if again else record.time,
		before=before,
		started_seq=known.started_seq if again else record.seq,
	)


def _observed(state: RunState, record: Record, data: dict) -> None:
	step = state.steps[data["step"]]
	step.status, step.ended, step.ended_seq = "done", record.time, record.seq
	step.result, step.found, step.error = data["result"], data["found"], None


def _skipped(state: RunState, record: Record, data: dict) -> None:
	state.steps[data["step"]] = StepState(
		data["step"], data["phase"], data["title"], "skipped", record.time, record.time, found=data["reason"]
	)


def _failed(state: RunState, record: Record, data: dict) -> None:
	unannounced = StepState(
		data["step"], data["phase"], data["title"], "failed", record.time, was_announced=False
	)
	step = state.steps.setdefault(data["step"], unannounced)
	step.status, step.ended, step.error = "failed", record.time, data["error"]


def _leave_steps(state: RunState, record: Record, why: str) -> None:
	"""The run leaves its way: a step that was under way will not be gone on with."""
	for step in state.steps.values():
		if step.status == "announced":
			step.status, step.ended = "failed", record.time
			step.error = {"kind": LEFT, "doing": "", "what": "", "why": why, "remedy": ""}


def _rollback_started(state: RunState, record: Record, data: dict) -> None:
	state.state, state.waiting, state.ended, state.reason = State.ROLLING_BACK, None, None, ""
	if state.rollback:
		state.notes.append(
			{"text": f"An earlier rollback: {state.rollback['cause']}", "time": state.rollback["time"]}
		)
	state.rollback = {**data, "time": record.time, "seq": record.seq}
	_leave_steps(state, record, data["cause"])
	for name in [name for name, step in state.steps.items() if step.phase == Phase.ROLLBACK.value]:
		state.earlier_rollbacks.append(state.steps.pop(name))


def _waiting(state: RunState, record: Record, data: dict) -> None:
	state.state, state.waiting = State.WAITING, {**data, "seq": record.seq, "time": record.time}
	state.asked_seq = record.seq


def _went_on(state: RunState, record: Record, data: dict) -> None:
	state.state = State.ROLLING_BACK if data.get("rollback") else State.RUNNING
	state.waiting = None
	if not data.get("rollback"):
		state.went_on_seq = record.seq
		state.accepted[data["step"]] = data["by"]


def _rollback_abandoned(state: RunState, record: Record, data: dict) -> None:
	state.state, state.waiting = State.ROLLING_BACK, None
	state.rollback = {**state.rollback, "abandoned": data["reason"]}
	state.given_up_seq = record.seq


def _went_forward(state: RunState, record: Record, data: dict) -> None:
	"""The release stays: a step that the run left for its rollback is under way again, as the newest."""
	state.state = State.RUNNING
	text = f"Not rolled back, so the run goes on where it was: {data['reason']}"
	state.notes.append({"text": text, "time": record.time})
	for name, step in list(state.steps.items()):
		if step.phase != Phase.ROLLBACK.value and step.error and step.error["kind"] == LEFT:
			step.status, step.ended, step.error = "announced", None, None
			state.steps[name] = state.steps.pop(name)


def _ended(state: RunState, record: Record, data: dict) -> None:
	state.state, state.ended = State(data["state"]), record.time
	state.reason, state.error, state.waiting = data["reason"], data.get("error"), None
	if state.state is State.FATAL:
		state.was_left, state.asked_seq = True, record.seq
	state.has_succeeded = state.has_succeeded or state.state is State.SUCCEEDED
	_leave_steps(state, record, data["reason"])


def _people_told(state: RunState, record: Record, data: dict) -> None:
	state.told_seq = data["about"]


def _collect(name: str):
	def handler(state: RunState, record: Record, data: dict) -> None:
		getattr(state, name).append({**data, "seq": record.seq, "time": record.time})

	return handler


def _losses(state: RunState, record: Record, data: dict) -> None:
	state.losses = {**data, "seq": record.seq, "time": record.time}


# Every event of the journal that says something about the state of a run.
_HANDLERS = {
	"run-created": _created,
	"targets-resolved": _targets_resolved,
	"runner-started": _runner_started,
	"step-announced": _announced,
	"step-observed": _observed,
	"step-skipped": _skipped,
	"step-failed": _failed,
	"check": _collect("checks"),
	"note": _collect("notes"),
	"journal-repaired": _collect("notes"),
	"trigger": _collect("triggers"),
	"verdict": _collect("verdicts"),
	"request-taken": _collect("requests"),
	"waiting": _waiting,
	"went-on": _went_on,
	"rollback-started": _rollback_started,
	"rollback-abandoned": _rollback_abandoned,
	"went-forward": _went_forward,
	"losses": _losses,
	"people-told": _people_told,
	"run-ended": _ended,
}
