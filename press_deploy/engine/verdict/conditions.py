"""Conditions, and the verdict over them.

Invariant: only conditions that were measured and hold make a GO. What is not known makes it INCONCLUSIVE,
a probe that crashed makes it ERROR, and a verdict over nothing is never GO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from press_deploy.engine.plan.spec import Triggers


class Verdict(str, Enum):
	GO = "GO"
	NO_GO = "NO-GO"
	INCONCLUSIVE = "INCONCLUSIVE"
	ERROR = "ERROR"


@dataclass(frozen=True)
class Condition:
	"""One line of a verdict. `holds` is None when nobody knows; `trigger` names the plan's action for it."""

	name: str
	holds: bool | None
	value: str
	threshold: str
	evidence: str = ""
	trigger: str = ""
	crashed: bool = False

	def as_data(self) -> dict[str, Any]:
		return asdict(self)


def conclude(conditions: Iterable[Condition]) -> Verdict:
	"""The verdict over all conditions."""
	conditions = list(conditions)
	if any(condition.holds is False for condition in conditions):
		return Verdict.NO_GO
	if any(condition.crashed for condition in conditions):
		return Verdict.ERROR
	if not conditions or any(condition.holds is not True for condition in conditions):
		return Verdict.INCONCLUSIVE
	return Verdict.GO


def wants_rollback(conditions: Iterable[Condition], triggers: Triggers) -> bool:
	"""Whether one of the broken conditions is a trigger for which the plan says: roll back by yourself.

	The runbook makes CPU and memory a condition of GO, but no trigger: a person decides over them.
	"""
	broken = (condition for condition in conditions if condition.holds is False)
	return any(getattr(triggers, condition.trigger, "ask") == "roll_back" for condition in broken)


def settle(
	conditions: Callable[[], list[Condition]],
) -> tuple[Verdict, list[Condition]]:
	"""Judge, and let a probe that crashes be an ERROR instead of a crash."""
	try:
		found = conditions()
	except Exception as error:
		crash = Condition(
			"Judging", None, "unknown", "a figure", f"{type(error).__name__}: {error}", crashed=True
		)
		return Verdict.ERROR, [crash]
	return conclude(found), found
