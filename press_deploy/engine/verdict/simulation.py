"""What given limits do to releases of a known kind: how often these are rolled back, and after how long.

Visitors are made up as they come to a real site: by chance (Poisson) over several routes of different weight, with
latencies that are skewed (lognormal) and follow each other: for seconds at a time everything is somewhat slower or
faster (an autoregressive part).

Invariant: what judges here is what judges a release; only the visitors are made up. The same seed gives the same.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

from press_deploy.engine.verdict.statistical_tests import quantile_of_counts
from press_deploy.engine.verdict.traffic import (
	CLASS_STEP,
	INTERVAL_SECONDS,
	Interval,
	Limits,
	TrafficWatch,
	class_middle,
	find_baselines,
)

# {route: (its weight, its middle latency in ms)}
ROUTES = {"/": (0.45, 60.0), "/app": (0.25, 120.0), "/api/method": (0.2, 40.0), "/api/resource": (0.1, 200.0)}
# Of the logarithm of latencies: within an interval, and from interval to interval.
SPREAD, DRIFT = 0.5, 0.25
DRIFT_SECONDS = 15.0
HEALTHY_ERROR_RATE = 0.01
# The hour before, as logs have it, or as much of it as has so many answers.
BASELINE_SECONDS, BASELINE_ANSWERS = 3600.0, 3000
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Release:
	"""Visitors per second, the share of failed answers (0 to 1), and how many times longer answers take than before."""

	rate: float
	error_rate: float = HEALTHY_ERROR_RATE
	slowdown: float = 1.0
	seconds: float = 1800.0


@dataclass(frozen=True)
class Outcome:
	"""After how many seconds a release was rolled back; None where it was not. `literally`: by the runbook's words."""

	judged: float | None
	literally: float | None


def simulate(release: Release, limits: Limits, windows: int, seed: int) -> list[Outcome]:
	"""Each window has visitors, a baseline and a chance of its own."""
	return [_simulate_window(release, limits, random.Random(f"{seed}/{number}")) for number in range(windows)]


def _simulate_window(release: Release, limits: Limits, chance: random.Random) -> Outcome:
	seconds = min(BASELINE_SECONDS, max(600.0, BASELINE_ANSWERS / release.rate))
	before = Release(release.rate, min(release.error_rate, HEALTHY_ERROR_RATE), 1.0, seconds)
	visitors = _Visitors(chance)
	baseline = [interval for moment in visitors.come(before) for interval in moment]
	watch, literal = TrafficWatch(find_baselines(baseline), limits), _LiteralRules(baseline, limits)
	judged = literally = None
	for number, moment in enumerate(visitors.come(release), 1):
		until = number * INTERVAL_SECONDS
		if judged is None and watch.follow(moment):
			judged = until
		if literally is None and literal.follow(moment, until):
			literally = until
		if judged is not None and literally is not None:
			break
	return Outcome(judged, literally)


class _Visitors:
	def __init__(self, chance: random.Random):
		self._chance = chance
		self._drift = chance.gauss(0, DRIFT)

	def come(self, release: Release) -> Iterator[list[Interval]]:
		"""The intervals of all routes, moment by moment from 0 s on."""
		keeps = math.exp(-INTERVAL_SECONDS / DRIFT_SECONDS)
		for number in range(round(release.seconds / INTERVAL_SECONDS)):
			self._drift = keeps * self._drift + self._chance.gauss(0, DRIFT * math.sqrt(1 - keeps * keeps))
			time = number * INTERVAL_SECONDS
			yield [
				self._answer(time, route, answers, middle, release)
				for route, (weight, middle) in ROUTES.items()
				if (answers := self._count(release.rate * weight * INTERVAL_SECONDS))
			]

	def _answer(self, time: float, route: str, answers: int, middle: float, release: Release) -> Interval:
		shift, spread = (math.log(middle * release.slowdown) + self._drift) / CLASS_STEP, SPREAD / CLASS_STEP
		normal, draw = _NORMAL.inv_cdf, self._chance.random
		latencies: dict[int, int] = {}
		for _ in range(answers):
			# Never 0, of which there is no quantile.
			number = round(shift + spread * normal(1 - draw()))
			latencies[number] = latencies.get(number, 0) + 1
		errors = sum(draw() < release.error_rate for _ in range(answers))
		return Interval(time, route, answers, errors, latencies)

	def _count(self, expected: float) -> int:
		"""How many come where so many are expected (Knuth's way of drawing from Poisson's distribution)."""
		count = 0
		while expected > 0:
			limit, product = math.exp(-min(expected, 30.0)), self._chance.random()
			expected -= 30.0
			while product > limit:
				count, product = count + 1, product * self._chance.random()
		return count


class _LiteralRules:
	"""The runbook's triggers word for word, minute by minute: an error rate, and a 95th percentile, above the limit."""

	def __init__(self, baseline: list[Interval], limits: Limits):
		self._limits = limits
		self._before = _percentile(baseline)
		self._minute: list[Interval] = []

	def follow(self, moment: list[Interval], until: float) -> bool:
		self._minute += moment
		if until % 60:
			return False
		minute, self._minute = self._minute, []
		answers = sum(interval.answers for interval in minute)
		errors = sum(interval.errors for interval in minute)
		now = _percentile(minute)
		is_slow = (
			now is not None and self._before is not None and now > (1 + self._limits.slowdown) * self._before
		)
		return bool(answers) and (errors > self._limits.error_rate * answers or is_slow)


def _percentile(intervals: list[Interval]) -> float | None:
	"""The latency (ms) that 95 % of all answers keep."""
	counts: Counter[int] = Counter()
	for interval in intervals:
		counts.update(interval.latencies)
	found = quantile_of_counts(counts, 0.95)
	return None if found is None else class_middle(found)


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
	"""{"share_rolled_back", "median_seconds", "share_within_600_seconds", "literally": {the first two}} as plain data."""
	judged, literally = [each.judged for each in outcomes], [each.literally for each in outcomes]
	return {
		**_count(judged),
		"share_within_600_seconds": _share_within(judged, 600),
		"literally": _count(literally),
	}


def _count(seconds: list[float | None]) -> dict[str, float | None]:
	found = [each for each in seconds if each is not None]
	return {
		"share_rolled_back": _share_within(seconds, math.inf),
		"median_seconds": median(found) if found else None,
	}


def _share_within(seconds: list[float | None], limit: float) -> float:
	return sum(each is not None and each <= limit for each in seconds) / max(1, len(seconds))
