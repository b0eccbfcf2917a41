"""The report's charts of time: steps, the planned timeline and answers turned into bars.

Every bar has its left edge `x` and its `width` in percent, so that a chart fits every screen.
Invariant: pure functions of the report; where answers alternate too often to be drawn, the worst is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import zip_longest
from math import ceil, floor
from typing import Any

from press_deploy.engine.watching.probes import Probe

POINTS_LIMIT = 600
# Narrower than this a bar can't be seen, in percent of the width.
NARROWEST = 0.25
# Steps later than this after the one before (a rollback on the next day) would squeeze everything else.
IDLE_SECONDS = 3600.0
# After this long without a question nobody knows what would have been answered: the prober was not alive.
UNKNOWN_SECONDS = 6.0
# Steps that fill less of the common axis than this, in percent, are shown once more on an axis of their own.
TOO_NARROW = 25.0
PHASES = ("prepare", "deploy", "validate", "open", "monitor", "close")
CLOSING, OPENING = ("maintenance", "rollback-maintenance"), ("open", "rollback-open")
UNKNOWN = "unknown"
WORST_FIRST = ("refused", "broken", "timeout", "5xx", "4xx", "503", "good")


def follow_answers(probes: list[Probe], site: str | None) -> dict[str, Any]:
	"""How many answers of each kind there were, and how the answers of one site changed over the time."""
	return {
		"counts": dict(Counter(probe.kind for probe in probes).most_common()),
		"site": site,
		"spans": _spans([(probe.time, probe.kind) for probe in probes if probe.site == site]),
	}


def _spans(answers: list[tuple[float, str]]) -> list[dict[str, Any]]:
	"""Equal answers in a row as one span. Where they alternate too often, the worst of each while."""
	spans: list[dict[str, Any]] = []
	for time, kind in answers:
		if spans and spans[-1]["kind"] == kind and time - spans[-1]["last"] <= UNKNOWN_SECONDS:
			spans[-1]["last"] = time
		else:
			spans.append({"kind": kind, "first": time, "last": time})
	if len(spans) <= POINTS_LIMIT:
		return spans
	width = (answers[-1][0] - answers[0][0]) / (POINTS_LIMIT - 1) or 1.0
	whiles: dict[int, tuple[float, str]] = {}
	for time, kind in answers:
		number = int((time - answers[0][0]) / width)
		known = whiles.setdefault(number, (time, kind))
		whiles[number] = (known[0], min(known[1], kind, key=WORST_FIRST.index))
	return _spans(list(whiles.values()))


def place_steps(steps: Iterable[dict[str, Any]], until: float) -> list[dict[str, Any]]:
	"""The steps that were begun, in order, as bars in epoch seconds. One without an end
	reaches to the one after it, or to `until`."""
	begun = [{**step, "begin": as_epoch(step["started"])} for step in steps if step["status"] != "skipped"]
	begun.sort(key=lambda bar: bar["begin"])
	following = [bar["begin"] for bar in begun[1:]] + [until]
	return [
		{**bar, "end": as_epoch(bar["ended"]) if bar["ended"] else max(bar["begin"], end)}
		for bar, end in zip(begun, following, strict=False)
	]


def origin_of(bars: list[dict[str, Any]], planned_begin: float = 0.0) -> float:
	"""T-0: when maintenance was being switched on; else when the plan, begun with the run, would have."""
	first = bars[0]["begin"] - planned_begin if bars else 0.0
	return next((bar["begin"] for bar in bars if bar["name"] == "maintenance"), first)


def compare_timelines(planned: list[dict[str, Any]], bars: list[dict[str, Any]]) -> dict[str, Any] | None:
	"""The plan's milestones and the steps as they were, on one axis in seconds from maintenance on."""
	if not bars:
		return None
	spans = [
		{**each, "begin": each["minute"] * 60.0, "end": (each["minute"] + each["duration_minutes"]) * 60.0}
		for each in planned
	]
	zero, (near, late) = origin_of(bars, _reach(spans)[0] if spans else 0.0), _split_late(bars)
	actual = [{**bar, "begin": bar["begin"] - zero, "end": bar["end"] - zero} for bar in near]
	begin, end = _reach([*spans, *actual])
	colours = colour_phases([milestone["phase"] for milestone in planned])
	reach = _reach(actual)
	is_narrow = reach[1] - reach[0] < (end - begin) * TOO_NARROW / 100
	return {
		"planned": _row(spans, colours, begin, end),
		"actual": _row(actual, {}, begin, end),
		"stretched": {"bars": _row(actual, {}, *reach), "ticks": ticks(*reach)} if is_narrow else None,
		"planned_reach": _reach(spans) if spans else None,
		"actual_reach": reach,
		"later": late,
		"colours": colours,
		"ticks": ticks(begin, end),
		"zero": as_share(0.0, begin, end) if begin <= 0 <= end else None,
		"origin": zero,
	}


def colour_phases(names: list[str]) -> dict[str, str]:
	"""The phases of a plan are free text: which phase of the run has the colour of each, by name or order."""
	names = list(dict.fromkeys(names))
	left = [phase for phase in PHASES if phase not in {name.lower() for name in names}]
	chosen = {name: name.lower() for name in names if name.lower() in PHASES}
	others = [name for name in names if name not in chosen]
	return chosen | {
		name: left[min(number, len(left) - 1)] if left else PHASES[-1] for number, name in enumerate(others)
	}


def closed_spans(bars: list[dict[str, Any]]) -> list[tuple[float, float | None]]:
	"""When the sites were being closed, and when they were open again; None when they are closed still."""
	spans: list[tuple[float, float | None]] = []
	begin = None
	for bar in bars:
		if bar["name"] in CLOSING and begin is None:
			begin = bar["begin"]
		if bar["name"] in OPENING and bar["status"] == "done" and begin is not None:
			spans.append((begin, bar["end"]))
			begin = None
	return [*spans, (begin, None)] if begin is not None else spans


def draw_window(
	bars: list[dict[str, Any]], begin: float, end: float | None, until: float, answers: dict[str, Any]
) -> dict[str, Any]:
	"""One closed span from near: a row for each step in it, and what visitors were answered meanwhile."""
	zero, is_over = origin_of(bars), end is not None
	end = end if end is not None else max(until, begin + 1)
	margin = max(0.5, (end - begin) * 0.03)
	first, last = begin - margin, end + margin
	within = [bar for bar in bars if begin <= bar["begin"] < end]
	rows = [
		{
			**bar,
			**as_bar(max(bar["begin"], first), min(bar["end"], last), first, last),
			"colour": bar["phase"],
		}
		for bar in within
	]
	return {
		"begin": begin,
		"end": end if is_over else None,
		"seconds": end - begin,
		"rows": rows,
		"answers": _answer_bars(answers["spans"], first, last),
		"site": answers["site"],
		"ticks": ticks(first - zero, last - zero),
	}


def ticks(begin: float, end: float, wanted: int = 6) -> list[dict[str, float]]:
	"""Round positions on an axis in seconds: in whole seconds, minutes or hours."""
	steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
	step = next((each for each in steps if (end - begin) / each <= wanted), 86_400)
	step *= ceil((end - begin) / step / wanted) if step == 86_400 else 1
	return [
		{"x": as_share(number * step, begin, end), "seconds": number * step}
		for number in range(ceil(begin / step), floor(end / step) + 1)
	]


def _answer_bars(spans: list[dict[str, Any]], first: float, last: float) -> list[dict[str, Any]]:
	"""The spans as bars, each up to the next one, and a gap of unknown answers where nobody asked."""
	bars = []
	for span, following in zip_longest(spans, spans[1:]):
		end = following["first"] if following else span["last"]
		is_known = end - span["last"] <= UNKNOWN_SECONDS
		bars.append((span["first"], end if is_known else span["last"], span["kind"]))
		if not is_known:
			bars.append((span["last"], end, UNKNOWN))
	return [
		{**as_bar(max(begin, first), min(end, last), first, last), "kind": kind}
		for begin, end, kind in bars
		if end >= first and begin <= last
	]


def _reach(bars: list[dict[str, Any]]) -> tuple[float, float]:
	"""From the first begin to the last end; never an empty span."""
	begin = min(bar["begin"] for bar in bars)
	return begin, max(*(bar["end"] for bar in bars), begin + 1)


def _row(
	bars: list[dict[str, Any]], colours: dict[str, str], begin: float, end: float
) -> list[dict[str, Any]]:
	"""The bars placed on an axis, each in the colour of its phase."""
	return [
		{
			**bar,
			**as_bar(bar["begin"], bar["end"], begin, end),
			"colour": colours.get(bar["phase"], bar["phase"]),
		}
		for bar in bars
	]


def _split_late(bars: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
	end = bars[0]["end"]
	for number, bar in enumerate(bars):
		if bar["begin"] - end > IDLE_SECONDS:
			return bars[:number], bars[number:]
		end = max(end, bar["end"])
	return bars, []


def as_epoch(moment: str) -> float:
	return datetime.fromisoformat(moment).timestamp()


def as_share(value: float, begin: float, end: float) -> float:
	return round(100 * (value - begin) / (end - begin), 3)


def as_bar(
	begin: float, end: float, first: float, last: float, narrowest: float = NARROWEST
) -> dict[str, float]:
	"""Left edge and width of a bar, never too narrow to be seen and never beyond the right edge."""
	width = max(as_share(end, first, last) - as_share(begin, first, last), narrowest, NARROWEST)
	return {"x": max(0.0, min(as_share(begin, first, last), 100 - width)), "width": round(width, 3)}
