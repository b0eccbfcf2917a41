"""How far a long piece of work on bytes is: counts from whoever does it, a line for whoever watches.

Invariant: telling never changes the work; an estimate is given only where the end is known.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# Bytes done so far, and bytes expected in the end; None where that is not known.
Progress = Callable[[int, int | None], None]

LINE_SECONDS = 1.0
# The rate is that of the last lines: a disk that has become slow shows.
REMEMBERED_LINES = 15
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class ProgressMeter:
	"""Turns calls of `Progress` into at most one line a second, for one piece of work or several in turn."""

	def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
		self._say, self._clock = say, clock
		self._samples: deque[tuple[float, int]] = deque([(clock(), 0)], maxlen=REMEMBERED_LINES)

	def __call__(self, done: int, expected: int | None) -> None:
		now = self._clock()
		if now - self._samples[-1][0] < LINE_SECONDS:
			return
		if done < self._samples[-1][1]:
			# Another piece of work has begun.
			self._samples = deque([(self._samples[-1][0], 0)], maxlen=REMEMBERED_LINES)
		begun, before = self._samples[0]
		self._samples.append((now, done))
		self._say(describe(done, expected, (done - before) / (now - begun)))


def describe(done: int, expected: int | None, rate: float) -> str:
	"""One line: “41 %, 412 MB of 1.0 GB, 95 MB/s, about 6 s left”. `rate` is in bytes a second."""
	speed = f"{show_size(rate)}/s"
	if not expected or done > expected:
		return f"{show_size(done)}, {speed}"
	left = f", about {show_seconds((expected - done) / rate)} left" if rate else ""
	return f"{100 * done // expected} %, {show_size(done)} of {show_size(expected)}, {speed}{left}"


def show_size(size: float) -> str:
	"""Bytes in decimal units: 999 bytes, 1.0 kB, 412 MB."""
	power = 0
	while size >= 999.5 and power < len(_UNITS) - 1:
		size, power = size / 1000, power + 1
	digits = 1 if power and size < 9.95 else 0
	return f"{size:.{digits}f} {_UNITS[power]}"


def show_seconds(seconds: float) -> str:
	"""A duration as people say it: 6 s, 4 min, 2 h 5 min."""
	if seconds < 99.5:
		return f"{max(1, round(seconds))} s"
	minutes = round(seconds / 60)
	return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
