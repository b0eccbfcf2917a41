"""Background jobs: the scheduler is paused and the workers are held while the sites are closed, and go on afterwards.

Invariant: nothing that goes wrong after the opening changes how the run ends; workers that can't be told to go on
do so by themselves when the hold is over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.draining import AT_WORK, WAITING, describe_jobs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.projection import Projector
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.run import Run
from press_deploy.helper.site_config import get_value, set_values, site_config_paths

JOBS_SECONDS = 60
# So long the site process waits for the end of the jobs before it says which there still are.
DRAIN_LOOK_SECONDS = 3.0
HELD_BY_OTHERS = (
	"The workers are suspended by somebody else (rq suspend): they take no job after the opening either, until somebody "
	"lets them: rq resume, in the bench's env/bin."
)


@dataclass(eq=False)
class PauseJobs(Step):
	"""Pause the scheduler, hold the workers, and let the jobs finish that are at work.

	Jobs that wait for a worker wait until the sites are open: `ResumeJobs` lets the workers go on.
	"""

	site_processes: SiteProcesses
	projector: Projector

	name, title, phase = "pause-jobs", "Pause scheduler, drain jobs", Phase.DEPLOY
	undone_by = ("rollback-open", "rollback-resume-jobs")
	key = "pause_scheduler"

	def prepare(self, run: Run) -> dict[str, Any]:
		values = {site: get_value(str(run.bench.site_config(site)), self.key) for site in run.spec.site_names}
		return {"previous": values}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in run.spec.site_names:
			set_values(
				*site_config_paths(str(run.bench.path), site), {self.key: {"present": True, "value": 1}}
			)
		# They are written into the very database that must not change from now on.
		self.projector.close()
		answers = self._drain(run)
		busy, waiting = _find(AT_WORK, answers), len(_find(WAITING, answers))
		if busy:
			limit, jobs = run.spec.drain.seconds, describe_jobs(busy)
			run.note(f"Went on after {limit:g} s although jobs were not done: {jobs}")
		if not all(answer["held"] for answer in answers):
			run.note(HELD_BY_OTHERS)
		now = f"{len(busy)} job(s) not done, the plan says go on" if busy else "no job at work"
		later = f"; {waiting} wait(s) until the sites are open" if waiting else ""
		return {"busy": busy, "waiting": waiting, "found": f"paused; {now}{later}"}

	def _drain(self, run: Run) -> list[dict[str, Any]]:
		"""Ask until no job is at work, or the plan goes on at its limit; what was answered last."""
		begun, limit, told, patience = time.monotonic(), run.spec.drain.seconds, "", 0.0
		while busy := _find(AT_WORK, answers := self._ask(run, patience)):
			self._heed_requests(run)
			jobs, left = describe_jobs(busy), begun + limit - time.monotonic()
			if left <= 0 and self._goes_on(run):
				break
			if jobs != told:
				told = jobs
				run.log(f"Not done yet: {jobs}")
				run.on_progress(f"not done yet: {jobs}")
			patience = min(DRAIN_LOOK_SECONDS, left) if left > 0 else DRAIN_LOOK_SECONDS
		return answers

	def _heed_requests(self, run: Run) -> None:
		run.stop_if_asked()

	def _goes_on(self, run: Run) -> bool:
		return run.spec.drain.when_exceeded == "go_on"

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		wrong = [site for site in run.spec.site_names if not run.bench.read_config(site).get(self.key)]
		if wrong:
			return Observation(False, f"the scheduler of {', '.join(wrong)} is not paused")
		# Whether jobs are at work is asked again after a crash.
		return Observation(result is not None, (result or {}).get("found", "paused; jobs not asked for yet"))

	def _ask(self, run: Run, seconds: float) -> list[dict[str, Any]]:
		"""What the drain says of the sites of each queue, after waiting for some seconds for the jobs at work."""
		asked = {"run": run.name, "seconds": seconds}
		return [
			self.site_processes.call("drain", sites[0], timeout=JOBS_SECONDS + seconds, sites=sites, **asked)
			for sites in _sharing_queues(run)
		]


@dataclass(eq=False)
class ResumeJobs(Step):
	"""Once the sites are open: one of the scheduler's jobs fails while they are closed, and is not tried again."""

	site_processes: SiteProcesses

	name, title, phase = "resume-jobs", "Let the workers go on", Phase.OPEN
	undone_by = ("rollback-pause-jobs",)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		try:
			answers = [
				self.site_processes.call("release_workers", sites[0], timeout=JOBS_SECONDS, run=run.name)
				for sites in _sharing_queues(run)
			]
		except DeployError as error:
			run.note(
				f"The workers could not be told to go on: {error.why}. They do by themselves within the hour. At once: "
				f"{run.bench.path}/env/bin/rq resume --url ADDRESS, with the address that redis_queue names in "
				f"{run.bench.common_config}"
			)
			return {"released": False, "found": "could not be told; they do by themselves within the hour"}
		released = any(answer["released"] for answer in answers)
		return {"released": released, "found": "at work" if released else "nobody was held by this run"}


class RollbackResumeJobs(ResumeJobs):
	name, phase = "rollback-resume-jobs", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.has_held_workers else "no worker was held"


def put_scheduler_back(run: Run, before: dict[str, Any]) -> None:
	"""What `PauseJobs` found before it set its key, absence included. Safe to repeat."""
	for site, value in before["previous"].items():
		set_values(*site_config_paths(str(run.bench.path), site), {PauseJobs.key: value})


def _sharing_queues(run: Run) -> list[list[str]]:
	"""The plan's sites, those together that share their queues, as those of a bench usually do: one process asks for
	all of them."""
	sharing: dict[str | None, list[str]] = {}
	for site in run.spec.site_names:
		sharing.setdefault(run.bench.read_config(site).get("redis_queue"), []).append(site)
	return list(sharing.values())


def _find(state: str, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
	return [job for answer in answers for job in answer["jobs"] if job["state"] == state]
