"""What may be chance and what may not: textbook tests over counts, each with its source.

Invariant: pure functions of numbers. They know nothing of releases, and say nothing where there is nothing to say:
without figures a probability is 1, and a bound is the widest there can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, median

# {value: how often it was seen}. Latencies come so: in buckets, with many ties.
Counts = Mapping[float, int]

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Trend:
	"""A slope per unit of time, and the bounds between which it lies with the confidence that was asked for."""

	slope: float
	lower: float
	upper: float


def wilson_interval(hits: int, total: int, confidence: float) -> tuple[float, float]:
	"""Between which shares (0 to 1) the true one lies; two-sided, `confidence` in (0, 1).

	Wilson, “Probable inference, the law of succession, and statistical inference”, JASA 22 (1927).
	"""
	if not total:
		return 0.0, 1.0
	z = _NORMAL.inv_cdf((1 + confidence) / 2)
	share, width = hits / total, z * z / total
	middle = (share + width / 2) / (1 + width)
	half = z * math.sqrt(share * (1 - share) / total + width / (4 * total)) / (1 + width)
	# At the ends the bound is exact; what is left of it by rounding would be one error in no answers.
	return (middle - half if hits else 0.0), (middle + half if hits < total else 1.0)


def wilson_lower_bound(hits: int, total: int, confidence: float) -> float:
	"""The share (0 to 1) that the true one is above; one-sided."""
	return wilson_interval(hits, total, 2 * confidence - 1)[0]


def probability_of_higher_ranks(before: Counts, now: Counts, shrink: float = 1.0) -> float:
	"""How probable it is that `now` ranks so high above `before` when both come from one distribution.

	The one-sided test of Mann and Whitney (“On a test of whether one of two random variables is stochastically
	larger than the other”, Annals of Mathematical Statistics 18, 1947) by the normal approximation, with the
	correction for ties and for continuity. `shrink` (0 to 1): how much of each observation is new, where they
	follow each other too closely to count as one each (see `independent_share`).
	"""
	first, second = sum(before.values()), sum(now.values())
	total = first + second
	if not first or not second:
		return 1.0
	ranks, passed, ties = 0.0, 0, 0
	for value in sorted({*before, *now}):
		here = before.get(value, 0) + now.get(value, 0)
		ranks += now.get(value, 0) * (passed + (here + 1) / 2)
		passed, ties = passed + here, ties + here**3 - here
	wins = ranks - second * (second + 1) / 2
	variance = first * second / 12 * ((total + 1) - ties / (total * (total - 1)))
	if variance <= 0:
		return 1.0
	return 1 - _NORMAL.cdf((wins - first * second / 2 - 0.5) / math.sqrt(variance) * math.sqrt(shrink))


def median_of_counts(counts: Counts) -> float | None:
	"""The value in the middle; of two, their mean. None without values."""
	return quantile_of_counts(counts, 0.5)


def quantile_of_counts(counts: Counts, share: float) -> float | None:
	"""The value with `share` (0 to 1) of all at or below it, between two neighbours in proportion; None without."""
	total = sum(counts.values())
	if not total:
		return None
	place = share * (total - 1)
	lower, rest = int(place), place - int(place)
	passed, found = 0, None
	for value in sorted(value for value, count in counts.items() if count):
		passed += counts[value]
		if found is not None:
			return found + rest * (value - found)
		if passed > lower + 1 or (passed > lower and not rest):
			return value
		if passed > lower:
			found = value
	return found


def find_trend(times: Sequence[float], values: Sequence[float], confidence: float) -> Trend | None:
	"""The median of the slopes between all pairs, which a few outliers don't move; None without two moments.

	Sen, “Estimates of the regression coefficient based on Kendall's tau”, JASA 63 (1968), after Theil (1950). The
	cost grows with the square of the number of values.
	"""
	points = sorted(zip(times, values, strict=True))
	slopes = sorted((y - x) / (t - s) for (s, x), (t, y) in combinations(points, 2) if t > s)
	if not slopes:
		return None
	size = len(points)
	variance = size * (size - 1) * (2 * size + 5)
	for repeated in (_repeats(times), _repeats(values)):
		variance -= sum(count * (count - 1) * (2 * count + 5) for count in repeated)
	reach = _NORMAL.inv_cdf((1 + confidence) / 2) * math.sqrt(max(0.0, variance / 18))
	upper = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
	lower = max(round((len(slopes) - reach) / 2) - 1, 0)
	return Trend(median(slopes), slopes[lower], slopes[upper])


def independent_share(series: Sequence[float]) -> float:
	"""How much of each value of a series in time is new: 1 where they don't follow each other, towards 0 where they do.

	(1 - r) / (1 + r) for the correlation r of each with the one before it: the effective number of observations of
	an autoregressive series (Bayley and Hammersley, “The effective number of independent observations in an
	autocorrelated time series”, 1946).
	"""
	if len(series) < 3:
		return 1.0
	mean = sum(series) / len(series)
	spread = sum((value - mean) ** 2 for value in series)
	if not spread:
		return 1.0
	together = sum((one - mean) * (following - mean) for one, following in pairwise(series))
	correlation = min(max(together / spread, 0.0), 0.99)
	return (1 - correlation) / (1 + correlation)


def _repeats(values: Sequence[float]) -> list[int]:
	counts: dict[float, int] = {}
	for value in values:
		counts[value] = counts.get(value, 0) + 1
	return [count for count in counts.values() if count > 1]
