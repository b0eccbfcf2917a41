"""The verdict: single figures against the plan's thresholds, each with its evidence.

Invariant: only conditions that were measured and hold make a GO. What is not known makes it INCONCLUSIVE,
a probe that crashed makes it ERROR, and a verdict over nothing is never GO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from statistics import median, quantiles
from typing import Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.plan.spec import PlanSpec, Thresholds, Triggers
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.logs import count_against, describe_excused, weighing
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sample

# A trigger looks at this span of the newest samples, so that a late failure isn't diluted.
TRIGGER_SPAN_SECONDS = 60.0
# Below this a change in latency is noise of the machine, however many percent it is.
LATENCY_NOISE_MS = 20.0


class Verdict(str, Enum):
	GO = "GO"
	NO_GO = "NO-GO"
	INCONCLUSIVE = "INCONCLUSIVE"
	ERROR = "ERROR"


@dataclass(frozen=True)
class Condition:
	"""One line of a verdict. `holds` is None when nobody knows; `trigger` names the plan's action for it."""

	name: str
	holds: bool | None
	value: str
	threshold: str
	evidence: str = ""
	trigger: str = ""
	crashed: bool = False

	def as_data(self) -> dict[str, Any]:
		return asdict(self)


def conclude(conditions: Iterable[Condition]) -> Verdict:
	"""The verdict over all conditions."""
	conditions = list(conditions)
	if any(condition.holds is False for condition in conditions):
		return Verdict.NO_GO
	if any(condition.crashed for condition in conditions):
		return Verdict.ERROR
	if not conditions or any(condition.holds is not True for condition in conditions):
		return Verdict.INCONCLUSIVE
	return Verdict.GO


def wants_rollback(conditions: Iterable[Condition], triggers: Triggers) -> bool:
	"""Whether one of the broken conditions is a trigger for which the plan says: roll back by yourself.

	The runbook makes CPU and memory a condition of GO, but no trigger: a person decides over them.
	"""
	broken = (condition for condition in conditions if condition.holds is False)
	return any(getattr(triggers, condition.trigger, "ask") == "roll_back" for condition in broken)


def latency_figures(latencies_ms: list[float]) -> dict[str, float] | None:
	"""Median and 95th percentile in milliseconds; None without figures."""
	if not latencies_ms:
		return None
	highest = (
		quantiles(latencies_ms, n=20, method="inclusive")[-1] if len(latencies_ms) > 1 else latencies_ms[0]
	)
	return {"median": round(median(latencies_ms), 2), "p95": round(highest, 2), "count": len(latencies_ms)}


def judge_probes(probes: list[Probe], baseline: dict | None, spec: PlanSpec) -> list[Condition]:
	"""Error rate and latency of these probes of one site. Fewer than the plan's minimum are not enough to say anything."""
	limits = spec.thresholds
	if len(probes) < spec.monitor.minimum_samples:
		too_few = f"{len(probes)} answers, {spec.monitor.minimum_samples} are needed"
		return [
			Condition(
				"Error rate", None, "unknown", f"≤ {limits.error_rate_percent:g} %", too_few, "error_rate"
			),
			Condition("Latency", None, "unknown", f"< {limits.latency_ms:g} ms", too_few, "latency"),
		]
	figures = latency_figures([probe.latency_ms for probe in probes if probe.kind == GOOD])
	return [
		_error_rate(probes, limits),
		_latency(figures, limits),
		_degradation(figures, baseline, limits),
	]


def judge_sites(probes: list[Probe], baselines: dict[str, dict], spec: PlanSpec) -> list[Condition]:
	"""Each site by itself: one that is down must not hide among many that are well."""
	conditions = []
	for site in spec.site_names:
		of_site = judge_probes([probe for probe in probes if probe.site == site], baselines.get(site), spec)
		several = len(spec.sites) > 1
		conditions += [replace(each, name=f"{each.name} ({site})") if several else each for each in of_site]
	return conditions


def judge_monitoring(
	samples: list[Sample],
	probes: list[Probe],
	findings: list[dict[str, Any]],
	baselines: dict[str, dict],
	spec: PlanSpec,
	unread: Mapping[str, str],
) -> list[Condition]:
	"""The final verdict's conditions, over all that was sampled since the site was opened; `unread`: see
	`judge_unread`.
	"""
	limits = spec.thresholds
	return [
		*judge_sites(probes, baselines, spec),
		judge_log_errors(findings, limits),
		*judge_unread(unread),
		_peak("CPU", [sample.cpu_percent for sample in samples], limits.cpu_percent, "%"),
		_peak("Memory", [sample.memory_percent for sample in samples], limits.memory_percent, "%"),
		*_connections(samples, limits),
	]


def judge_triggers(
	probes: list[Probe], findings: list[dict[str, Any]], baselines: dict[str, dict], spec: PlanSpec
) -> list[Condition]:
	"""The runbook's triggers that have fired, over the newest span; an empty list when none has."""
	newest = max((probe.time for probe in probes), default=0.0)
	recent = [probe for probe in probes if probe.time > newest - TRIGGER_SPAN_SECONDS]
	conditions = [*judge_sites(recent, baselines, spec), judge_log_errors(findings, spec.thresholds)]
	return [condition for condition in conditions if condition.holds is False]


def judge_log_errors(findings: list[dict[str, Any]], limits: Thresholds) -> Condition:
	"""Errors of the release against the limit; below it, what could not be read leaves the figure unknown."""
	count, unread = count_against(findings), weighing(findings, Weight.UNKNOWN)
	shown = [*weighing(findings, Weight.AGAINST)[:3], *unread[:3]]
	worst = "; ".join(f"{each['count']} × {each['example'][:160]}" for each in shown)
	if excused := describe_excused(findings):
		worst += f"{'; ' if worst else ''}not held against the release: {excused}"
	holds = count <= limits.new_log_errors
	return Condition(
		"New errors in logs",
		None if holds and unread else holds,
		"unknown" if holds and unread else str(count),
		f"≤ {limits.new_log_errors}",
		worst,
		"log_errors",
	)


def judge_unread(unread: Mapping[str, str]) -> list[Condition]:
	"""Sites whose Error Log can't be read, and why: what stands in it is unknown, and no error of the release."""
	return [
		Condition(f"Error Log of {site}", None, "unknown", "readable", why) for site, why in unread.items()
	]


def _error_rate(probes: list[Probe], limits: Thresholds) -> Condition:
	bad = [probe for probe in probes if probe.kind != GOOD]
	rate = 100 * len(bad) / len(probes)
	kinds = ", ".join(sorted({probe.kind for probe in bad}))
	return Condition(
		"Error rate",
		rate <= limits.error_rate_percent,
		f"{rate:.1f} %",
		f"≤ {limits.error_rate_percent:g} %",
		f"{len(bad)} of {len(probes)} answers bad" + (f" ({kinds})" if kinds else ""),
		"error_rate",
	)


def _latency(figures: dict | None, limits: Thresholds) -> Condition:
	threshold = f"< {limits.latency_ms:g} ms"
	if figures is None:
		return Condition("Latency", None, "unknown", threshold, "no good answer to measure", "latency")
	evidence = f"95th percentile of {figures['count']} answers; median {figures['median']:g} ms"
	return Condition(
		"Latency",
		figures["p95"] < limits.latency_ms,
		f"{figures['p95']:g} ms",
		threshold,
		evidence,
		"latency",
	)


def _degradation(figures: dict | None, baseline: dict | None, limits: Thresholds) -> Condition:
	threshold = f"≤ +{limits.latency_degraded_percent:g} % (and more than {LATENCY_NOISE_MS:g} ms)"
	if figures is None or not baseline:
		why = "no good answer to measure" if figures is None else "there is no baseline"
		return Condition("Latency against baseline", None, "unknown", threshold, why, "latency")
	added = figures["median"] - baseline["median"]
	percent = 100 * added / max(baseline["median"], 0.001)
	return Condition(
		"Latency against baseline",
		percent <= limits.latency_degraded_percent or added <= LATENCY_NOISE_MS,
		f"{percent:+.0f} %",
		threshold,
		f"median {baseline['median']:g} ms before, {figures['median']:g} ms now",
		"latency",
	)


def _peak(name: str, values: list[float | None], limit: float, unit: str) -> Condition:
	"""The median must not exceed the limit: one full second is no spike, half the time is."""
	known = [value for value in values if value is not None]
	threshold = f"≤ {limit:g} {unit}"
	if not known:
		return Condition(name, None, "unknown", threshold, "no sample")
	middle = median(known)
	return Condition(
		name,
		middle <= limit,
		f"{middle:.0f} {unit}",
		threshold,
		f"median of {len(known)}, highest {max(known):.0f}",
	)


def _connections(samples: list[Sample], limits: Thresholds) -> list[Condition]:
	if limits.database_connections is None:
		return []
	known = [sample.database_connections for sample in samples if sample.database_connections is not None]
	threshold = f"≤ {limits.database_connections}"
	if not known:
		return [Condition("Database connections", None, "unknown", threshold, "no sample")]
	return [
		Condition(
			"Database connections", max(known) <= limits.database_connections, str(max(known)), threshold
		)
	]


def settle(
	conditions: Callable[[], list[Condition]],
) -> tuple[Verdict, list[Condition]]:
	"""Judge, and let a probe that crashes be an ERROR instead of a crash."""
	try:
		found = conditions()
	except Exception as error:
		crash = Condition(
			"Judging", None, "unknown", "a figure", f"{type(error).__name__}: {error}", crashed=True
		)
		return Verdict.ERROR, [crash]
	return conclude(found), found
