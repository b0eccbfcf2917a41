"""Lets the records in the control site follow the journal while a run goes on.

Invariant: the run never fails over its records, and waits for them only before their database is to stand
still; the journal is the truth, and whatever was missed is projected the next time, by the scheduler at the latest.
"""

from __future__ import annotations

import threading

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.step_log import StepLog
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState

LIMIT_SECONDS = 120
# Between one projection and the next: each starts Frappe, on the processors that serve the site and are sampled.
PAUSE_SECONDS = 2.0
EVENTS = {"run-created", "step-observed", "step-failed", "trigger", "waiting", "rollback-started"}


class Projector:
	"""Projects the journal from a thread: one site process at a time, however many records there are."""

	def __init__(self, bench: Bench, run: RunDirectory, control_site: str | None):
		self._programs = Programs(run.name)
		self._site_processes = SiteProcesses(bench, self._programs)
		self._run, self._site = run, control_site
		self._wanted = threading.Event()
		self._closing = threading.Event()
		self._thread: threading.Thread | None = None

	def follow(self, record: Record, state: RunState) -> None:
		"""A record was written: let the site know, unless nobody could look at it there."""
		if self._site and record.event in EVENTS and not state.is_closed:
			self._wanted.set()
			if self._thread is None:
				self._thread = threading.Thread(target=self._project_steadily, name="projection", daemon=True)
				self._thread.start()

	def finish(self) -> None:
		"""Project everything there is, and stop."""
		if self._site:
			self.close()
			self._project()

	def close(self) -> None:
		"""Wait until nothing is being projected; what is still wanted is left for the next time."""
		if self._thread:
			self._closing.set()
			self._wanted.set()
			self._thread.join()
			self._closing.clear()
			self._thread = None

	def _project_steadily(self) -> None:
		while self._wanted.wait() and not self._closing.is_set():
			self._wanted.clear()
			self._project()
			self._closing.wait(PAUSE_SECONDS)

	def _project(self) -> None:
		self._programs.log = StepLog(self._run.step_log("projection"))
		try:
			self._site_processes.call(
				"project", self._site, timeout=LIMIT_SECONDS, run_path=str(self._run.path)
			)
		except DeployError:
			# It is in the log of the projection; the run has more important things to do.
			pass
		finally:
			self._programs.log.close()
