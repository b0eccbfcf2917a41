"""Waiting by looking: until it is enough, until the time is over, or until somebody wishes to stop."""

import time
from operator import not_

import pytest

from press_deploy.engine.ground.waiting import wait_until


class StopAsked(Exception):
	pass


def test_what_is_there_at_once_is_not_waited_for():
	assert wait_until(lambda: "there", 0) == "there"


def test_it_looks_until_it_is_enough():
	seen = iter(["", "", "there", "never looked at"])
	assert wait_until(lambda: next(seen), 10, poll_seconds=0.001) == "there"


def test_when_the_time_is_over_the_last_look_is_returned():
	begun = time.monotonic()
	assert wait_until(lambda: ["old program"], 0.05, not_, poll_seconds=0.01) == ["old program"]
	assert 0.05 <= time.monotonic() - begun < 1


def test_the_last_look_is_made_when_the_time_is_over():
	"""A pause that is longer than the time that is left does not make it pass unseen."""
	begun = time.monotonic()
	assert wait_until(lambda: time.monotonic() - begun >= 0.05, 0.05, poll_seconds=60)


def test_a_wish_to_stop_ends_it():
	def stop():
		raise StopAsked

	with pytest.raises(StopAsked):
		wait_until(lambda: False, 60, heed=stop)


def test_nobody_is_asked_for_a_wish_once_it_is_enough():
	wait_until(lambda: True, 60, heed=lambda: pytest.fail("there was no need to"))


def test_what_looking_raises_leaves():
	with pytest.raises(ZeroDivisionError):
		wait_until(lambda: 1 / 0, 60)
