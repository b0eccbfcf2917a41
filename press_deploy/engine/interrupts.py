"""What takes a run off its straight way without being an error: a rollback, a wait for a person."""

from __future__ import annotations

from typing import Any

from press_deploy.engine.errors import DeployError


class RollbackNeeded(Exception):
	"""The run must go back. `by` is the person who asked; None for a trigger or a failure."""

	def __init__(self, cause: str, by: str | None = None, error: DeployError | None = None):
		super().__init__(cause)
		self.cause, self.by, self.error = cause, by, error

	def as_data(self) -> dict[str, Any]:
		return {"cause": self.cause, "by": self.by, "error": self.error.as_data() if self.error else None}


class WaitForPerson(Exception):
	"""Only a person can decide. Without `accepts_go` going on is no choice, only when to roll back.

	`when_nobody_decides`: "roll_back" at the plan's deadline, or "wait".
	"""

	def __init__(self, reason: str, when_nobody_decides: str = "roll_back", accepts_go: bool = True):
		super().__init__(reason)
		self.reason, self.when_nobody_decides, self.accepts_go = reason, when_nobody_decides, accepts_go

	def as_data(self) -> dict[str, Any]:
		return {
			"reason": self.reason,
			"when_nobody_decides": self.when_nobody_decides,
			"accepts_go": self.accepts_go,
		}
