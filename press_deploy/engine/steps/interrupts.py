"""What takes a run off its straight way without being an error: a rollback, a wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from press_deploy.engine.ground.errors import DeployError


class RollbackNeeded(Exception):
	"""The run must go back. `by` is the person who asked; None for a trigger or a failure.

	`database`: the database goes back too, whatever the run did to it. `approves`: the SHA-256 of the list of
	lost documents that this person was shown.
	"""

	def __init__(
		self,
		cause: str,
		by: str | None = None,
		error: DeployError | None = None,
		*,
		database: bool = False,
		approves: str | None = None,
	):
		super().__init__(cause)
		self.cause, self.by, self.error = cause, by, error
		self.database, self.approves = database, approves

	@classmethod
	def asked_by(cls, request: Mapping[str, Any]) -> RollbackNeeded:
		"""What a request asks for, as it stands in the journal."""
		cause = f"{request['action']} by {request['by']}: {request['reason']}"
		database, approves = bool(request.get("database")), request.get("approves")
		return cls(cause, request["by"], database=database, approves=approves)

	def as_data(self) -> dict[str, Any]:
		return {
			"cause": self.cause,
			"by": self.by,
			"error": self.error.as_data() if self.error else None,
			"database": self.database,
			"approves": self.approves,
		}


class WaitForPerson(Exception):
	"""Only a person can decide. Without `accepts_go` going on is no choice, only when to roll back.

	`when_nobody_decides`: at the plan's deadline "roll_back", "keep" the release, or just "wait".
	`approve`: the SHA-256 of the list whose loss has to be approved before the rollback goes on.
	"""

	def __init__(
		self,
		reason: str,
		when_nobody_decides: str = "roll_back",
		accepts_go: bool = True,
		approve: str | None = None,
	):
		super().__init__(reason)
		self.reason, self.when_nobody_decides, self.accepts_go = reason, when_nobody_decides, accepts_go
		self.approve = approve

	def as_data(self) -> dict[str, Any]:
		return {
			"reason": self.reason,
			"when_nobody_decides": self.when_nobody_decides,
			"accepts_go": self.accepts_go,
			"approve": self.approve,
		}
