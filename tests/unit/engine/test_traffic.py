"""What visitors get, before and after: each way of being worse is found, and each way of only looking worse is not."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from press_deploy.engine.verdict.traffic import (
	ALL_ROUTES,
	INTERVAL_SECONDS,
	Alarm,
	Interval,
	Limits,
	TrafficWatch,
	class_middle,
	find_baselines,
	latency_class,
)

MINUTES = 12


def answers(time: float, route: str, latencies_ms: Iterable[float], errors: int = 0) -> Interval:
	counted: dict[int, int] = {}
	for latency in (total := list(latencies_ms)):
		counted[latency_class(latency)] = counted.get(latency_class(latency), 0) + 1
	return Interval(time, route, len(total), errors, counted)


def usual(chance: random.Random, middle: float, count: int) -> list[float]:
	return [middle * chance.lognormvariate(0, 0.4) for _ in range(count)]


def moments(minutes: int = MINUTES, **routes: tuple[int, float, float]) -> list[list[Interval]]:
	"""{route: (answers in each interval, their middle latency in ms, share of errors)}, interval by interval."""
	chance = random.Random(29)
	return [
		[
			answers(
				number * INTERVAL_SECONDS, f"/{route}", usual(chance, middle, count), round(share * count)
			)
			for route, (count, middle, share) in routes.items()
		]
		for number in range(round(minutes * 60 / INTERVAL_SECONDS))
	]


def alarms(before: list[list[Interval]], since: list[list[Interval]], **limits: float) -> list[Alarm]:
	"""The first that there are."""
	watch = TrafficWatch(find_baselines(each for moment in before for each in moment), Limits(**limits))
	return next((found for moment in since if (found := watch.follow(moment))), [])


BEFORE = moments(app=(20, 100, 0), api=(10, 40, 0), report=(5, 300, 0))


def test_all_as_before_is_no_alarm() -> None:
	assert alarms(BEFORE, moments(app=(20, 100, 0), api=(10, 40, 0), report=(5, 300, 0))) == []


def test_a_route_that_fails_is_named() -> None:
	found = alarms(BEFORE, moments(app=(20, 100, 0), api=(10, 40, 0), report=(5, 300, 0.2)))
	assert [(alarm.kind, alarm.route) for alarm in found] == [("errors", "/report")]
	assert found[0].figure == pytest.approx(0.2) and found[0].answers >= 50


def test_a_route_that_is_slower_is_named() -> None:
	found = alarms(BEFORE, moments(app=(20, 100, 0), api=(10, 40, 0), report=(5, 600, 0)))
	assert [(alarm.kind, alarm.route) for alarm in found] == [("slowness", "/report")]
	assert found[0].figure == pytest.approx(2, rel=0.2)


def test_everything_slower_is_known_of_all_routes_together() -> None:
	found = alarms(BEFORE, moments(app=(20, 210, 0), api=(10, 84, 0), report=(5, 630, 0)))
	assert ALL_ROUTES in [alarm.route for alarm in found] and {alarm.kind for alarm in found} == {"slowness"}


def test_other_visitors_are_no_slower_release() -> None:
	"""Ten times as many now ask for the slowest page: the middle of all answers is three times what it was."""
	assert alarms(BEFORE, moments(app=(2, 100, 0), api=(1, 40, 0), report=(50, 300, 0))) == []


def test_a_few_milliseconds_are_noise() -> None:
	before, since = moments(static=(20, 4, 0)), moments(static=(20, 12, 0))
	assert alarms(before, since) == []
	assert alarms(before, since, noise_ms=5)


def test_what_always_failed_is_no_worse_for_failing_on() -> None:
	before = moments(app=(20, 100, 0.1))
	assert alarms(before, moments(app=(20, 100, 0.1))) == []
	assert alarms(before, moments(app=(20, 100, 0.3)))


def test_too_few_answers_say_nothing() -> None:
	one = moments(5, app=(1, 100, 1))
	assert alarms(BEFORE, one[:49]) == []
	assert alarms(BEFORE, one)


@pytest.mark.parametrize("before", [[], [[]], moments(1, app=(1, 100, 0)), moments(1, app=(0, 100, 0))])
def test_without_a_baseline_errors_are_judged_and_slowness_is_not(before: list[list[Interval]]) -> None:
	assert alarms(before, moments(app=(20, 900, 0))) == []
	found = alarms(before, moments(app=(20, 900, 0.5)))
	assert {alarm.kind for alarm in found} == {"errors"}


def test_a_route_that_is_new_is_judged_by_its_errors() -> None:
	assert alarms(BEFORE, moments(app=(20, 100, 0), new=(20, 5000, 0))) == []
	found = alarms(BEFORE, moments(app=(20, 100, 0), new=(20, 5000, 0.5)))
	assert {alarm.kind for alarm in found} == {"errors"}


def test_latencies_without_variance() -> None:
	before = [[answers(number * 5.0, "/app", [100.0] * 10)] for number in range(40)]
	assert alarms(before, before) == []
	slower = [[answers(number * 5.0, "/app", [200.0] * 10)] for number in range(40)]
	assert {alarm.kind for alarm in alarms(before, slower)} == {"slowness"}


@pytest.mark.parametrize("limits", [{"error_rate": 0.0}, {"slowdown": 0.0}, {"error_rate": 1.0}])
def test_limits_at_the_ends_are_limits(limits: dict[str, float]) -> None:
	found = alarms(BEFORE, moments(app=(20, 250, 0.4), api=(10, 100, 0.4), report=(5, 750, 0.4)), **limits)
	assert found


@pytest.mark.parametrize("milliseconds", [0.0, 0.01, 1.0, 47.0, 120_000.0])
def test_a_class_stands_for_its_latencies(milliseconds: float) -> None:
	assert class_middle(latency_class(milliseconds)) == pytest.approx(max(milliseconds, 0.01), rel=0.03)
