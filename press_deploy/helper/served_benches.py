"""The benches that the daemon serves, and what it does for each by itself.

Invariant: each bench of the configuration has its operations, a watch over leases and one over runners, also
after the configuration was changed; what runs or is watched meanwhile is not forgotten by that.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback

from .audit import AuditLog, Caller
from .configuration import Bench, Configuration
from .errors import Denied, HelperError
from .leases import LeaseWatcher
from .operations import Operations

WATCH_SECONDS = 2.0


class ServedBenches:
	"""The operations of each bench by name."""

	def __init__(self, configuration: Configuration, audit: AuditLog):
		self.configuration = configuration
		self._audit = audit
		self._operations = {name: self._open(bench) for name, bench in configuration.benches.items()}
		self._lock = threading.Lock()
		self._closed = threading.Event()

	def start(self) -> None:
		"""Begin the work in the background."""
		for name in self._operations:
			self._begin(name)

	def find(self, bench: Bench) -> Operations:
		"""Return the operations of a bench as it was authorised. Raises Denied when it is gone meanwhile."""
		with self._lock:
			operations = self._operations.get(bench.name)
		if operations is None or operations.bench.uid != bench.uid:
			raise Denied(f"The bench {bench.name} was just taken out of the helper's configuration.")
		return operations

	def settle(self, operations: Operations) -> None:
		"""See that what was just asked of these operations is done, though others took their place meanwhile."""
		with self._lock:
			present = self._operations.get(operations.bench.name)
		if present is not None and present is not operations:
			present.continue_restarts()

	def apply(self, configuration: Configuration) -> list[str]:
		"""Serve what is configured by now; return the names of the benches that changed. Raises HelperError."""
		former, self.configuration = self.configuration.benches, configuration
		changed = [
			name
			for name in former.keys() | configuration.benches.keys()
			if former.get(name) != configuration.benches.get(name)
		]
		for name in changed:
			self._replace(name, former.get(name), configuration.benches.get(name))
		return sorted(changed)

	def close(self) -> None:
		"""Stop the background work. What is pending stays on disk."""
		self._closed.set()
		with self._lock:
			operations, self._operations = self._operations, {}
		for each in operations.values():
			each.close()

	def _open(self, bench: Bench) -> Operations:
		return Operations(bench, os.path.join(self.configuration.state, bench.name))

	def _replace(self, name: str, before: Bench | None, after: Bench | None) -> None:
		operations = self._operations.get(name)
		is_same = before and after and (before.path, before.uid) == (after.path, after.uid)
		if operations and is_same:
			successor = operations.configured_as(after)
		else:
			if operations:
				operations.close()
			successor = self._open(after) if after else None
		with self._lock:
			self._operations.pop(name, None)
			if successor:
				self._operations[name] = successor
		if successor:
			self._begin(name, watches_runners=not is_same)

	def _begin(self, name: str, watches_runners: bool = True) -> None:
		operations = self._operations[name]
		try:
			operations.continue_restarts()
			if watches_runners:
				operations.start_watch(
					lambda run, because: self._resume(name, run, because),
					lambda run, because: self._give_up(name, run, because),
				)
		except HelperError as error:
			# One bench's unreadable state must not keep the others from being served.
			print(f"{name}: {error}", file=sys.stderr, flush=True)
		watcher = operations.build_watcher(lambda run: self._resume(name, run, "lease expired"))
		threading.Thread(target=self._watch_leases, args=(operations, watcher), daemon=True).start()

	def _watch_leases(self, operations: Operations, watcher: LeaseWatcher) -> None:
		name = operations.bench.name
		while not self._closed.wait(WATCH_SECONDS):
			if self._operations.get(name) is not operations:
				return
			try:
				watcher.check()
			except Exception:
				# Whatever it is, the next look may succeed; a watcher that died would strand a site.
				traceback.print_exc()

	def _resume(self, name: str, run: str, because: str) -> None:
		with self._lock:
			operations = self._operations.get(name)
		if operations:
			with self._audit.attempt(_ourselves(), "resume_runner", name, {"run": run, "because": because}):
				operations.resume_runner(run)

	def _give_up(self, name: str, run: str, because: str) -> None:
		what = f"{run} is not resumed at once any more, since {because}; its lease and people are left"
		self._audit.note(_ourselves(), "given_up", bench=name, run=run, message=what)


def _ourselves() -> Caller:
	return Caller(os.geteuid(), os.getpid())
