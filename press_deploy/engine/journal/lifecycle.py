"""The phases of a rollout, and the states that a run and its steps can be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


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


# The error of a step that did not fail: the run left its way while it was under way.
LEFT = "Left"

# Over before anything was changed: there is nothing to go back from.
UNCHANGED = {State.REFUSED, State.ABORTED, State.CHECKED}

UNFINISHED = {State.PENDING, State.RUNNING, State.WAITING, State.ROLLING_BACK}

EXIT_CODES = {
	State.SUCCEEDED: 0,
	State.CHECKED: 0,
	State.REFUSED: 2,
	State.ROLLED_BACK: 3,
	State.WAITING: 4,
	State.FATAL: 5,
}


# The steps that close the sites, and those after which they are as before.
CLOSING = ("maintenance", "rollback-maintenance")
OPENING = ("open", "rollback-open")
# Before this one is announced there is nothing to roll back.
FIRST_CHANGE = CLOSING[0]


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
