"""Looking again and again is no more alarms: the promise of `sequential`, tried."""

from __future__ import annotations

import random

import pytest

from press_deploy.engine.verdict.sequential import SequentialShare

ALARM = 0.05
SERIES, LOOKS = 100, 900


def ever_alarms(limit: float, share: float, seed: int) -> float:
	"""Of many series with this true share, those in which one of the looks was an alarm."""
	chance, alarms = random.Random(seed), 0
	for _ in range(SERIES):
		watched = SequentialShare(limit)
		for _look in range(LOOKS):
			watched.count(int(chance.random() < share), 1)
			if watched.probability <= ALARM:
				alarms += 1
				break
	return alarms / SERIES


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.5, 0.9])
def test_a_share_at_its_limit_hardly_ever_alarms(limit: float) -> None:
	# At most 5 % of them do; a hundred series leave some room to chance.
	assert ever_alarms(limit, limit, seed=3) <= 0.1


def test_a_share_below_its_limit_never_does() -> None:
	assert ever_alarms(0.05, 0.02, seed=5) == 0


@pytest.mark.parametrize("share", [0.15, 0.3, 1.0])
def test_a_share_above_its_limit_is_found(share: float) -> None:
	assert ever_alarms(0.05, share, seed=7) == 1


def test_it_is_the_same_in_many_looks_and_in_one() -> None:
	many, one = SequentialShare(0.05), SequentialShare(0.05)
	for _ in range(30):
		many.count(1, 2)
	one.count(30, 60)
	assert many.probability == pytest.approx(one.probability)
	assert (many.hits, many.total) == (one.hits, one.total) == (30, 60)


def test_what_was_found_is_not_forgotten() -> None:
	watched = SequentialShare(0.05)
	watched.count(20, 40)
	found = watched.probability
	watched.count(0, 5000)
	assert watched.probability == found


def test_limits_at_the_ends() -> None:
	never, always = SequentialShare(1.0), SequentialShare(0.0)
	never.count(100, 100)
	always.count(0, 100)
	assert never.probability == always.probability == 1
	always.count(1, 1)
	assert always.probability == 0


def test_trials_that_follow_each_other_say_less() -> None:
	whole, half = SequentialShare(0.05), SequentialShare(0.05, independence=0.5)
	whole.count(10, 20)
	half.count(10, 20)
	assert whole.probability < half.probability < 1
	nothing = SequentialShare(0.05, independence=0.0)
	nothing.count(10, 20)
	assert nothing.probability == pytest.approx(1)
