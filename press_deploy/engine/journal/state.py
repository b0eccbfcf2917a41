"""What the journal says of a run: a fold over its records, and nothing else.

Invariant: the state is derived. Two readers of the same journal see the same run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from press_deploy.engine.journal.folding import fold
from press_deploy.engine.journal.journal import Record, read_journal
from press_deploy.engine.journal.lifecycle import (
	CLOSING,
	EXIT_CODES,
	OPENING,
	UNCHANGED,
	UNFINISHED,
	Phase,
	State,
	StepState,
)
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs

__all__ = [
	"EXIT_CODES",
	"UNCHANGED",
	"UNFINISHED",
	"Phase",
	"RunState",
	"State",
	"StepState",
	"load_state",
	"unfinished_runs",
]


@dataclass
class RunState:
	"""One run, as its journal tells it."""

	run: str
	state: State = State.PENDING
	plan_sha256: str | None = None
	dry_run: bool = False
	targets: dict[str, str] = field(
		default_factory=dict
	)  # app → the commit that its remote named in preflight
	by_shell: bool = False  # the bench's user began it in a shell, from a plan that is a file of his
	home: str | None = None  # the name of the home that it is executed from; none where it began without
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
	asked_seq: int = 0  # the last record after which a person has to act: it waits, or ended Fatal
	told_seq: int = 0  # and the last such record that people were told of
	resumes: int = 0
	last_seq: int = 0

	def follow(self, record: Record) -> None:
		"""Take one more record into account."""
		fold(self, record)

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
	def has_held_workers(self) -> bool:
		"""Whether the run, or its rollback, may have told the workers to take no job."""
		return self.was_announced("pause-jobs") or self.was_announced("rollback-pause-jobs")

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
