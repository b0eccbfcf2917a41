"""The verbs of the helper, as methods.

Two callers: the server, with arguments that `policy` has checked; and, where no helper is installed,
the runner itself, in its own process and with its own rights (`open_local`).

Invariant: nothing here decides who may; everything here can be repeated, and then changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .bench_user import BenchUser
from .configuration import ROLES, Bench, build_bench
from .discovery import discover
from .errors import NotFound
from .leases import Clock, Leases, LeaseWatcher
from .maintenance import Maintenance
from .restarts import Restarts
from .runner_watch import Resume, RunnerWatch
from .runners import Runners
from .services import Services, build_status, connect
from .state import StateDirectory


class Operations:
	"""What can be done to one bench. `state_directory` is this bench's own. All methods raise HelperError."""

	def __init__(
		self,
		bench: Bench,
		state_directory: str,
		services: Services | None = None,
		clock: Clock | None = None,
	):
		self.bench = bench
		self._state_directory = state_directory
		clock = clock or Clock()
		state = StateDirectory(state_directory)
		bench_user = BenchUser(bench)
		self._services = services or connect(bench.services, bench.uid)
		self._leases = Leases(state, clock)
		self._maintenance = Maintenance(bench_user, self._leases)
		self._restarts = Restarts(self._services, state, bench.services.all_names)
		self._watch = RunnerWatch(state, clock, bench.uid)
		self._runners = Runners(bench_user, on_killed=self._watch.note_child_killed)

	def configured_as(self, bench: Bench) -> Operations:
		"""Return the operations on the same bench as it is configured by now.

		Who runs, and who is watched, goes over to them. Of the former ones nothing is left at work.
		"""
		self._restarts.close()
		successor = Operations(bench, self._state_directory)
		successor._watch, successor._runners = self._watch, self._runners
		self._runners.act_as(BenchUser(bench))
		return successor

	def status(self) -> dict:
		"""Return `{"programs": […], "leases": […], "sites": [name], "watched": [run]}`.

		`sites` are those that the helper may act on; helpers installed earlier answer without it and `watched`.
		program: `{"name", "role", "state", "pid", "started_at", "description", "restart_pending"}`
		lease: `{"run", "sites", "expires_at", "expired"}`
		"""
		pending = self._restarts.pending()
		leases = self._leases.load().values()
		programs = [
			self._describe(name, role, name in pending)
			for role in ROLES
			for name in self.bench.services.in_role(role)
		]
		return {
			"programs": programs,
			"leases": [{**lease.describe(), "expired": not self._leases.is_live(lease)} for lease in leases],
			"sites": list(self.bench.sites),
			"watched": self._watch.watched(),
		}

	def maintenance_on(self, run: str, sites: list[str], lease_seconds: int) -> dict:
		"""Put sites into maintenance; return `{"previous": {site: …}, "lease": {…}}`."""
		return self._maintenance.switch_on(run, sites, lease_seconds)

	def maintenance_renew(self, run: str, lease_seconds: int) -> dict:
		"""Extend the lease; return `{"run", "sites", "expires_at"}`."""
		return self._maintenance.renew(run, lease_seconds)

	def maintenance_off(self, run: str, sites: list[str], previous: dict) -> dict:
		"""Restore what was there before `maintenance_on`, and release the lease; return `{}`."""
		return self._maintenance.switch_off(run, sites, previous)

	def reload(self, role: str) -> dict:
		"""Send HUP to the programs of a role; return `{"signalled": [name]}`."""
		names = self._find_names(role)
		for name in names:
			self._services.reload(name)
		return {"signalled": list(names)}

	def restart(self, role: str) -> dict:
		"""Begin to restart the programs of a role; return `{"restarting": [name]}` at once."""
		names = self._find_names(role)
		self._restarts.request(names)
		return {"restarting": list(names)}

	def start_runner(self, run: str) -> dict:
		"""Start the runner of a new run; return `{"pid"}`."""
		return self._runners.resume(run)

	def resume_runner(self, run: str) -> dict:
		"""Start the runner of a run that stopped half-way; return `{"pid"}`."""
		return self._runners.resume(run)

	def watch_runner(self, run: str, pid: int) -> dict:
		"""Resume the run at once when this process, its runner, dies; return `{"watched": bool}`."""
		return self._watch.watch(run, pid)

	def unwatch_runner(self, run: str, pid: int) -> dict:
		"""Let this process, the runner of the run, end without being missed; return `{}`."""
		return self._watch.unwatch(run, pid)

	def start_watch(self, resume: Resume, give_up: Resume) -> None:
		"""Begin to resume the runs of runners that die; see `RunnerWatch.start`."""
		self._watch.start(resume, give_up)

	def continue_restarts(self) -> list[str]:
		"""Go on with restarts that an earlier process left unfinished; return the names."""
		return self._restarts.resume()

	def wait_for_restarts(self, seconds: float) -> list[str]:
		"""Wait at most `seconds` for pending restarts; return the names of those still pending."""
		return self._restarts.wait(seconds)

	def build_watcher(self, resume: Callable[[str], object] | None = None) -> LeaseWatcher:
		"""Return what resumes the runs whose leases ran out, by `resume(run)` or by our own."""
		return LeaseWatcher(self._leases, resume or self.resume_runner)

	def close(self) -> None:
		"""Stop the background work. What is pending stays on disk."""
		self._restarts.close()
		self._watch.close()

	def _find_names(self, role: str) -> tuple[str, ...]:
		names = self.bench.services.in_role(role)
		if not names:
			# Success would read as "restarted", when nothing was.
			raise NotFound(
				f"No {role} service of {self.bench.path} is known; run there: sudo env/bin/press-deploy helper install"
			)
		return names

	def _describe(self, name: str, role: str, pending: bool) -> dict:
		try:
			status = self._services.status(name)
		except NotFound as error:
			status = build_status(name, "UNKNOWN", None, str(error))
		note = self._restarts.note(name) if pending else None
		description = note or status["description"]
		return {**status, "role": role, "description": description, "restart_pending": pending}


def open_local(
	bench_path: str, state_directory: str | None = None, supervisor_socket: str | None = None
) -> Operations:
	"""Return the operations that this very process may do on a bench, where no helper is installed.

	What cannot be found out about services leaves them out; maintenance and runners work all the same.
	State is kept in `<bench>/config/press_deploy_state`. Raises HelperError.
	"""
	bench_path = os.path.abspath(bench_path)
	bench = build_bench(
		os.path.basename(bench_path), discover(bench_path, supervisor_socket, services_needed=False)
	)
	return Operations(bench, state_directory or os.path.join(bench_path, "config", "press_deploy_state"))
