"""Makes a fault happen inside a run, at one record of its journal, and shows that it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State
from press_deploy.engine.steps.base import Step


class Saboteur:
	"""A listener that does something once, right after a record of the journal, and counts it."""

	def __init__(self, event: str, step: str, act: Callable[[], Any]):
		self._event, self._step, self._act = event, step, act
		self.fired = 0

	def journal_appended(self, record: Record, state: RunState) -> None:
		if not self.fired and record.event == self._event and record.data.get("step", "") == self._step:
			self.fired += 1
			self._act()

	def progress_made(self, line: str) -> None:
		"""No fault is tied to it."""

	def effect_made(self, step: Step) -> None:
		"""Only what is in the journal counts here."""


def run_sabotaged(bench: PracticeBench, run: RunDirectory, saboteur: Saboteur) -> State:
	state = execute(Bench.open(bench.path), run, [saboteur])
	assert saboteur.fired == 1
	return state
