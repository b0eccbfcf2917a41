"""The table of metrics: each entry fits the plan, and one more entry is all that a new metric takes."""

import pytest

from press_deploy.engine.plan.spec import Thresholds, Triggers
from press_deploy.engine.report import charts
from press_deploy.engine.report.writing import _shorten
from press_deploy.engine.verdict import figures, metrics
from press_deploy.engine.verdict.judge import judge_monitoring, judge_triggers
from press_deploy.engine.verdict.metrics import METRICS, Chart, Metric, list_gauges
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sampler, read_samples

from .support import SITE, make_spec

LOAD = Metric(
	name="Load",
	unit="",
	threshold="cpu_percent",
	judge=figures.highest_sample,
	shown=".1f",
	trigger="latency",
	column="load",
	key="load",
	gauge=lambda interval: 97.5,
	chart=Chart(),
)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_an_entry_fits_the_plan_and_itself(metric):
	assert metric.threshold in Thresholds.model_fields
	assert metric.trigger in {"", *Triggers.model_fields}
	assert bool(metric.gauge) == bool(metric.column) == bool(metric.key)
	assert metric.gauge or not metric.chart, "only what is sampled can be drawn"


@pytest.mark.parametrize("field", ["name", "column", "key"])
def test_no_two_entries_share_a_name(field):
	names = [getattr(metric, field) for metric in METRICS if getattr(metric, field)]
	assert len(names) == len(set(names))


def test_every_threshold_is_judged():
	assert {metric.threshold for metric in METRICS} == {*Thresholds.model_fields}


@pytest.mark.parametrize(
	("name", "limit", "figure", "written"),
	[
		("Error rate", 5.0, 4.0, ("4.0 %", "≤ 5 %")),
		("Latency", 500.0, 151.25, ("151.25 ms", "< 500 ms")),
		("Latency against baseline", 50.0, 8.4, ("+8 %", "≤ +50 % (and more than 20 ms)")),
		("CPU", 95.0, 12.3, ("12 %", "≤ 95 %")),
		("Database connections", 1_000_000, 14, ("14", "≤ 1000000")),
		("New errors in logs", 0, 3, ("3", "≤ 0")),
	],
)
def test_figures_and_limits_are_written_with_their_unit(name, limit, figure, written):
	(metric,) = (each for each in METRICS if each.name == name)
	assert (metric.write_figure(figure), metric.write_limit(limit)) == written


def test_a_new_metric_is_one_entry(tmp_path, monkeypatch):
	monkeypatch.setattr(metrics, "METRICS", (*METRICS, LOAD))
	spec, sampler = make_spec(), Sampler(tmp_path / "samples.csv", [], list_gauges())
	probes = [Probe(float(second), SITE, 200, "good", 10.0) for second in range(20)]
	sampler.sample(probes, 0)
	samples = read_samples(tmp_path / "samples.csv")

	judged = judge_monitoring(samples, probes, [], {SITE: {"median": 10.0}}, spec, {})
	(load,) = (condition for condition in judged if condition.name == "Load")
	assert (load.holds, load.value, load.threshold) == (False, "97.5", "≤ 95")
	fired = judge_triggers(samples, probes, [], {SITE: {"median": 10.0}}, spec)
	assert [(condition.name, condition.trigger) for condition in fired] == [("Load", "latency")]

	drawn = charts.draw_small([_shorten(sample) for sample in samples], spec.thresholds.model_dump())
	assert [(line["name"], line["highest"]) for line in drawn if line["name"] == "Load"] == [("Load", 97.5)]
