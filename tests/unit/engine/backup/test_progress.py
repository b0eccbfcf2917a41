"""Progress: one line a second, and an estimate only where the end is known."""

from __future__ import annotations

import pytest

from press_deploy.engine.ground.progress import ProgressMeter, describe, show_seconds, show_size


@pytest.mark.parametrize(
	"done,expected,rate,line",
	[
		(412e6, 1e9, 95e6, "41 %, 412 MB of 1.0 GB, 95 MB/s, about 6 s left"),
		(412e6, None, 95e6, "412 MB, 95 MB/s"),
		(2e9, 1e9, 95e6, "2.0 GB, 95 MB/s"),
		(0, 1e9, 0, "0 %, 0 bytes of 1.0 GB, 0 bytes/s"),
		(0, 0, 0, "0 bytes, 0 bytes/s"),
	],
)
def test_a_line(done: float, expected: float | None, rate: float, line: str) -> None:
	assert describe(int(done), expected and int(expected), rate) == line


@pytest.mark.parametrize(
	"size,shown",
	[
		(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9960, "10 kB"),
		(999_499, "999 kB"), (999_500, "1.0 MB"), (3.2e15, "3200 TB"),
	],
)  # fmt: skip
def test_sizes(size: float, shown: str) -> None:
	assert show_size(size) == shown


@pytest.mark.parametrize(
	"seconds,shown", [(0.2, "1 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, shown: str) -> None:
	assert show_seconds(seconds) == shown


class Clock:
	now = 0.0

	def __call__(self) -> float:
		return self.now


def test_at_most_one_line_a_second_with_the_rate_of_late() -> None:
	clock, lines = Clock(), []
	meter = ProgressMeter(lines.append, clock)
	for tick in range(1, 41):
		clock.now = tick / 4
		meter(tick * 25_000_000, 4_000_000_000)
	assert len(lines) == 10
	assert lines[-1] == "25 %, 1.0 GB of 4.0 GB, 100 MB/s, about 30 s left"
	# Slow from now on: after a while the fast beginning doesn't count any more.
	for second in range(20):
		clock.now = 11 + second
		meter(1_000_000_000 + second * 1_000_000, 4_000_000_000)
	assert ", 1.0 MB/s, " in lines[-1]


def test_another_piece_of_work_begins_anew() -> None:
	clock, lines = Clock(), []
	meter = ProgressMeter(lines.append, clock)
	clock.now = 2
	meter(900_000_000, 900_000_000)
	clock.now = 3
	meter(50_000_000, 900_000_000)
	assert lines[-1] == "5 %, 50 MB of 900 MB, 50 MB/s, about 17 s left"
