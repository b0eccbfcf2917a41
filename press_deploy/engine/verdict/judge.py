"""Judging a release by the metrics: each against the plan's limit, with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from press_deploy.engine.plan.spec import PlanSpec, Thresholds
from press_deploy.engine.verdict import metrics
from press_deploy.engine.verdict.conditions import Condition
from press_deploy.engine.verdict.figures import Seen
from press_deploy.engine.verdict.metrics import LOG_ERRORS, Metric
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sample

# A trigger looks at this span of the newest answers and samples, so that a late failure isn't diluted.
TRIGGER_SPAN_SECONDS = 60.0

Taken = TypeVar("Taken", Sample, Probe)


def judge_monitoring(
	samples: list[Sample],
	probes: list[Probe],
	findings: list[dict[str, Any]],
	baselines: Mapping[str, dict],
	spec: PlanSpec,
	unread: Mapping[str, str],
) -> list[Condition]:
	"""The final verdict's conditions, over all that was sampled since the site was opened; `unread`: see
	`judge_unread`.
	"""
	conditions = _judge_all(metrics.METRICS, samples, probes, findings, baselines, spec)
	return [*conditions, *judge_unread(unread)]


def judge_triggers(
	samples: list[Sample],
	probes: list[Probe],
	findings: list[dict[str, Any]],
	baselines: Mapping[str, dict],
	spec: PlanSpec,
) -> list[Condition]:
	"""The runbook's triggers that have fired, over the newest span; an empty list when none has."""
	wanted = [metric for metric in metrics.METRICS if metric.trigger]
	conditions = _judge_all(wanted, _newest(samples), _newest(probes), findings, baselines, spec)
	return [condition for condition in conditions if condition.holds is False]


def judge_log_errors(findings: list[dict[str, Any]], limits: Thresholds) -> Condition:
	"""What the logs say of the release before anybody was let in."""
	(condition,) = judge(LOG_ERRORS, Seen(findings=findings), limits)
	return condition


def judge_unread(unread: Mapping[str, str]) -> list[Condition]:
	"""Sites whose Error Log can't be read, and why: what stands in it is unknown, and no error of the release."""
	return [
		Condition(f"Error Log of {site}", None, "unknown", "readable", why) for site, why in unread.items()
	]


def judge(metric: Metric, seen: Seen, limits: Thresholds) -> list[Condition]:
	"""One condition; none where the plan has no limit for it."""
	limit = getattr(limits, metric.threshold)
	if limit is None:
		return []
	found = metric.judge(seen, limit)
	is_known = found.holds is not None and found.figure is not None
	value = metric.write_figure(found.figure) if is_known else "unknown"
	wanted = metric.write_limit(limit)
	return [Condition(metric.name, found.holds, value, wanted, found.evidence, metric.trigger)]


def _judge_all(
	wanted: Iterable[Metric],
	samples: list[Sample],
	probes: list[Probe],
	findings: list[dict[str, Any]],
	baselines: Mapping[str, dict],
	spec: PlanSpec,
) -> list[Condition]:
	conditions = []
	for metric in wanted:
		if metric.of_each_site:
			conditions += _judge_each_site(metric, probes, baselines, spec)
		else:
			figures = [sample.figures.get(metric.column) for sample in samples]
			conditions += judge(metric, Seen(figures, findings=findings), spec.thresholds)
	return conditions


def _judge_each_site(
	metric: Metric, probes: list[Probe], baselines: Mapping[str, dict], spec: PlanSpec
) -> list[Condition]:
	conditions = []
	for site in spec.site_names:
		seen = Seen(
			probes=[probe for probe in probes if probe.site == site],
			baseline=baselines.get(site),
			minimum=spec.monitor.minimum_samples,
		)
		conditions += [
			replace(each, name=f"{each.name} ({site})") if len(spec.sites) > 1 else each
			for each in judge(metric, seen, spec.thresholds)
		]
	return conditions


def _newest(seen: list[Taken]) -> list[Taken]:
	newest = max((each.time for each in seen), default=0.0)
	return [each for each in seen if each.time > newest - TRIGGER_SPAN_SECONDS]
