"""What a step is. The runner announces it, applies it, observes it and records it; nobody else does.

A new step is a subclass in the file of its phase, plus one line in `steps/__init__.py`. If it changes
something, it also says how that is undone; the crash tests find it through the table by themselves.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.run import Run

# What is left of the step is to stay: it only looked, or made what retention removes.
NOTHING: tuple[str, ...] = ()


class Step:
	"""The unit of a run.

	`prepare` returns what undo will need; it is in the journal before `apply` begins.
	`apply` makes the effect, and must be safe to call again after it was interrupted anywhere.
	`observe` asks reality. After a crash `result` is None: nobody knows what `apply` returned.
	`undo` puts back what `prepare` found, and is as repeatable as `apply`.
	"""

	name: str
	title: str
	phase: Phase
	# Of a step of the rollout: the steps of the way back that undo it, by name, or `NOTHING`.
	undone_by: tuple[str, ...]
	# Whether reality shows that it was undone; if not, a rollback that died undoes it again.
	undo_is_observable = True

	def skip_reason(self, run: Run) -> str | None:
		"""Why this plan has no need of the step; None when it has."""
		return None

	def prepare(self, run: Run) -> dict[str, Any]:
		"""What is there before the effect, as JSON without secrets. Changes nothing."""
		return {}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		"""Make the effect; return what is worth recording. Raises `DeployError`."""
		raise NotImplementedError

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		"""Whether the effect is there, in reality. The default is for steps that only look:
		what they saw is their effect, and after a crash they look again."""
		return Observation(result is not None, (result or {}).get("found", "done"))

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		"""Put back what was there before."""

	def observe_undone(self, run: Run, before: dict[str, Any]) -> Observation:
		"""Whether what was there before is there again."""
		return Observation(True, "nothing to undo")
