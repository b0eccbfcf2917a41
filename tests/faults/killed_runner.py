"""Executes a run and kills itself with SIGKILL at one point of one step.

    python -m tests.faults.killed_runner BENCH RUN EVENT [STEP] [LEASE_SECONDS]

`kill_at` does the same in a fork of the process that tests, which spares it the start of an interpreter.

EVENT is an event of the journal, right after whose record on the disk the runner dies, or `effect`: after
a step was applied, before that is observed and recorded; or `call`: instead of calling the function that
STEP then is, as `module:function`; or `refused`: right after the record that the step failed, because what it
asks for is refused.

From the command line it asks the helper to watch it, as any runner does. A fork does not, so that it stays dead
until the test resumes the run, or its lease is over.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from press_deploy.engine.bench import maintenance
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.services import Services
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.ground.errors import ServiceError
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps import doors
from press_deploy.engine.steps.base import Step
from tests.support.steps import apply_instead


class Killer:
	"""A listener that ends its own process without any farewell."""

	def __init__(self, event: str, step: str):
		self._event, self._step = event, step

	def journal_appended(self, record: Record, state: RunState) -> None:
		if record.event == self._event and record.data.get("step", "") == self._step:
			self.die()

	def effect_made(self, step: Step) -> None:
		if self._event == "effect" and step.name == self._step:
			self.die()

	def progress_made(self, line: str) -> None:
		"""Nothing dies of it."""

	def die(self, *_: Any) -> None:
		os.kill(os.getpid(), signal.SIGKILL)


def _refuse(*_: Any) -> None:
	raise ServiceError("Asking", "the helper", "it refuses", "ask again")


def kill_at(bench: Path, run: str, event: str, step: str, lease_seconds: int) -> int:
	"""Execute the run in a fork, and return how that ended, negative for a signal."""
	process = os.fork()
	if not process:
		try:
			Services.watch_runner = lambda self, run: None
			main(str(bench), run, event, step, str(lease_seconds))
			os._exit(0)
		except BaseException:
			traceback.print_exc()
			os._exit(1)
	return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(bench: str, run: str, event: str, step: str = "", lease_seconds: str = "30") -> None:
	maintenance.LEASE_SECONDS = doors.LEASE_SECONDS = int(lease_seconds)
	opened, killer = Bench.open(bench), Killer(event, step)
	if event == "call":
		module, _, function = step.partition(":")
		setattr(importlib.import_module(module), function, killer.die)
	if event == "refused":
		killer = Killer("step-failed", step)
		apply_instead(step, _refuse)
	execute(opened, RunDirectory.open(opened.path, run), [killer])


if __name__ == "__main__":
	main(*sys.argv[1:])
