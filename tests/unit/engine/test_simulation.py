"""What the limits do to made-up releases; `make bench` has the table over ten thousand of each."""

from __future__ import annotations

from press_deploy.engine.verdict.simulation import Release, median_seconds, share_rolled_back, simulate
from press_deploy.engine.verdict.traffic import Limits

WINDOWS = 20


def judged(release: Release) -> list[float | None]:
	return [outcome.judged for outcome in simulate(release, Limits(), WINDOWS, seed=1)]


def test_healthy_releases_stay() -> None:
	for rate in (0.2, 1.0):
		assert share_rolled_back(judged(Release(rate))) == 0


def test_the_runbook_s_words_would_roll_most_of_them_back() -> None:
	literally = [outcome.literally for outcome in simulate(Release(0.2), Limits(), WINDOWS, seed=1)]
	assert share_rolled_back(literally) > 0.9


def test_bad_releases_go_back_soon() -> None:
	failing, slow = judged(Release(1.0, error_rate=0.15)), judged(Release(1.0, slowdown=2.0))
	assert share_rolled_back(failing, within=600) == share_rolled_back(slow, within=600) == 1
	assert median_seconds(failing) <= 60 and median_seconds(slow) <= 120


def test_the_same_seed_is_the_same() -> None:
	first, second = (simulate(Release(1.0, 0.06), Limits(), 5, seed) for seed in (1, 1))
	assert first == second != simulate(Release(1.0, 0.06), Limits(), 5, seed=2)
	assert median_seconds([None, None]) is None and share_rolled_back([]) == 0
