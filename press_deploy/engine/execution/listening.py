"""Who watches a run, and how each of them is told.

Invariant: a watcher that has gone ends no deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps.base import Step


class Listener(Protocol):
	"""Who watches a run: the terminal, the records in Desk, a test that kills it."""

	def journal_appended(self, record: Record, state: RunState) -> None:
		"""A record is on the disk, and `state` has taken it into account."""

	def effect_made(self, step: Step) -> None:
		"""A step was applied; it is not observed yet and not recorded."""

	def progress_made(self, line: str) -> None:
		"""A long step says how far it is."""


def tell_each(listeners: list[Listener], tell: Callable[[Listener], None]) -> None:
	"""A terminal that has gone, or a pipe nobody reads, must not end a deployment: it is told nothing more."""
	for listener in list(listeners):
		try:
			tell(listener)
		except (OSError, ValueError):
			listeners.remove(listener)
