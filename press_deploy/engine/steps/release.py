"""Open, monitor, close: the sites are given back to their users and watched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.maintenance import OPEN
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.decision import decide, describe
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.steps.jobs import put_scheduler_back
from press_deploy.engine.steps.prepare import Announce
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.validate import check_http, find_new_errors, http_checks, judge_programs
from press_deploy.engine.verdict.conditions import Condition, Verdict, wants_rollback
from press_deploy.engine.verdict.judge import judge_monitoring, judge_triggers
from press_deploy.engine.verdict.metrics import list_gauges
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.logs import count_against, weighing
from press_deploy.engine.watching.probes import WINDOW_INTERVAL_SECONDS, Probe, read_probes
from press_deploy.engine.watching.sampling import Sample, Sampler, read_samples
from press_deploy.engine.watching.watched_logs import WatchedLogs
from press_deploy.helper.site_config import get_value


@dataclass(eq=False)
class Open(Step):
	"""Give the sites back: maintenance and scheduler exactly as they were before."""

	doors: Doors

	name, title, phase = "open", "Maintenance off", Phase.OPEN
	undone_by = ("rollback-maintenance",)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		put_scheduler_back(run, self._jobs_before(run))
		self.doors.lease.close()
		self.doors.services.maintenance_off(run.name, run.state.before("maintenance")["previous"])
		self.doors.maintenance.wait_until(run.spec.site_names, OPEN)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		former = {
			"maintenance_mode": run.state.before("maintenance"),
			"pause_scheduler": self._jobs_before(run),
		}
		for key, found in former.items():
			for site, value in found.get("previous", {}).items():
				if get_value(str(run.bench.site_config(site)), key) != value:
					return Observation(False, f"{key} of {site} is not as it was before")
		return self.doors.maintenance.observe(run.spec.site_names, OPEN)

	def _jobs_before(self, run: Run) -> dict[str, Any]:
		"""What the run found before it paused the scheduler, or its rollback did."""
		state = run.state
		return state.before("pause-jobs") or state.before("rollback-pause-jobs") or {"previous": {}}


@dataclass(eq=False)
class PublicSmokeTests(Step):
	"""The same HTTP smoke tests again, now as the public sees the sites."""

	doors: Doors

	name, title, phase = "public-smoke-tests", "Public smoke tests", Phase.OPEN
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if http_checks(run) else "the plan has no HTTP smoke test"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		return decide(run, self.name, "after opening", lambda: self._ask(run))

	def _ask(self, run: Run) -> list[Condition]:
		return [
			check_http(self.doors.web, site, test, None)
			for site in run.spec.site_names
			for test in http_checks(run)
		]


@dataclass(eq=False)
class Monitor(Step):
	"""Sample the open sites for the plan's duration, and roll back as soon as a trigger fires."""

	doors: Doors
	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = "monitor", "Monitor", Phase.MONITOR
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.monitor.seconds else "the plan's duration is 0"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		monitor = run.spec.monitor
		self.doors.prober.ensure_started(min(1.0, monitor.interval_seconds))
		sampler = Sampler(run.directory.samples, list(self.databases.sites.values()), list_gauges())
		self.doors.prober.take()  # what was answered before the sites were open is no sample of them
		# What counts is the time that was really watched: a runner that died saw nothing meanwhile.
		samples = samples_since_opening(run)
		watched = len(samples) * monitor.interval_seconds
		while watched < monitor.seconds:
			time.sleep(monitor.interval_seconds)
			run.stop_if_asked()
			findings, unread = find_new_errors(run, self.watched_logs, self.databases)
			is_known = not unread and not weighing(findings, Weight.UNKNOWN)
			count = count_against(findings) if is_known else None
			samples.append(sampler.sample(self.doors.prober.take(), count))
			self._evaluate_triggers(run, samples, findings)
			watched += monitor.interval_seconds
		self.doors.prober.ensure_started(WINDOW_INTERVAL_SECONDS)
		samples, probes = samples_since_opening(run), since_opening(run)
		return {"found": f"{len(probes)} answers and {len(samples)} samples"}

	def _evaluate_triggers(self, run: Run, samples: list[Sample], findings: list[dict[str, Any]]) -> None:
		baselines = run.state.result("baseline")["latency"]
		fired = judge_triggers(samples, since_opening(run), findings, baselines, run.spec)
		if time.time() - run.state.moment_of("restart") < run.spec.stabilise.seconds:
			fired += [each for each in judge_programs(run, self.doors.services) if each.holds is False]
		known = {trigger["name"] for trigger in run.state.triggers}
		for condition in fired:
			if condition.name not in known:
				action = getattr(run.spec.triggers, condition.trigger)
				run.journal.append("trigger", {**condition.as_data(), "action": action})
		if wants_rollback(fired, run.spec.triggers):
			raise RollbackNeeded(describe(Verdict.NO_GO, fired))


@dataclass(eq=False)
class FinalVerdict(Step):
	"""The verdict over everything that was sampled since the sites were opened."""

	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = "final-verdict", "Final verdict", Phase.MONITOR
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.monitor.seconds else "nothing was monitored"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		return decide(run, self.name, "after monitoring", lambda: self._collect(run))

	def _collect(self, run: Run) -> list[Condition]:
		baselines = run.state.result("baseline")["latency"]
		samples, probes = samples_since_opening(run), since_opening(run)
		findings, unread = find_new_errors(run, self.watched_logs, self.databases)
		conditions = judge_monitoring(samples, probes, findings, baselines, run.spec, unread)
		return [*conditions, *self._fired(run)]

	def _fired(self, run: Run) -> list[Condition]:
		"""The triggers that fired meanwhile and left it to a person, over or not."""
		opened = run.state.step("open").started
		fired = [each for each in run.state.triggers if each["time"] > opened]
		keys = Condition.__dataclass_fields__
		return [
			Condition(**{key: each[key] for key in keys if key != "name"}, name=f"Trigger: {each['name']}")
			for each in fired
		]


class AnnounceSuccess(Announce):
	name, title, phase = "announce-success", "Announce success", Phase.CLOSE
	undone_by = ("announce-rollback",)
	subject = "Deployment succeeded: {title}"


class FollowUp(Step):
	"""Leave the run to its follow-up: the scheduler records figures every day until it closes."""

	name, title, phase = "follow-up", "Open the follow-up", Phase.CLOSE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.control_site else "no site controls this run, so none keeps a record of it"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		# For how many days is the site's to say, when its record of the run opens it.
		site = run.spec.control_site
		return {"found": f"a figure a day, for as many days as Deployment Settings of {site} say"}


def since_opening(run: Run) -> list[Probe]:
	"""The answers to the prober since the sites were observed open."""
	opened = run.state.opened_at
	return [probe for probe in read_probes(run.directory.probes) if probe.time > opened]


def samples_since_opening(run: Run) -> list[Sample]:
	opened = run.state.opened_at
	return [sample for sample in read_samples(run.directory.samples) if sample.time > opened]
