"""Holding sites in maintenance mode: under a lease that dies with the runner, and observed in reality.

Invariant: maintenance counts as on when every web worker that could have the old configuration is gone
and fresh connections get nothing but 503; reading the file back proves nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psutil

from press_deploy.engine.bench.answer import (
	BROKEN,
	CLIENT_ERROR,
	GOOD,
	MAINTENANCE,
	REFUSED,
	SERVER_ERROR,
	TIMEOUT,
)
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.processes import started_at
from press_deploy.engine.bench.services import WEB, Services
from press_deploy.engine.bench.web import Web
from press_deploy.engine.ground.errors import DeployError, ServiceError
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.waiting import wait_until

LEASE_SECONDS = 30
RENEW_SECONDS = 8
# Requests at work may end; gunicorn itself cuts them off after its graceful timeout of 30 s.
OBSERVE_SECONDS = 45
ANSWERS_PER_WORKER = 4
ANSWERS_OF_UNSEEN_WORKERS = 60
# What may be answered, for sites to count as open, and as closed. Where the release itself is broken,
# nobody is served either, and the rollback must not wait for it to say so politely.
OPEN = frozenset({GOOD})
CLOSED = frozenset({MAINTENANCE})
CLOSED_OR_BROKEN = frozenset({MAINTENANCE, SERVER_ERROR, CLIENT_ERROR, REFUSED, TIMEOUT, BROKEN})
MINIMUM_ANSWERS = 10


class Lease:
	"""Renews the lease of a run from a thread, as long as the runner lives."""

	def __init__(self, services: Services, run: str, note: Callable[[str], None]):
		self._services, self._run, self._note = services, run, note
		self._stop = threading.Event()
		self._thread: threading.Thread | None = None

	def keep(self) -> None:
		if self._thread is None:
			self._stop.clear()
			self._thread = threading.Thread(target=self._renew_steadily, name="lease", daemon=True)
			self._thread.start()

	def hand_over(self, seconds: int) -> None:
		"""Stop renewing; the helper resumes the run when these `seconds` are over."""
		self.close()
		try:
			self._services.maintenance_renew(self._run, seconds)
		except DeployError as error:
			self._note(f"The maintenance lease could not be extended: {error}")

	def close(self) -> None:
		if self._thread:
			self._stop.set()
			self._thread.join()
			self._thread = None

	def _renew_steadily(self) -> None:
		while not self._stop.wait(RENEW_SECONDS):
			try:
				self._services.maintenance_renew(self._run, LEASE_SECONDS)
			except Exception as error:
				# Whatever it is, the next renewal may succeed; a thread that ended could not.
				self._note(f"The maintenance lease could not be renewed: {error}")


class MaintenanceObserver:
	"""Asks the web server whether sites are in maintenance, or open."""

	def __init__(self, bench: Bench, services: Services, web: Web):
		self._bench, self._services, self._web = bench, services, web

	def wait_until(self, sites: list[str], wanted: frozenset[str], seconds: float = OBSERVE_SECONDS) -> None:
		"""Let the web workers read their configuration again, and wait until all of them answer as wanted."""
		if not self.observe(sites, wanted).done:
			self._reload()
			wait_until(lambda: self.observe(sites, wanted).done, seconds)

	def observe(self, sites: list[str], wanted: frozenset[str]) -> Observation:
		"""One look: are all workers newer than the configuration, and is every answer of a wanted kind?"""
		programs = self._services.programs(WEB)
		if GOOD not in wanted and _are_down(programs):
			return Observation(
				True, "the web server does not run; when it does, it starts in maintenance mode"
			)
		workers = _find_workers(programs)
		changed = max(self._bench.site_config(site).stat().st_mtime for site in sites)
		old = [pid for pid in workers if (started := started_at(pid)) and started < changed]
		if old:
			return Observation(False, f"web workers {old} are older than the change of the configuration")
		times = (
			max(MINIMUM_ANSWERS, ANSWERS_PER_WORKER * len(workers)) if workers else ANSWERS_OF_UNSEEN_WORKERS
		)
		kinds = set()
		for site in sites:
			for _answer in range(times):
				answer = self._web.ask(site)
				kinds.add(answer.kind)
				if answer.kind not in wanted:
					return Observation(False, f"{site} answered {answer.status or answer.kind}")
		said = " or ".join(sorted("200" if kind == GOOD else kind for kind in kinds))
		return Observation(
			True,
			f"{len(sites)} site(s) answered {said} and nothing else, {times} times each on fresh connections, by "
			f"{len(workers)} web workers",
			{"answers": times, "workers": len(workers)},
		)

	def _reload(self) -> None:
		try:
			self._services.reload(WEB)
		except ServiceError:
			# A web server that has just died can't be told; what it serves is observed in any case.
			if not _are_down(self._services.programs(WEB)):
				raise


def _are_down(programs: list[dict[str, Any]]) -> bool:
	"""Whether programs are known, and none of them runs."""
	return bool(programs) and all(program["state"] != "RUNNING" for program in programs)


def _find_workers(programs: list[dict[str, Any]]) -> list[int]:
	"""Process ids of the web workers: the children of the web server's master."""
	found = []
	for program in programs:
		try:
			found += [child.pid for child in psutil.Process(program["pid"]).children()]
		except (psutil.Error, TypeError, ValueError):
			continue
	return found
