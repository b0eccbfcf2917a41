"""Maintenance mode and services: through the helper where one answers, else with the bench user's own rights.

Invariant: the same verbs either way; what is missing without a helper is said in preflight.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import ServiceError
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.errors import HelperError, Unreachable
from press_deploy.helper.operations import Operations, open_local

WEB, REALTIME, WORKERS = "web", "realtime", "workers"
# As long as supervisor gives a worker to finish its job.
RESTART_LIMIT_SECONDS = 1560
# A helper that was updated or died is started again by its own supervisor well within this.
GONE_SECONDS = 20.0
RETRY_SECONDS = 0.5
ROLES = (WEB, REALTIME, WORKERS)


class Services:
	"""The services of a bench, as a run sees them. Every method raises `ServiceError`."""

	def __init__(self, bench: Bench):
		self._bench = bench
		self._client = HelperClient(find_socket(str(bench.path)), find_bench_name(str(bench.path)))
		self._local: Operations | None = None
		# Without it the lease's thread and the runner would each get operations that drive the same restarts.
		self._local_lock = threading.Lock()
		self.has_helper = self._answers()
		self.lost_helper = False

	def programs(self, role: str | None = None) -> list[dict[str, Any]]:
		"""The programs of a role, or all: {name, role, state, pid, started_at, description, restart_pending}."""
		programs = self._call(
			"asking for the state of", f"the services of {self._bench.path}", lambda port: port.status()
		)["programs"]
		return [program for program in programs if role in (None, program["role"])]

	def maintenance_on(self, run: str, sites: list[str], lease_seconds: int) -> None:
		self._call(
			"putting into maintenance",
			", ".join(sites),
			lambda port: port.maintenance_on(run, sites, lease_seconds),
		)

	def maintenance_renew(self, run: str, lease_seconds: int) -> None:
		self._call(
			"renewing the maintenance lease of", run, lambda port: port.maintenance_renew(run, lease_seconds)
		)

	def maintenance_off(self, run: str, previous: dict[str, dict]) -> None:
		"""Give each site the value it had before, absence included."""
		sites = sorted(previous)
		self._call("opening", ", ".join(sites), lambda port: port.maintenance_off(run, sites, previous))

	def has_lease(self, run: str) -> bool:
		leases = self._call("asking for the leases of", run, lambda port: port.status())["leases"]
		return any(lease["run"] == run for lease in leases)

	def unknown_sites(self, sites: list[str]) -> list[str]:
		"""Those of these sites that the helper may not act on; it was installed before they were made."""
		known = self._call("asking for the sites of", "the helper", lambda port: port.status()).get("sites")
		# A helper of an earlier version does not say; what it can't do shows where it has to do it.
		return [] if known is None else [site for site in sites if site not in known]

	def reload(self, role: str) -> None:
		self._call("reloading", f"{role} of {self._bench.path}", lambda port: port.reload(role))

	def restart(self, role: str) -> None:
		"""Begin a restart; `programs` shows how it goes."""
		self._call("restarting", f"{role} of {self._bench.path}", lambda port: port.restart(role))

	def watch_runner(self, run: str) -> str | None:
		"""Have the helper resume the run at once when this process dies; return why it won't, if it won't.

		Nothing depends on it: a run whose runner died is resumed later anyway, by its lease or the scheduler.
		"""
		if not self.has_helper:
			return None
		later = "does not watch this runner; if it dies, the run is resumed later"
		try:
			if self._client.watch_runner(run)["watched"]:
				return None
			return f"The helper {later}: that takes Linux 5.3 or newer."
		except HelperError as error:
			update = f"sudo {self._bench.command_to_type('helper', 'install')}"
			return f"The helper {later}: {error} If it is older than this app, update it: {update}"

	def unwatch_runner(self, run: str) -> None:
		"""This process ends in order, or by an interrupt: nobody need start another one."""
		if self.has_helper:
			with suppress(HelperError):
				# Who is missed without reason is resumed, and finds nothing to do.
				self._client.unwatch_runner(run)

	def close(self) -> None:
		"""End what this process does for the services; without a helper nobody else would start them again."""
		if self._local:
			self._local.wait_for_restarts(RESTART_LIMIT_SECONDS)
			self._local.close()

	def _answers(self) -> bool:
		try:
			self._client.status()
		except Unreachable:
			return False
		except HelperError:
			# It is there; what it has to say against us belongs into preflight.
			return True
		return True

	def _call(self, doing: str, what: str, verb: Callable[[Any], Any]) -> Any:
		try:
			return self._try(verb)
		except HelperError as error:
			who = "helper" if self.has_helper else "bench user's own rights"
			remedy = f"see whether the helper runs: {self._bench.command_to_type('helper', 'status')}"
			if not self.has_helper:
				remedy = f"install the helper: sudo {self._bench.command_to_type('helper', 'install')}"
			raise ServiceError(doing.capitalize(), what, f"{error} (through the {who})", remedy) from error

	def _try(self, verb: Callable[[Any], Any]) -> Any:
		"""Ask the helper; when it has gone, wait for it to come back, then go on without it."""
		deadline = time.monotonic() + GONE_SECONDS
		while self.has_helper:
			try:
				return verb(self._client)
			except Unreachable:
				if time.monotonic() > deadline:
					self.has_helper, self.lost_helper = False, True
				time.sleep(RETRY_SECONDS)
		return verb(self._local_operations())

	def _local_operations(self) -> Operations:
		with self._local_lock:
			if self._local is None:
				socket = self._bench.descriptor.get("supervisor_socket")
				local = open_local(str(self._bench.path), supervisor_socket=socket)
				local.continue_restarts()
				self._local = local
			return self._local
