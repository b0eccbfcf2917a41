"""The prober: a visitor that never stops asking, and so measures what users see of the deployment.

Invariant: a tick that got no answer counts as a bad answer, never as nothing.
"""

from __future__ import annotations

import csv
import io
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from press_deploy.engine.bench.web import BROKEN, GOOD, Answer, Web

WINDOW_INTERVAL_SECONDS = 0.1
MAXIMUM_THREADS = 16
OUTSTANDING_PER_SITE = 3
# Two outages with less than this between them are one: nobody works in such a gap.
GAP_SECONDS = 1.0
COLUMNS = ["time", "site", "status", "kind", "latency_ms"]


@dataclass(frozen=True)
class Probe:
	"""One answer to the prober: `time` in epoch seconds when it was asked."""

	time: float
	site: str
	status: int | None
	kind: str
	latency_ms: float


@dataclass(frozen=True)
class Outage:
	"""A span in which a site answered badly: from the first bad answer to the first good one after it."""

	site: str
	first_bad: float
	last_bad: float
	seconds: float
	kinds: dict[str, int]


class Prober:
	"""Asks every site at a steady rate from a thread of its own, until it is closed."""

	def __init__(self, web: Web, sites: list[str], path: str, file: Path):
		self._web, self._sites, self._path = web, sites, path
		self._file = file
		self._interval = WINDOW_INTERVAL_SECONDS
		self._stop = threading.Event()
		self._lock = threading.Lock()
		self._outstanding: Counter[str] = Counter()
		self._fresh: list[Probe] = []
		self._thread: threading.Thread | None = None

	def ensure_started(self, interval_seconds: float = WINDOW_INTERVAL_SECONDS) -> None:
		"""Probe from now on, every `interval_seconds`."""
		self._interval = interval_seconds
		if self._thread is None:
			self._stop.clear()
			self._thread = threading.Thread(target=self._probe_steadily, name="prober", daemon=True)
			self._thread.start()

	def take(self) -> list[Probe]:
		"""The probes that came in since the last call."""
		with self._lock:
			fresh, self._fresh = self._fresh, []
		return fresh

	def close(self) -> None:
		"""Stop, and wait until every answer that is still under way is written down."""
		if self._thread:
			self._stop.set()
			self._thread.join()
			self._thread = None

	def _probe_steadily(self) -> None:
		with (
			_Rows(self._file) as rows,
			ThreadPoolExecutor(min(MAXIMUM_THREADS, OUTSTANDING_PER_SITE * len(self._sites))) as pool,
		):
			due = time.monotonic()
			while not self._stop.is_set():
				for site in self._sites:
					if self._outstanding[site] < OUTSTANDING_PER_SITE:
						with self._lock:
							self._outstanding[site] += 1
						pool.submit(self._probe, site, rows)
				due = max(due + self._interval, time.monotonic() - self._interval)
				self._stop.wait(max(0.0, due - time.monotonic()))

	def _probe(self, site: str, rows: _Rows) -> None:
		begun = time.time()
		try:
			probe = as_probe(site, self._web.ask(site, self._path, public=True))
		except Exception:  # A configuration that can't be read, say: nobody knows, so it is no good answer.
			probe = Probe(begun, site, None, BROKEN, 0.0)
		with self._lock:
			self._outstanding[site] -= 1
			self._fresh.append(probe)
			rows.write(probe)


class _Rows:
	"""The file of a prober. On a full disk a row is missing, and the next that finds room is whole again."""

	def __init__(self, path: Path):
		self._path, self._file = path, None

	def __enter__(self) -> _Rows:
		return self

	def __exit__(self, *_exception: object) -> None:
		if self._file is not None:
			os.close(self._file)

	def write(self, probe: Probe) -> None:
		values = {**asdict(probe), "time": f"{probe.time:.3f}", "latency_ms": f"{probe.latency_ms:.1f}"}
		try:
			if self._file is None:
				self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
			length = os.fstat(self._file).st_size
			text = _as_csv([values.values()] if length else [COLUMNS, values.values()])
			if os.write(self._file, text) < len(text):
				os.ftruncate(self._file, length)
		except OSError:
			pass


def _as_csv(rows: Iterable[Iterable[object]]) -> bytes:
	text = io.StringIO()
	csv.writer(text).writerows(rows)
	return text.getvalue().encode()


def as_probe(site: str, answer: Answer) -> Probe:
	return Probe(answer.time, site, answer.status, answer.kind, answer.latency_ms)


def read_probes(file: Path) -> list[Probe]:
	"""What the prober of a run wrote, in the order of asking. A torn line is passed over."""
	if not file.exists():
		return []
	probes = []
	with file.open(newline="", errors="replace") as rows:
		for row in csv.DictReader(rows):
			if None in row:  # More columns than there are: a torn line, and the next one behind it.
				continue
			try:
				status = int(row["status"]) if row["status"] else None
				probes.append(
					Probe(float(row["time"]), row["site"], status, row["kind"], float(row["latency_ms"]))
				)
			except (TypeError, ValueError, KeyError):
				continue
	return sorted(probes, key=lambda probe: probe.time)


def find_outages(probes: Iterable[Probe]) -> list[Outage]:
	"""The outages of each site, from probes in the order of asking."""
	by_site: dict[str, list[Probe]] = {}
	for probe in probes:
		by_site.setdefault(probe.site, []).append(probe)
	outages = [outage for site in by_site for outage in _outages_of(by_site[site])]
	return sorted(outages, key=lambda outage: outage.first_bad)


def downtime_seconds(outages: Iterable[Outage]) -> float:
	"""What users saw: the outages of the site that was away longest, in seconds."""
	per_site: Counter[str] = Counter()
	for outage in outages:
		per_site[outage.site] += outage.seconds
	return round(max(per_site.values(), default=0.0), 3)


def _outages_of(probes: list[Probe]) -> list[Outage]:
	outages: list[Outage] = []
	span: list[Probe] = []
	recovered: float | None = None
	for probe in probes:
		if probe.kind == GOOD:
			recovered = recovered or probe.time
		elif span and (recovered is None or probe.time - recovered < GAP_SECONDS):
			span.append(probe)
			recovered = None
		else:
			if span:
				outages.append(_outage(span, recovered))
			span, recovered = [probe], None
	return [*outages, _outage(span, recovered)] if span else outages


def _outage(span: list[Probe], recovered: float | None) -> Outage:
	first, last = span[0].time, span[-1].time
	until = recovered or last + WINDOW_INTERVAL_SECONDS
	kinds = dict(Counter(probe.kind for probe in span))
	return Outage(span[0].site, first, last, round(until - first, 3), kinds)
