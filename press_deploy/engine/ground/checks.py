"""What a check of preflight says, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Check:
	"""One line of preflight: what was looked at, what was found, and what to do about it."""

	name: str
	outcome: str
	found: str
	remedy: str = ""

	def as_data(self) -> dict[str, Any]:
		return {"name": self.name, "outcome": self.outcome, "found": self.found, "remedy": self.remedy}


def ok(name: str, found: str) -> Check:
	return Check(name, OK, found)


def warn(name: str, found: str, remedy: str) -> Check:
	return Check(name, WARNING, found, remedy)


def fail(name: str, found: str, remedy: str) -> Check:
	return Check(name, FAILED, found, remedy)
