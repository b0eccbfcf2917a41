"""What the journal says of a run: a fold over its records, and nothing else.

Invariant: the state is derived. Two readers of the same journal see the same run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from press_deploy.engine.journal import Record, read_journal
from press_deploy.engine.run_directory import RunDirectory, list_runs


class Phase(str, Enum):
	PREFLIGHT = "preflight"
	PREPARE = "prepare"
	DEPLOY = "deploy"
	VALIDATE = "validate"
	OPEN = "open"
	MONITOR = "monitor"
	CLOSE = "close"
	ROLLBACK = "rollback"


class State(str, Enum):
	PENDING = "Pending"
	RUNNING = "Running"
	WAITING = "Waiting"  # for a person's GO or NO-GO; no process is alive
	ROLLING_BACK = "Rolling Back"
	SUCCEEDED = "Succeeded"
	ROLLED_BACK = "Rolled Back"
	FATAL = "Fatal"  # the rollback did not reach a healthy site; a person takes over
	REFUSED = "Refused"  # by preflight
	ABORTED = "Aborted"  # before anything was changed
	CHECKED = "Checked"  # a dry run that found nothing against the deployment


# The steps that close the sites, and those after which they are as before.
CLOSING = ("maintenance", "rollback-maintenance")
OPENING = ("open", "rollback-open")

# The error of a step that did not fail: the run left its way while it was under way.
LEFT = "Left"

UNFINISHED = {State.PENDING, State.RUNNING, State.WAITING, State.ROLLING_BACK}

EXIT_CODES = {
	State.SUCCEEDED: 0,
	State.CHECKED: 0,
	State.REFUSED: 2,
	State.ROLLED_BACK: 3,
	State.WAITING: 4,
	State.FATAL: 5,
}


@dataclass
class StepState:
	name: str
	phase: str
	title: str
	status: str  # announced, done, skipped or failed
	started: str
	ended: str | None = None
	before: dict[str, Any] = field(default_factory=dict)
	result: dict[str, Any] = field(default_factory=dict)
	found: str = ""
	error: dict[str, str] | None = None
	# Without an announcement nothing can have been changed, however the step ended.
	was_announced: bool = True
	# Where in the journal it was announced and recorded: a clock may be set back, the journal goes on.
	started_seq: int = 0
	ended_seq: int = 0

	@property
	def is_over(self) -> bool:
		return self.status in ("done", "skipped")

	@property
	def has_effect(self) -> bool:
		"""Whether the step may have made its effect, wholly or in part."""
		return self.was_announced and self.status != "skipped"

	@property
	def started_at(self) -> float:
		"""When the step was first announced, in epoch seconds."""
		return datetime.fromisoformat(self.started).timestamp()


@dataclass
class RunState:
	"""One run, as its journal tells it."""

	run: str
	state: State = State.PENDING
	plan_sha256: str | None = None
	dry_run: bool = False
	started: str | None = None
	ended: str | None = None
	reason: str = ""
	error: dict[str, str] | None = None
	steps: dict[str, StepState] = field(default_factory=dict)
	earlier_rollbacks: list[StepState] = field(default_factory=list)
	checks: list[dict[str, Any]] = field(default_factory=list)
	notes: list[dict[str, Any]] = field(default_factory=list)
	triggers: list[dict[str, Any]] = field(default_factory=list)
	verdicts: list[dict[str, Any]] = field(default_factory=list)
	requests: list[dict[str, Any]] = field(default_factory=list)
	waiting: dict[str, Any] | None = None
	accepted: dict[str, str] = field(default_factory=dict)  # step → the person who said GO to it
	rollback: dict[str, Any] | None = None
	losses: dict[str, Any] | None = None  # what the newest rollback of the database loses, per site
	was_left: bool = False  # a rollback stopped, and since then only a person kept the sites closed
	has_succeeded: bool = False  # it walked to its end once, whatever was asked for afterwards
	went_on_seq: int = 0  # where in the journal the last GO was followed
	given_up_seq: int = 0  # and where the last rollback was given up
	resumes: int = 0
	last_seq: int = 0

	def follow(self, record: Record) -> None:
		"""Take one more record into account."""
		self.last_seq = record.seq
		handler = _HANDLERS.get(record.event)
		if handler:
			handler(self, record, record.data)

	def step(self, name: str) -> StepState | None:
		return self.steps.get(name)

	def is_done(self, name: str) -> bool:
		"""Whether a step has made its effect (a skipped one has not)."""
		step = self.steps.get(name)
		return step is not None and step.status == "done"

	def was_announced(self, name: str) -> bool:
		"""Whether a step may have made its effect, wholly or in part."""
		step = self.steps.get(name)
		return step is not None and step.has_effect

	def moment_of(self, name: str) -> float:
		"""When a step was recorded as done, in epoch seconds; 0 when it wasn't."""
		step = self.steps.get(name)
		done = step is not None and step.status == "done"
		return datetime.fromisoformat(step.ended).timestamp() if done else 0.0

	def result(self, name: str) -> dict[str, Any]:
		step = self.steps.get(name)
		return step.result if step else {}

	def before(self, name: str) -> dict[str, Any]:
		step = self.steps.get(name)
		return step.before if step else {}

	@property
	def is_unfinished(self) -> bool:
		return self.state in UNFINISHED

	@property
	def is_closed(self) -> bool:
		"""Whether the run has closed the sites and not yet opened them again."""
		closed = [self.steps[name].started_seq for name in CLOSING if self.was_announced(name)]
		opened = [self.steps[name].ended_seq for name in OPENING if self.is_done(name)]
		return max(closed, default=0) > max(opened, default=0)

	@property
	def phase(self) -> str:
		return next((step.phase for step in reversed(self.steps.values())), Phase.PREFLIGHT.value)

	@property
	def verdict(self) -> str | None:
		return self.verdicts[-1]["verdict"] if self.verdicts else None

	@property
	def taken_requests(self) -> set[str]:
		return {request["name"] for request in self.requests}

	def needs(self, what: str) -> dict[str, Any]:
		"""Whether the release asks for requirements, build or migrate: {"needed", "why"}; `FetchCode` found out."""
		return self.result("fetch-code")["decisions"][what]

	@property
	def sites_without_standby(self) -> list[str]:
		"""Those for which preflight chose none: their database goes back by an import."""
		return self.result("preflight").get("without_standby", [])

	@property
	def rolls_database_back(self) -> bool:
		"""Whether the rollback takes the database with it: it was migrated, a person wants it so, or it is begun."""
		wanted = bool(self.rollback and self.rollback.get("database"))
		return wanted or self.was_announced("migrate") or self._was_announced_earlier("rollback-database")

	@property
	def database_may_follow(self) -> bool:
		"""Whether the run is rolled back with its code alone, so that its database may still be."""
		return self.state is State.ROLLED_BACK and not self.is_done("rollback-database")

	@property
	def opened_at(self) -> float:
		"""When the sites were last seen open again, in epoch seconds; 0 when they weren't."""
		return max(self.moment_of(name) for name in OPENING)

	@property
	def was_opened(self) -> bool:
		"""Whether the run itself let users work since the backup that a rollback returns to."""
		by_rollback = self._was_announced_earlier("rollback-open")
		return by_rollback or self.was_announced("open") or not self.is_done("final-backup")

	@property
	def may_stay_as_it_is(self) -> bool:
		"""Whether a rollback may still be given up: users had the release, and nothing of it was put back."""
		return self.was_announced("open") and not any(
			each.has_effect and (each.name.startswith("undo-") or each.name == "rollback-database")
			for each in (*self.earlier_rollbacks, *self.steps.values())
		)

	def approval_of(self, sha256: str) -> str | None:
		"""Who accepted, for this rollback, that what this list names is lost; None when nobody did."""
		begun = self.rollback["seq"] if self.rollback else 0
		asked = [request for request in self.requests if request["seq"] > begun]
		approvals = [*asked, *([self.rollback] if self.rollback else [])]
		return next((each["by"] for each in approvals if each.get("approves") == sha256), None)

	def decision(self) -> dict[str, Any] | None:
		"""What a person last decided since the run began to wait: a request as in the journal."""
		if not self.waiting:
			return None
		question = self.waiting["seq"]
		since = [
			request
			for request in self.requests
			if request["seq"] > question
			# A GO that was said before the question was put answers another one.
			and (request["action"] != "go" or request.get("answers") == question)
		]
		return since[-1] if since else None

	def was_put_back(self, name: str) -> bool:
		"""Whether an earlier rollback did this step and then opened the sites: what is there now is people's own."""
		names = [step.name for step in self.earlier_rollbacks if step.status == "done"]
		return name in names and "rollback-open" in names[names.index(name) :]

	def _was_announced_earlier(self, name: str) -> bool:
		"""Whether an earlier rollback of this run may have made this step's effect."""
		return any(step.name == name and step.has_effect for step in self.earlier_rollbacks)


def load_state(run: RunDirectory) -> RunState:
	"""Fold the journal of a run. Raises `JournalDamaged`."""
	state = RunState(run.name)
	if run.journal.exists():
		for record in read_journal(run.journal):
			state.follow(record)
	return state


def unfinished_runs(bench_path: Any) -> list[RunState]:
	"""The runs of a bench that are neither over nor only planned, oldest first."""
	states = [load_state(run) for run in list_runs(bench_path) if run.journal.exists()]
	return [state for state in states if state.is_unfinished]


def _created(state: RunState, record: Record, data: dict) -> None:
	state.state, state.started = State.RUNNING, record.time
	state.plan_sha256, state.dry_run = data["plan_sha256"], data.get("dry_run", False)


def _runner_started(state: RunState, record: Record, data: dict) -> None:
	state.resumes += bool(data.get("resumed"))


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
	state.was_left = state.was_left or state.state is State.FATAL
	state.has_succeeded = state.has_succeeded or state.state is State.SUCCEEDED
	_leave_steps(state, record, data["reason"])


def _collect(name: str):
	def handler(state: RunState, record: Record, data: dict) -> None:
		getattr(state, name).append({**data, "seq": record.seq, "time": record.time})

	return handler


def _losses(state: RunState, record: Record, data: dict) -> None:
	state.losses = {**data, "seq": record.seq, "time": record.time}


# Every event of the journal that says something about the state of a run.
_HANDLERS = {
	"run-created": _created,
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
	"run-ended": _ended,
}
