"""Open, monitor, close: the sites are given back to their users and watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench.maintenance import OPEN
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.decision import decide, describe
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.steps.jobs import PauseJobs
from press_deploy.engine.steps.prepare import Announce
from press_deploy.engine.steps.validate import check_http, find_new_errors, http_checks, judge_programs
from press_deploy.engine.verdict.conditions import (
	Condition,
	Verdict,
	judge_monitoring,
	judge_triggers,
	wants_rollback,
)
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.logs import count_against, weighing
from press_deploy.engine.watching.probes import WINDOW_INTERVAL_SECONDS, Probe, read_probes
from press_deploy.engine.watching.sampling import Sample, Sampler, read_samples
from press_deploy.helper.site_config import get_value

if TYPE_CHECKING:
	from press_deploy.engine.steps.context import Context


class Open(Step):
	"""Give the sites back: maintenance and scheduler exactly as they were before."""

	name, title, phase = "open", "Maintenance off", Phase.OPEN

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		PauseJobs().undo(context, self._jobs_before(context))
		context.lease.close()
		context.services.maintenance_off(context.run.name, context.state.before("maintenance")["previous"])
		context.maintenance.wait_until(context.spec.site_names, OPEN)
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		former = {
			"maintenance_mode": context.state.before("maintenance"),
			"pause_scheduler": self._jobs_before(context),
		}
		for key, found in former.items():
			for site, value in found.get("previous", {}).items():
				if get_value(str(context.bench.site_config(site)), key) != value:
					return Observation(False, f"{key} of {site} is not as it was before")
		return context.maintenance.observe(context.spec.site_names, OPEN)

	def _jobs_before(self, context: Context) -> dict[str, Any]:
		"""What the run found before it paused the scheduler, or its rollback did."""
		state = context.state
		return state.before("pause-jobs") or state.before("rollback-pause-jobs") or {"previous": {}}


class PublicSmokeTests(Step):
	"""The same HTTP smoke tests again, now as the public sees the sites."""

	name, title, phase = "public-smoke-tests", "Public smoke tests", Phase.OPEN

	def skip_reason(self, context: Context) -> str | None:
		return None if http_checks(context) else "the plan has no HTTP smoke test"

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		return decide(context, self.name, "after opening", lambda: self._ask(context))

	def _ask(self, context: Context) -> list[Condition]:
		return [
			check_http(context, site, test, None)
			for site in context.spec.site_names
			for test in http_checks(context)
		]


class Monitor(Step):
	"""Sample the open sites for the plan's duration, and roll back as soon as a trigger fires."""

	name, title, phase = "monitor", "Monitor", Phase.MONITOR

	def skip_reason(self, context: Context) -> str | None:
		return None if context.spec.monitor.seconds else "the plan's duration is 0"

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		monitor = context.spec.monitor
		context.prober.ensure_started(min(1.0, monitor.interval_seconds))
		sampler = Sampler(context.run.samples, list(context.databases.values()))
		context.prober.take()  # what was answered before the sites were open is no sample of them
		# What counts is the time that was really watched: a runner that died saw nothing meanwhile.
		watched = len(samples_since_opening(context)) * monitor.interval_seconds
		while watched < monitor.seconds:
			time.sleep(monitor.interval_seconds)
			context.stop_if_asked()
			findings, unread = find_new_errors(context)
			is_known = not unread and not weighing(findings, Weight.UNKNOWN)
			sampler.sample(context.prober.take(), count_against(findings) if is_known else None)
			self._evaluate_triggers(context, findings)
			watched += monitor.interval_seconds
		context.prober.ensure_started(WINDOW_INTERVAL_SECONDS)
		samples, probes = samples_since_opening(context), since_opening(context)
		return {"found": f"{len(probes)} answers and {len(samples)} samples"}

	def _evaluate_triggers(self, context: Context, findings: list[dict[str, Any]]) -> None:
		baselines = context.state.result("baseline")["latency"]
		fired = judge_triggers(since_opening(context), findings, baselines, context.spec)
		if time.time() - context.state.moment_of("restart") < context.spec.stabilise.seconds:
			fired += [each for each in judge_programs(context) if each.holds is False]
		known = {trigger["name"] for trigger in context.state.triggers}
		for condition in fired:
			if condition.name not in known:
				action = getattr(context.spec.triggers, condition.trigger)
				context.journal.append("trigger", {**condition.as_data(), "action": action})
		if wants_rollback(fired, context.spec.triggers):
			raise RollbackNeeded(describe(Verdict.NO_GO, fired))


class FinalVerdict(Step):
	"""The verdict over everything that was sampled since the sites were opened."""

	name, title, phase = "final-verdict", "Final verdict", Phase.MONITOR

	def skip_reason(self, context: Context) -> str | None:
		return None if context.spec.monitor.seconds else "nothing was monitored"

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		return decide(context, self.name, "after monitoring", lambda: self._collect(context))

	def _collect(self, context: Context) -> list[Condition]:
		baselines = context.state.result("baseline")["latency"]
		samples, probes = samples_since_opening(context), since_opening(context)
		findings, unread = find_new_errors(context)
		conditions = judge_monitoring(samples, probes, findings, baselines, context.spec, unread)
		return [*conditions, *self._fired(context)]

	def _fired(self, context: Context) -> list[Condition]:
		"""The triggers that fired meanwhile and left it to a person, over or not."""
		opened = context.state.step("open").started
		fired = [each for each in context.state.triggers if each["time"] > opened]
		keys = Condition.__dataclass_fields__
		return [
			Condition(**{key: each[key] for key in keys if key != "name"}, name=f"Trigger: {each['name']}")
			for each in fired
		]


class AnnounceSuccess(Announce):
	name, title, phase = "announce-success", "Announce success", Phase.CLOSE
	subject = "Deployment succeeded: {title}"


class FollowUp(Step):
	"""Leave the run to its follow-up: the scheduler records figures every day until it closes."""

	name, title, phase = "follow-up", "Open the follow-up", Phase.CLOSE

	def skip_reason(self, context: Context) -> str | None:
		return (
			None if context.spec.control_site else "no site controls this run, so none keeps a record of it"
		)

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		# For how many days is the site's to say, when its record of the run opens it.
		site = context.spec.control_site
		return {"found": f"a figure a day, for as many days as Deployment Settings of {site} say"}


def since_opening(context: Context) -> list[Probe]:
	"""The answers to the prober since the sites were observed open."""
	opened = context.state.opened_at
	return [probe for probe in read_probes(context.run.probes) if probe.time > opened]


def samples_since_opening(context: Context) -> list[Sample]:
	opened = context.state.opened_at
	return [sample for sample in read_samples(context.run.samples) if sample.time > opened]
