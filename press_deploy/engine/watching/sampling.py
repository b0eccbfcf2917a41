"""Samples of the bench while it is watched: what visitors see, and a figure for each gauge.

Invariant: what could not be measured is None in the sample and empty in the file, never 0.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.databases.database import Database
from press_deploy.engine.watching.gauges import Gauge, Interval, good_probes
from press_deploy.engine.watching.probes import Probe

# The columns of every file of samples; those of the gauges follow.
ALWAYS = ("time", "probes", "bad_probes")


@dataclass(frozen=True)
class Sample:
	"""One interval: how many answers there were, how many of them bad, and {column: figure}."""

	time: float
	probes: int
	bad_probes: int
	figures: Mapping[str, float | None]


class Sampler:
	"""Takes samples and appends them to a file, where they survive the sampler."""

	def __init__(self, file: Path, databases: list[Database], gauges: Mapping[str, Gauge]):
		self._file, self._databases, self._gauges = file, databases, gauges
		# Some compare with the last time they were asked.
		self._measure(Interval([], [], None))

	def sample(self, probes: list[Probe], log_errors: int | None) -> Sample:
		"""One sample from the probes since the last one and the machine now."""
		interval = Interval(probes, self._databases, log_errors)
		good = len(good_probes(interval))
		taken = Sample(time.time(), len(probes), len(probes) - good, self._measure(interval))
		try:
			self._append(taken)
		except OSError:
			# A full disk loses the sample's record; a healthy release is not rolled back for that.
			pass
		return taken

	def _measure(self, interval: Interval) -> dict[str, float | None]:
		return {column: gauge(interval) for column, gauge in self._gauges.items()}

	def _append(self, sample: Sample) -> None:
		columns = _read_columns(self._file)
		with self._file.open("a", newline="") as output:
			# A file that an earlier version of this app began keeps its columns.
			writer = csv.DictWriter(output, columns or [*ALWAYS, *self._gauges], extrasaction="ignore")
			if not columns:
				writer.writeheader()
			always = {"time": f"{sample.time:.3f}", "probes": sample.probes, "bad_probes": sample.bad_probes}
			writer.writerow({**always, **sample.figures})


def read_samples(file: Path) -> list[Sample]:
	"""The samples of a run, with whatever columns its file has. A torn line is passed over."""
	if not file.exists():
		return []
	with file.open(newline="", errors="replace") as rows:
		return [sample for row in csv.DictReader(rows) if (sample := _parse(row))]


def _read_columns(file: Path) -> list[str]:
	if not file.exists():
		return []
	with file.open(newline="", errors="replace") as rows:
		return next(csv.reader(rows), [])


def _parse(row: dict[str, str | None]) -> Sample | None:
	# Fewer columns than there are were torn off; more are a torn line, and the next one behind it.
	if None in row or None in row.values():
		return None
	try:
		figures = {column: _number(text) for column, text in row.items() if column not in ALWAYS}
		return Sample(float(row["time"]), int(row["probes"]), int(row["bad_probes"]), figures)
	except (TypeError, ValueError, KeyError):
		return None


def _number(text: str) -> float | None:
	"""Empty is unknown. Whole numbers stay whole."""
	return None if text == "" else int(text) if text.isdecimal() else float(text)
