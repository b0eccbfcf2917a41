"""Monitor: the open sites are watched, and go back as soon as a trigger fires."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.decision import decide, describe
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.steps.living_programs import judge_programs
from press_deploy.engine.steps.new_errors import find_new_errors
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition, Verdict, wants_rollback
from press_deploy.engine.verdict.judge import judge_monitoring, judge_triggers
from press_deploy.engine.verdict.metrics import list_gauges
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.logs import count_against, weighing
from press_deploy.engine.watching.probes import WINDOW_INTERVAL_SECONDS, Probe, read_probes
from press_deploy.engine.watching.sampling import Sample, Sampler, read_samples
from press_deploy.engine.watching.watched_logs import WatchedLogs


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


def since_opening(run: Run) -> list[Probe]:
	"""The answers to the prober since the sites were observed open."""
	opened = run.state.opened_at
	return [probe for probe in read_probes(run.directory.probes) if probe.time > opened]


def samples_since_opening(run: Run) -> list[Sample]:
	opened = run.state.opened_at
	return [sample for sample in read_samples(run.directory.samples) if sample.time > opened]
