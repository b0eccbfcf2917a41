"""Whether what visitors get of a release is worse than it was: errors, and how long answers take.

Everything is told in intervals of a few seconds, so that looking again costs what is new. Two questions are asked
of all routes together and of each route by itself:

- *Errors*: is the share of failed answers above the limit, or above what it was before where that was more?
- *Slowness*: are answers slower than before by more than the limit? An answer counts by how many times longer it
  took than the middle one of its route before, so that other visitors are no slower answers.

Invariant: nothing here looks at a clock, a file or a plan. The same intervals give the same verdict, whenever they
are judged and in however many looks; `sequential` says why many looks are no more alarms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import stdev

from press_deploy.engine.verdict.sequential import SequentialShare
from press_deploy.engine.verdict.statistical_tests import (
	independent_share,
	median_of_counts,
	wilson_interval,
)

# Answers follow each other: those of one interval say one thing together.
INTERVAL_SECONDS = 5.0
# Latencies are counted in classes that grow by so much: fine enough for a limit of 50 %, and few in memory.
CLASS_RATIO = 1.05
CLASS_STEP = math.log(CLASS_RATIO)
# How probable a wrong alarm may be of a release that is just at the limit, over a whole time of monitoring: for all
# routes together, and for each by itself, be they few or many.
FALSE_ALARM, FALSE_ALARM_OF_ANY_ROUTE = 0.05, 0.01
# With fewer intervals before the switch nobody knows how closely they follow each other.
FEW_INTERVALS = 12
_ASSUMED_INDEPENDENCE = 0.5
_CONFIDENCE = 0.99
# By how many standard errors a slowdown must be above the limit.
_ERRORS_OF_MARGIN = 1.5
ALL_ROUTES = "all routes"


@dataclass(frozen=True)
class Interval:
	"""What a route answered in `INTERVAL_SECONDS` from `time` on; `latencies`: {class (see `latency_class`): count}."""

	time: float
	route: str
	answers: int
	errors: int
	latencies: Mapping[int, int]


@dataclass(frozen=True)
class RouteBaseline:
	"""What a route was like before: so many answers, of which failed, and the middle latency; from interval to
	interval that changed by `spread` (standard deviation, in classes), and each of the `intervals` said so much that
	the one before did not (`independence`, 0 to 1). Of all routes together the latency is in multiples of each one's.
	"""

	answers: int = 0
	errors: int = 0
	median_ms: float | None = None
	intervals: int = 0
	spread: float = 0.0
	independence: float = _ASSUMED_INDEPENDENCE


@dataclass(frozen=True)
class Limits:
	"""From when on it is too bad. `minimum`: with fewer answers nothing is said. Slower by up to `noise_ms` is as
	before, however many percent that is.
	"""

	error_rate: float = 0.05
	slowdown: float = 0.5
	minimum: int = 50
	noise_ms: float = 20.0


@dataclass(frozen=True)
class Alarm:
	"""What is too bad, of which route, since when it is known, and by what."""

	kind: str
	route: str
	time: float
	figure: float
	answers: int
	probability: float


def latency_class(milliseconds: float) -> int:
	"""The class that a latency is counted in."""
	return round(math.log(max(milliseconds, 0.01)) / CLASS_STEP)


def class_middle(number: float) -> float:
	"""The latency in milliseconds that stands for a class; of a difference of classes, how many times longer that is."""
	return CLASS_RATIO**number


def find_baselines(intervals: Iterable[Interval]) -> dict[str, RouteBaseline]:
	"""{route: what it was like}, and that of `ALL_ROUTES`, from intervals before the switch."""
	by_route: dict[str, list[Interval]] = {}
	by_moment: dict[float, list[Interval]] = {}
	for interval in intervals:
		by_route.setdefault(interval.route, []).append(interval)
		by_moment.setdefault(interval.time, []).append(interval)
	baselines = {route: _baseline_of(found) for route, found in by_route.items()}
	together = [_put_together(moment, baselines) for moment in by_moment.values()]
	return {**baselines, ALL_ROUTES: _baseline_of(together)}


def _baseline_of(intervals: list[Interval]) -> RouteBaseline:
	latencies: Counter[int] = Counter()
	for interval in intervals:
		latencies.update(interval.latencies)
	middle = median_of_counts(latencies)
	series = [found for interval in intervals if (found := median_of_counts(interval.latencies)) is not None]
	return RouteBaseline(
		sum(interval.answers for interval in intervals),
		sum(interval.errors for interval in intervals),
		None if middle is None else class_middle(middle),
		len(series),
		stdev(series) if len(series) > 1 else 0.0,
		independent_share(series) if len(series) >= FEW_INTERVALS else _ASSUMED_INDEPENDENCE,
	)


def _put_together(moment: Iterable[Interval], baselines: Mapping[str, RouteBaseline]) -> Interval:
	"""One interval of all routes; each latency in multiples of what its route usually takes. New routes have none."""
	latencies: dict[int, int] = {}
	time, answers, errors = 0.0, 0, 0
	for interval in moment:
		time, answers, errors = interval.time, answers + interval.answers, errors + interval.errors
		baseline = baselines.get(interval.route)
		if baseline and baseline.median_ms:
			shift = latency_class(baseline.median_ms)
			for number, count in interval.latencies.items():
				latencies[number - shift] = latencies.get(number - shift, 0) + count
	return Interval(time, ALL_ROUTES, answers, errors, latencies)


class TrafficWatch:
	"""Follows what is answered since the switch, and says as soon as it is too bad to be chance.

	`baselines`: as `find_baselines` returns them.
	"""

	def __init__(self, baselines: Mapping[str, RouteBaseline], limits: Limits):
		self._baselines, self._limits = baselines, limits
		self._watches: dict[str, _RouteWatch] = {}
		self._of_each = FALSE_ALARM_OF_ANY_ROUTE / max(1, len(baselines) - 1)

	def follow(self, moment: Iterable[Interval]) -> list[Alarm]:
		"""What is too bad once the intervals of one moment are known; each is told at every look from then on."""
		moment = list(moment)
		together = _put_together(moment, self._baselines)
		found = []
		for interval in (together, *moment):
			watch = self._find_watch(interval.route)
			watch.count(interval, self._usual_ms_of(interval, moment))
		for route, watch in self._watches.items():
			found += watch.alarms(FALSE_ALARM if route == ALL_ROUTES else self._of_each, together.time)
		return found

	def _find_watch(self, route: str) -> _RouteWatch:
		if route not in self._watches:
			self._watches[route] = _RouteWatch(
				route, self._baselines.get(route, RouteBaseline()), self._limits
			)
		return self._watches[route]

	def _usual_ms_of(self, interval: Interval, moment: list[Interval]) -> float:
		"""What the answers of this interval would have taken together, had they been as before (ms)."""
		routes = moment if interval.route == ALL_ROUTES else [interval]
		usual = ((each, self._baselines.get(each.route, RouteBaseline()).median_ms) for each in routes)
		return sum(sum(each.latencies.values()) * middle for each, middle in usual if middle)


@dataclass
class _RouteWatch:
	"""One route since the switch, or all of them."""

	route: str
	baseline: RouteBaseline
	limits: Limits
	answers: int = 0
	latencies: Counter[int] = field(default_factory=Counter)
	usual_ms: float = 0.0

	def __post_init__(self) -> None:
		before = self.baseline.errors / self.baseline.answers if self.baseline.answers else 0.0
		limit = self.limits.error_rate
		if before > limit:
			# What failed so often before is no worse for failing as often now.
			limit = wilson_interval(self.baseline.errors, self.baseline.answers, _CONFIDENCE)[1]
		self.failed = SequentialShare(limit)
		# An interval is slow when its middle answer took longer than half-way to the limit: of a release that is no
		# slower than that, at most half of them are.
		self.slow = SequentialShare(0.5, self.baseline.independence)
		is_known = self.baseline.median_ms and self.baseline.answers >= self.limits.minimum
		self._middle = latency_class(self.baseline.median_ms) if is_known else None
		self._allowed = math.log1p(self.limits.slowdown) / CLASS_STEP

	def count(self, interval: Interval, usual_ms: float) -> None:
		self.answers += interval.answers
		self.failed.count(interval.errors, interval.answers)
		if self._middle is not None and interval.latencies:
			self.latencies.update(interval.latencies)
			self.usual_ms += usual_ms
			is_slow = median_of_counts(interval.latencies) - self._middle > self._allowed / 2
			self.slow.count(int(is_slow), 1)

	def alarms(self, false_alarm: float, time: float) -> list[Alarm]:
		if self.answers < self.limits.minimum:
			return []
		found = []
		if self.failed.probability <= false_alarm:
			share = self.failed.hits / self.failed.total
			found.append(Alarm("errors", self.route, time, share, self.answers, self.failed.probability))
		if self.slow.probability <= false_alarm and (ratio := self._find_slowdown()):
			found.append(Alarm("slowness", self.route, time, ratio, self.answers, self.slow.probability))
		return found

	def _find_slowdown(self) -> float | None:
		"""How many times longer answers take; None where that may be within the limit, or within noise."""
		added = median_of_counts(self.latencies) - self._middle
		seen = 1 / self.slow.total + 1 / max(1, self.baseline.intervals)
		error = self.baseline.spread * math.sqrt(seen / max(self.baseline.independence, 0.01))
		ratio = class_middle(added)
		longer_ms = (ratio - 1) * self.usual_ms / sum(self.latencies.values())
		is_slower = added - _ERRORS_OF_MARGIN * error > self._allowed and longer_ms > self.limits.noise_ms
		return ratio if is_slower else None
