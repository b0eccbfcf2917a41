"""What every step is handed: the facts of its run, and a voice.

Invariant: a request to stop is asked of the journal, so that it survives a kill. Nothing is kept here that the journal
does not say.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import DeployError, ServiceError, Stopped
from press_deploy.engine.ground.progress import ProgressMeter
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lifecycle import CLOSING, FIRST_CHANGE
from press_deploy.engine.journal.requests import Request, find_stop, read_requests
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.helper.errors import HelperError
from press_deploy.helper.site_config import get_value


@dataclass
class Run:
	"""One run, opened for execution. `programs` writes what is said into the log of the step at work."""

	bench: Bench
	directory: RunDirectory
	spec: PlanSpec
	journal: Journal
	state: RunState
	programs: Programs
	# Told how far a long step is; unlike the journal it is nothing to keep.
	on_progress: Callable[[str], None] = field(default=lambda line: None)

	@property
	def name(self) -> str:
		return self.directory.name

	# --- facts ---------------------------------------------------------------------------------

	def required_rung(self) -> int:
		"""How well proven every backup must be; known when the release was fetched."""
		return self.spec.backup.rung_before_window(self.state.needs("migrate")["needed"])

	def maintenance_keys(self) -> dict[str, dict[str, Any]]:
		"""What each site's configuration says of maintenance now, absence included. Raises `ServiceError`."""
		paths = {site: str(self.bench.site_config(site)) for site in self.spec.site_names}
		try:
			return {site: get_value(path, "maintenance_mode") for site, path in paths.items()}
		except HelperError as error:
			remedy = f"mend it by hand: {', '.join(paths.values())}"
			raise ServiceError("Reading", "the configuration of the sites", str(error), remedy) from error

	def has_closed_sites(self) -> bool:
		"""Whether sites are closed by this run. What was announced but not observed is looked at, not believed."""
		if not self.state.is_closed:
			return False
		closing = [self.state.step(name) for name in CLOSING if self.state.was_announced(name)]
		before = next(step.before["previous"] for step in closing)
		try:
			return any(step.status == "done" for step in closing) or self.maintenance_keys() != before
		except DeployError as error:
			self.log(str(error))
			return True

	def may_have_changed_something(self) -> bool:
		"""Whether there is anything to go back from: more than the closing was announced, or it had an effect."""
		if not self.state.was_announced(FIRST_CHANGE):
			return False
		return self.state.is_done(FIRST_CHANGE) or bool(self.state.rollback) or self.has_closed_sites()

	# --- people --------------------------------------------------------------------------------

	def take_request(self) -> Request | None:
		"""The next thing somebody asks of this run, noted in the journal as taken."""
		for request in read_requests(self.directory, self.state.taken_requests):
			self.journal.append(
				"request-taken",
				{
					"name": request.name,
					"action": request.action,
					"by": request.by,
					"reason": request.reason,
					"asked": request.time,
					"database": request.database,
					"approves": request.approves,
					"answers": request.answers,
				},
			)
			return request
		return None

	def has_requests(self) -> bool:
		"""Whether somebody asks for something that nobody took yet."""
		return bool(read_requests(self.directory, self.state.taken_requests))

	def stop_if_asked(self) -> None:
		"""Between two steps, and in those that take long: does somebody want the run to stop?

		Raises `RollbackNeeded`, or `Stopped` while there is nothing to undo yet.
		"""
		while self.take_request():
			pass
		request = find_stop(self.state)
		if request and self.may_have_changed_something():
			raise RollbackNeeded.asked_by(request)
		if request:
			raise Stopped("Stopping", f"run {self.name}", f"{request['by']}: {request['reason']}")

	# --- words ---------------------------------------------------------------------------------

	def note(self, text: str) -> None:
		"""Something an admin should read in the report."""
		self.journal.append("note", {"text": text})
		self.log(text)

	def log(self, text: str) -> None:
		"""A line in the log of the step at work."""
		self.programs.log.write(f"{time.strftime('%H:%M:%S')} {text}\n")

	def log_exception(self) -> None:
		self.log(traceback.format_exc())

	@contextmanager
	def log_of(self, step: str) -> Iterator[None]:
		"""Everything that is said within goes to the log of this step."""
		with self.programs.logging_to(self.directory.step_log(step)):
			yield

	def measure(self, what: str) -> ProgressMeter:
		"""Progress in bytes of something that takes long, for its step's log and whoever watches."""

		def tell(line: str) -> None:
			self.log(f"{what}: {line}")
			self.on_progress(f"{what}: {line}")

		return ProgressMeter(tell)
