"""The rollback: close, undo what was announced, restart, see that the old release is healthy, open.

Invariant: a step is undone when it was announced, whether or not it got further; and nothing counts as
undone that was not observed. “Nothing was restored” is never a success.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.maintenance import CLOSED_OR_BROKEN
from press_deploy.engine.bench.preview import PREVIEW, open_preview
from press_deploy.engine.bench.program_logs import read_web_log
from press_deploy.engine.bench.services import WEB
from press_deploy.engine.ground.errors import STEP_LOG, DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.caches import ClearCaches
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.deploy import Maintenance
from press_deploy.engine.steps.export_losses import open_all_former_data
from press_deploy.engine.steps.install import RESTART_SECONDS, Restart, Stabilise
from press_deploy.engine.steps.jobs import PauseJobs
from press_deploy.engine.steps.prepare import Announce
from press_deploy.engine.steps.release import Open
from press_deploy.engine.steps.run import Run


class RollbackMaintenance(Maintenance):
	"""Close the sites, or keep them closed. What was there before is what the run first found."""

	name, title, phase = "rollback-maintenance", "Maintenance on", Phase.ROLLBACK
	wanted = CLOSED_OR_BROKEN

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		super().apply(run, before)
		sites = run.spec.site_names
		if not self.doors.maintenance.observe(sites, self.wanted).done:
			# A web server that hangs takes no reload. What it serves is to be replaced in any case.
			run.note("The web server did not follow a reload, so it was restarted at once.")
			self.doors.services.restart(WEB)
			self.doors.maintenance.wait_until(sites, self.wanted, RESTART_SECONDS)
		return {}

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.was_announced("maintenance") else "the run had closed nothing yet"

	def prepare(self, run: Run) -> dict[str, Any]:
		return run.state.before("maintenance")


class RollbackPauseJobs(PauseJobs):
	"""Where the database goes back: nobody may be at work on it."""

	name, title, phase = "rollback-pause-jobs", "Pause scheduler, drain jobs", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.was_announced("maintenance"):
			return "the run had closed nothing yet"
		return None if run.state.rolls_database_back else "the database stays as it is"

	def prepare(self, run: Run) -> dict[str, Any]:
		# What the first of them found: a later one would find what it had set.
		earlier = [step.before for step in run.state.earlier_rollbacks if step.name == self.name]
		return run.state.before("pause-jobs") or next(filter(None, earlier), None) or super().prepare(run)

	def _heed_requests(self, run: Run) -> None:
		"""A rollback is what the last request asked for."""

	def _goes_on(self, run: Run) -> bool:
		# Nobody is helped by a site that stays closed for an old job.
		return True

	def _ask(self, run: Run, seconds: float) -> list[dict[str, Any]]:
		try:
			return super()._ask(run, seconds)
		except DeployError as error:
			# A release that can't be imported can't be asked; its workers can't work either.
			run.note(f"Whether jobs are at work could not be asked: {error.why}")
			return []


class Undo(Step):
	"""Undoes one step of the deployment."""

	phase = Phase.ROLLBACK

	def __init__(self, step: Step, title: str):
		self.step, self.title = step, title
		self.name = f"undo-{step.name}"

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.was_announced(self.step.name):
			return "not done by the run, so there is nothing to undo"
		if run.state.was_put_back(self.name):
			return "an earlier rollback put it back, and the sites were opened on it"
		return None

	def prepare(self, run: Run) -> dict[str, Any]:
		return run.state.before(self.step.name)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		self.step.undo(run, before)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		if result is None and not self.step.undo_is_observable:
			return Observation(False, "not known; undone again")
		return self.step.observe_undone(run, before)


class RollbackClearCaches(ClearCaches):
	name, phase = "rollback-clear-caches", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return _why_nothing_is_restarted(run)


class RollbackRestart(Restart):
	name, title, phase = "rollback-restart", "Restart services", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return _why_nothing_is_restarted(run)


def _why_nothing_is_restarted(run: Run) -> str | None:
	changes = ("switch-code", "config", "clear-caches", "restart")
	changed = any(run.state.was_announced(name) for name in changes) or run.state.rolls_database_back
	return None if changed else "nothing that runs was changed"


class HealthCheck(Stabilise):
	"""See the old release answer through the preview instance before the public gets it back."""

	name, title, phase = "health-check", "Health check", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.was_announced("maintenance") else "the run had changed nothing"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		if unhealthy := self._unhealthy(run):
			remedy = f"see why: {read_web_log(run.bench)}"
			raise StepFailed("Checking", f"the web server of {run.bench.path}", unhealthy, remedy)
		sites = run.spec.site_names
		directory = run.directory.path / PREVIEW
		with open_preview(run.bench, sites, directory, run.programs, self.doors.web) as address:
			for site in sites:
				answer = self.doors.web.ask(site, run.spec.monitor.path, address=address, timeout=30)
				if answer.kind != GOOD:
					raise StepFailed(
						"Checking",
						site,
						f"{run.spec.monitor.path} answers {answer.status or answer.kind} after the rollback",
						f"see {STEP_LOG}, where the preview instance says why, and: "
						f"ls -t {run.bench.site(site) / 'logs'}",
					)
		return {"found": f"{len(sites)} site(s) healthy on the former release"}


@dataclass(eq=False)
class RollbackOpen(Open):
	databases: Databases

	name, title, phase = "rollback-open", "Maintenance off", Phase.ROLLBACK

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		open_all_former_data(run, self.databases)
		return super().apply(run, before)

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.was_announced("maintenance") else "the run had closed nothing"


class AnnounceRollback(Announce):
	name, title, phase = "announce-rollback", "Announce the rollback", Phase.ROLLBACK
	subject = "Deployment rolled back: {title}"
