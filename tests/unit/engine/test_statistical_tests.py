"""The tests agree with SciPy's, ties included, and say nothing where there is nothing to say."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from scipy import stats

from press_deploy.engine.verdict.statistical_tests import (
	find_trend,
	independent_share,
	median_of_counts,
	probability_of_higher_ranks,
	quantile_of_counts,
	wilson_interval,
	wilson_lower_bound,
)

INPUTS = 2000


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilsons_interval_is_scipys(confidence: float) -> None:
	chance = random.Random(confidence)
	for _ in range(INPUTS):
		total = chance.randint(1, chance.choice([5, 50, 5000]))
		hits = chance.choice([0, total, chance.randint(0, total)])
		wanted = stats.binomtest(hits, total).proportion_ci(confidence, method="wilson")
		assert wilson_interval(hits, total, confidence) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
		one_sided = stats.binomtest(hits, total, alternative="greater").proportion_ci(
			confidence, method="wilson"
		)
		assert wilson_lower_bound(hits, total, confidence) == pytest.approx(one_sided.low, abs=1e-12)


def test_the_test_of_mann_and_whitney_is_scipys() -> None:
	chance = random.Random(7)
	for _ in range(INPUTS):
		# From all alike over many ties to hardly any.
		values = chance.choice([1, 2, 5, 30, 100_000])
		shift = chance.choice([0, 0, 1, values // 2])
		before = [chance.randint(0, values) for _ in range(chance.randint(1, 60))]
		now = [chance.randint(0, values) + shift for _ in range(chance.randint(1, 60))]
		found = probability_of_higher_ranks(Counter(before), Counter(now))
		if len({*before, *now}) == 1:
			assert found == 1.0
			continue
		wanted = stats.mannwhitneyu(now, before, alternative="greater", method="asymptotic").pvalue
		assert found == pytest.approx(wanted, abs=1e-12)


def test_trends_are_scipys() -> None:
	chance = random.Random(11)
	for _ in range(INPUTS // 4):
		size = chance.randint(2, 40)
		times = [chance.choice([number, number // 2]) + chance.choice([0, 0.5]) for number in range(size)]
		values = [chance.choice([1.0, chance.random()]) + 0.1 * time for time in times]
		if len(set(times)) == 1:
			continue
		wanted = stats.theilslopes(values, times, alpha=0.9)
		found = find_trend(times, values, 0.9)
		assert found.slope == pytest.approx(wanted.slope, abs=1e-12)
		assert (found.lower, found.upper) == pytest.approx((wanted.low_slope, wanted.high_slope), abs=1e-12)


def test_quantiles_of_counts_are_those_of_the_values() -> None:
	chance = random.Random(13)
	for _ in range(INPUTS):
		values = [chance.randint(0, 9) for _ in range(chance.randint(1, 20))]
		share = chance.choice([0, 0.5, 0.95, 1, chance.random()])
		wanted = stats.scoreatpercentile(sorted(values), 100 * share)
		assert quantile_of_counts(Counter(values), share) == pytest.approx(wanted)


def test_nothing_says_nothing() -> None:
	assert wilson_interval(0, 0, 0.95) == (0.0, 1.0)
	assert probability_of_higher_ranks({}, {1.0: 5}) == probability_of_higher_ranks({1.0: 5}, {}) == 1.0
	assert probability_of_higher_ranks({1.0: 5}, {1.0: 7}) == 1.0
	assert median_of_counts({}) is None
	assert median_of_counts({1.0: 0}) is None
	assert find_trend([], [], 0.95) is None
	assert find_trend([1.0, 1.0], [1.0, 2.0], 0.95) is None
	assert independent_share([]) == independent_share([1.0, 2.0]) == independent_share([3.0] * 9) == 1.0


def test_values_that_follow_each_other_say_less() -> None:
	chance = random.Random(17)
	alone = [chance.gauss(0, 1) for _ in range(5000)]
	followed, last = [], 0.0
	for value in alone:
		last = 0.8 * last + value
		followed.append(last)
	assert independent_share(alone) == pytest.approx(1, abs=0.1)
	assert independent_share(followed) == pytest.approx((1 - 0.8) / (1 + 0.8), abs=0.03)
	assert independent_share(sorted(alone)) > 0
	before, now = Counter({1.0: 30, 2.0: 20}), Counter({1.0: 20, 2.0: 30})
	assert probability_of_higher_ranks(before, now) < probability_of_higher_ranks(before, now, 0.2) < 0.5
