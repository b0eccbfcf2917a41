"""Maintenance mode and services: through the helper where one answers, else with the bench user's own rights.

Invariant: the same verbs either way; what is missing without a helper is said in preflight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import ServiceError
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.errors import HelperError, Unreachable
from press_deploy.helper.operations import Operations, open_local

WEB, REALTIME, WORKERS = "web", "realtime", "workers"
# As long as supervisor gives a worker to finish its job.
RESTART_LIMIT_SECONDS = 1560
ROLES = (WEB, REALTIME, WORKERS)


class Services:
	"""The services of a bench, as a run sees them. Every method raises `ServiceError`."""

	def __init__(self, bench: Bench):
		self._bench = bench
		self._client = HelperClient(find_socket(str(bench.path)), find_bench_name(str(bench.path)))
		self._local: Operations | None = None
		self.has_helper = self._answers()

	def programs(self, role: str | None = None) -> list[dict[str, Any]]:
		"""The programs of a role, or all: {name, role, state, pid, started_at, description, restart_pending}."""
		programs = self._call("asking for the state of", "services", lambda port: port.status())["programs"]
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

	def reload(self, role: str) -> None:
		self._call("reloading", role, lambda port: port.reload(role))

	def restart(self, role: str) -> None:
		"""Begin a restart; `programs` shows how it goes."""
		self._call("restarting", role, lambda port: port.restart(role))

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
			return verb(self._port())
		except HelperError as error:
			who = "helper" if self.has_helper else "bench user's own rights"
			remedy = (
				"see whether the helper runs: press-deploy helper status"
				if self.has_helper
				else ("install the helper: sudo press-deploy helper install --bench " + str(self._bench.path))
			)
			raise ServiceError(doing.capitalize(), what, f"{error} (through the {who})", remedy) from error

	def _port(self) -> HelperClient | Operations:
		if self.has_helper:
			return self._client
		if self._local is None:
			self._local = open_local(str(self._bench.path))
			self._local.continue_restarts()
		return self._local
