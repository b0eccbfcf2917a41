"""How one figure of a sample is measured.

Invariant: what can't be measured is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import psutil

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.watching.probes import Probe


@dataclass(frozen=True)
class Interval:
	"""What there is to measure by: what visitors got since the last sample, the databases, and errors since the switch.

	`log_errors` is None where they could not be counted.
	"""

	probes: list[Probe]
	databases: list[Database]
	log_errors: int | None


# A figure that compares with when it was last asked for has been asked for before the first sample.
Gauge = Callable[[Interval], float | None]


def good_probes(interval: Interval) -> list[Probe]:
	return [probe for probe in interval.probes if probe.kind == GOOD]


def latency_ms(interval: Interval) -> float | None:
	"""The median of the good answers."""
	good = [probe.latency_ms for probe in good_probes(interval)]
	return round(median(good), 2) if good else None


def log_errors(interval: Interval) -> int | None:
	return interval.log_errors


def cpu_percent(interval: Interval) -> float:
	"""Of the whole machine, since the last time it was asked for."""
	return psutil.cpu_percent()


def memory_percent(interval: Interval) -> float:
	return psutil.virtual_memory().percent


def database_connections(interval: Interval) -> int | None:
	"""Of the server of the first database that answers."""
	for database in interval.databases:
		try:
			return database.connections()
		except DatabaseUnavailable:
			continue
	return None
