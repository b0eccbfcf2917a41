"""The report's charts of figures: samples turned into coordinates. The template only draws them.

Lengths along the time are percent of a chart's width, so that it fits every screen; the heights of lines
count from 0 (top) to 100 (bottom). Invariant: pure functions of the report, and no peak is lost in them.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor, log10
from statistics import median
from typing import Any

from press_deploy.engine.report.timeline_charts import (
	POINTS_LIMIT,
	as_bar,
	as_epoch,
	as_share,
	closed_spans,
	compare_timelines,
	draw_window,
	place_steps,
)
from press_deploy.engine.verdict import metrics
from press_deploy.engine.verdict.metrics import LATENCY, Metric

# A line is interrupted where samples are missing for this many intervals.
GAP_INTERVALS = 5
# A limit further above the highest figure than this would press the line flat.
LIMIT_IN_SIGHT = 2
# Above the highest figure there is room for the label of the axis.
HEADROOM = 1.15


def draw(report: dict[str, Any]) -> dict[str, Any]:
	"""Every chart of a report; None or empty where there is nothing to draw."""
	samples, limits = report["samples"], report["thresholds"]
	until = _latest_moment(report)
	bars = place_steps([*report["steps"], *report["earlier_rollbacks"]], until)
	return {
		"latency": draw_latency(samples, report["baseline"], limits[LATENCY.threshold]),
		"small": draw_small(samples, limits),
		"timelines": compare_timelines(report["planned_timeline"], bars),
		"windows": [draw_window(bars, *span, until, report["answers"]) for span in closed_spans(bars)],
	}


def draw_small(samples: list[dict[str, Any]], limits: dict[str, Any]) -> list[dict[str, Any]]:
	"""A chart of each metric that has one and was measured; `limits` are the plan's thresholds."""
	lines = [
		draw_line(samples, metric, limits[metric.threshold], metric.chart.top)
		for metric in metrics.METRICS
		if metric.chart
	]
	return [line for line in lines if line]


def downsample(samples: list[dict[str, Any]], limit: int = POINTS_LIMIT) -> list[dict[str, Any]]:
	"""At most `limit` points. Each is the worst of the samples it stands for; bad answers are added up."""
	keys = [metric.key for metric in metrics.sampled()]
	size = ceil(len(samples) / limit) or 1
	groups = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
	return [
		{
			"time": group[0]["time"],
			"until": group[-1]["time"],
			"bad": sum(sample["bad"] for sample in group),
			**{
				key: max((sample[key] for sample in group if sample[key] is not None), default=None)
				for key in keys
			},
		}
		for group in groups
	]


def draw_line(
	samples: list[dict[str, Any]], metric: Metric, limit: float | None, top: float | None = None
) -> dict[str, Any] | None:
	"""One metric over the time; None when it was never measured. Without `top` the highest value sets it."""
	key = metric.key
	known = [sample[key] for sample in samples if sample[key] is not None]
	if not known:
		return None
	points, highest = downsample(samples), max(known)
	top = top or round_up(
		max(highest * HEADROOM, limit if limit and limit <= highest * LIMIT_IN_SIGHT else 0)
	)
	begin, end = _axis(samples)
	lines = [
		" ".join(f"{as_share(point['time'], begin, end)},{_height(point[key], top)}" for point in _dot(part))
		for part in _parts(points, key)
	]
	return {
		"name": metric.name,
		"unit": metric.unit,
		"top": top,
		"highest": highest,
		"median": median(known),
		"limit": {"value": limit, "y": _height(limit, top) if limit <= top else None} if limit else None,
		"lines": lines,
		"samples_per_point": ceil(len(samples) / POINTS_LIMIT),
	}


def draw_latency(
	samples: list[dict[str, Any]], baseline: dict[str, float] | None, limit: float
) -> dict[str, Any] | None:
	"""The latency with its baseline and its limit, and the spans with bad answers; None without samples.

	Without one good answer there is no `line`, but there are the bad ones.
	"""
	if not samples:
		return None
	begin, end = _axis(samples)
	points, line = downsample(samples), draw_line(samples, LATENCY, limit)
	bad = [point for point in points if point["bad"]]
	known = {"value": baseline["median"]} if baseline else None
	if known and line:
		known["y"] = _height(known["value"], line["top"])
	return {
		"line": line,
		"baseline": known,
		"bad": [as_bar(point["time"], point["until"], begin, end, 60 / len(points)) for point in bad],
		"bad_answers": sum(point["bad"] for point in bad),
		"begin": begin,
		"end": end,
		"ticks": [{"x": x, "time": begin + (end - begin) * x / 100} for x in (0, 25, 50, 75, 100)],
	}


def round_up(value: float) -> float:
	"""The next round number that is not smaller: 1 to 8 times a power of ten."""
	if value <= 0:
		return 1.0
	power = 10.0 ** floor(log10(value))
	steps = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
	return next(step * power for step in steps if step * power >= value * (1 - 1e-9))


def _axis(samples: list[dict[str, Any]]) -> tuple[float, float]:
	"""From when to when samples were taken; never an empty span."""
	begin = samples[0]["time"]
	return begin, max(samples[-1]["time"], begin + 1)


def _parts(points: list[dict[str, Any]], key: str) -> list[list[dict[str, Any]]]:
	"""The stretches without a missing figure."""
	steps = [second["time"] - first["until"] for first, second in pairwise(points)]
	gap = max(GAP_INTERVALS * median(steps), 1.0) if steps else 1.0
	parts: list[list[dict[str, Any]]] = [[]]
	for point in points:
		if point[key] is None or (parts[-1] and point["time"] - parts[-1][-1]["until"] > gap):
			parts.append([])
		if point[key] is not None:
			parts[-1].append(point)
	return [part for part in parts if part]


def _dot(part: list[dict[str, Any]]) -> list[dict[str, Any]]:
	"""A line of one point would not be seen; twice the same point is a dot."""
	return part * 2 if len(part) == 1 else part


def _latest_moment(report: dict[str, Any]) -> float:
	"""Until when something is known: the end, the begin of the waiting, or the writing of the report."""
	waiting = report["waiting"] or {}
	return as_epoch(report["ended"] or waiting.get("time") or report["written"])


def _height(value: float, top: float) -> float:
	return round(100 - 100 * min(value / top, 1.0), 2)
