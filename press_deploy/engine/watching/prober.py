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
from dataclasses import asdict
from pathlib import Path

from press_deploy.engine.bench.answer import BROKEN
from press_deploy.engine.bench.web import Web
from press_deploy.engine.watching.probes import COLUMNS, WINDOW_INTERVAL_SECONDS, Probe, as_probe

MAXIMUM_THREADS = 16
OUTSTANDING_PER_SITE = 3


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
