"""Samples of the bench while it is watched: what visitors see, what the machine and its logs say.

Invariant: what could not be measured is None in the sample and empty in the file, never 0.
"""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import psutil

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.watching.probes import Probe


@dataclass(frozen=True)
class Sample:
	"""One interval. Latency is the median in ms of the good answers in it; percents are 0 to 100."""

	time: float
	probes: int
	bad_probes: int
	latency_ms: float | None
	cpu_percent: float | None
	memory_percent: float | None
	database_connections: int | None
	log_errors: int | None


COLUMNS = [field.name for field in fields(Sample)]


class Sampler:
	"""Takes samples and appends them to a file, where they survive the sampler."""

	def __init__(self, file: Path, databases: list[Database]):
		self._file, self._databases = file, databases
		# The first call of psutil compares with nothing and returns 0.
		psutil.cpu_percent()

	def sample(self, probes: list[Probe], log_errors: int | None) -> Sample:
		"""One sample from the probes since the last one and the machine now."""
		good = [probe.latency_ms for probe in probes if probe.kind == GOOD]
		taken = Sample(
			time=time.time(),
			probes=len(probes),
			bad_probes=len(probes) - len(good),
			latency_ms=round(median(good), 2) if good else None,
			cpu_percent=psutil.cpu_percent(),
			memory_percent=psutil.virtual_memory().percent,
			database_connections=self._connections(),
			log_errors=log_errors,
		)
		try:
			self._append(taken)
		except OSError:
			# A full disk loses the sample's record; a healthy release is not rolled back for that.
			pass
		return taken

	def _connections(self) -> int | None:
		for database in self._databases:
			try:
				return database.connections()
			except DatabaseUnavailable:
				continue
		return None

	def _append(self, sample: Sample) -> None:
		is_new = not self._file.exists()
		with self._file.open("a", newline="") as output:
			writer = csv.DictWriter(output, COLUMNS)
			if is_new:
				writer.writeheader()
			row = asdict(sample)
			writer.writerow({**row, "time": f"{sample.time:.3f}"})


def read_samples(file: Path) -> list[Sample]:
	"""The samples of a run. A torn line is passed over."""
	if not file.exists():
		return []
	with file.open(newline="", errors="replace") as rows:
		return [sample for row in csv.DictReader(rows) if (sample := _parse(row))]


def _parse(row: dict[str, str]) -> Sample | None:
	if None in row:  # More columns than there are: a torn line, and the next one behind it.
		return None
	try:
		return Sample(
			float(row["time"]),
			int(row["probes"]),
			int(row["bad_probes"]),
			_number(row["latency_ms"]),
			_number(row["cpu_percent"]),
			_number(row["memory_percent"]),
			int(row["database_connections"]) if row["database_connections"] else None,
			_count(row["log_errors"]),
		)
	except (TypeError, ValueError, KeyError):
		return None


def _count(text: str | None) -> int | None:
	"""The last column: empty is unknown, but what isn't there at all was torn off."""
	return int(text) if text != "" else None


def _number(text: str) -> float | None:
	return float(text) if text else None
