"""The charts: no peak and no bad answer is lost, and everything fits between the edges."""

from __future__ import annotations

from typing import Any

import pytest

from press_deploy.engine.report import charts, timeline_charts
from press_deploy.engine.watching.probes import Probe

BEGIN = 1_768_356_000.0


def sample(second: int, latency: float | None = 10.0, bad: int = 0) -> dict[str, Any]:
	return {
		"time": BEGIN + second,
		"latency_ms": latency,
		"bad": bad,
		"probes": 10,
		"cpu": 5.0,
		"memory": 40.0,
		"connections": None,
		"log_errors": 0,
	}


@pytest.mark.parametrize("count", [0, 1, 600, 601, 5000, 86_400])
def test_downsampling_keeps_maxima_and_bad_answers(count):
	peaks = {second for second in (0, 7, 599, 600, 4999) if second < count}
	samples = [
		sample(second, 400.0 + second if second in peaks else 10.0, int(second in peaks))
		for second in range(count)
	]
	points = charts.downsample(samples)
	assert len(points) <= charts.POINTS_LIMIT
	assert max((point["latency_ms"] for point in points), default=None) == max(
		(each["latency_ms"] for each in samples), default=None
	)
	assert sum(point["bad"] for point in points) == len(peaks)


def test_line_is_interrupted_where_nothing_was_measured():
	samples = [sample(second, None if 10 <= second < 20 else 10.0) for second in range(30)]
	samples += [sample(second) for second in range(300, 310)]
	drawn = charts.draw_latency(samples, {"median": 9.0}, 500.0)
	assert len(drawn["line"]["lines"]) == 3
	assert drawn["line"]["limit"]["y"] is None and drawn["baseline"]["y"] > 0


def test_chart_without_one_good_answer_shows_the_bad_ones():
	drawn = charts.draw_latency([sample(second, None, 10) for second in range(5)], None, 500.0)
	assert drawn["line"] is None and len(drawn["bad"]) == 5 and drawn["bad_answers"] == 50


def test_answers_that_alternate_are_drawn_as_the_worst():
	kinds = ["good", "refused"] * 5000
	probes = [
		Probe(BEGIN + number / 10, "shop.example", None, kind, 1.0) for number, kind in enumerate(kinds)
	]
	answers = timeline_charts.follow_answers(probes, "shop.example")
	assert answers["counts"] == {"good": 5000, "refused": 5000}
	assert len(answers["spans"]) <= charts.POINTS_LIMIT
	assert {span["kind"] for span in answers["spans"]} == {"refused"}


def test_nobody_asked_is_neither_good_nor_bad():
	moments = [*range(10), *range(100, 110)]
	answers = timeline_charts.follow_answers(
		[Probe(BEGIN + moment, "shop.example", 503, "503", 1.0) for moment in moments], "shop.example"
	)
	bars = timeline_charts.draw_window([], BEGIN, BEGIN + 110, BEGIN + 110, answers)["answers"]
	assert [bar["kind"] for bar in bars] == ["503", "unknown", "503"]
	assert bars[1]["width"] > 70


def test_phases_of_the_plan_get_colours_by_name_then_by_order():
	names = ["Préparation", "Déploiement", "Validation", "Production", "Post-Deploy", "Clôture", "More"]
	assert list(timeline_charts.colour_phases(names).values()) == [*timeline_charts.PHASES, "close"]
	assert timeline_charts.colour_phases(["Deploy", "Other"]) == {"Deploy": "deploy", "Other": "prepare"}


@pytest.mark.parametrize(
	("value", "rounded"), [(0, 1.0), (0.7, 0.8), (12, 15.0), (20, 20.0), (240.5, 250.0), (501, 600.0)]
)
def test_axis_ends_at_a_round_number(value, rounded):
	assert charts.round_up(value) == rounded


def test_ticks_are_few_and_round():
	for span in (1, 47, 600, 4380, 90_000, 2_000_000):
		found = timeline_charts.ticks(-span / 3, span)
		assert 1 <= len(found) <= 9
