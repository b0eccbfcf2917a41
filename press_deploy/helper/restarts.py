"""Restarts that wait as long as a program needs to stop, and that outlive the process that waits.

Each program is driven by a thread of its own, so that a busy worker holds up nobody else:

	stop   until it is stopped (or has been replaced by a new process), then
	start  until it runs; a start that fails is repeated, ever less often.

Invariant: from the request until the program runs again, the phase is on disk, and it says "start"
before the first start is asked for. So a request made while the phase is "stop" is already served by
the start to come; one made in "start" may have missed it, and begins anew.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from .errors import HelperError
from .services import Services
from .state import StateDirectory

FILE = "restarts"
# Programs are looked at often at first, and the longer one takes the less often, because visitors wait for the quick
# ones and nobody for a worker that finishes its job.
POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0


@dataclass
class _Attempts:
	"""How often this process has asked for a start, and when it may ask again (monotonic)."""

	starts: int = 0
	not_before: float = 0.0


class Restarts:
	"""The pending restarts of one bench's services."""

	def __init__(self, services: Services, state: StateDirectory, names: tuple[str, ...]):
		self._services = services
		self._state = state
		self._names = names
		self._notes: dict[str, str] = {}
		self._threads: dict[str, threading.Thread] = {}
		self._lock = threading.Lock()
		self._closed = threading.Event()

	def request(self, names: tuple[str, ...]) -> None:
		"""Have each program stopped and started; return at once. Raises HelperError, changing nothing."""
		with self._state.locked(FILE):
			pending = self.pending()
			for name in names:
				if pending.get(name, {}).get("phase") != "stop":
					pending[name] = {"phase": "stop", "pid": self._services.status(name)["pid"]}
			self._state.write(FILE, pending)
		self._drive_all(names)

	def resume(self) -> list[str]:
		"""Go on with what an earlier process left unfinished; return the names."""
		names = list(self.pending())
		self._drive_all(names)
		return names

	def pending(self) -> dict[str, dict]:
		"""Return `{name: {"phase", "pid"}}` of what is not done; `pid` is that of the old process."""
		stored = self._state.read(FILE)
		# A name that root has since taken out of the configuration is no longer ours to touch.
		return {name: entry for name, entry in stored.items() if name in self._names}

	def note(self, name: str) -> str | None:
		"""Return what last went wrong with a pending program."""
		return self._notes.get(name)

	def wait(self, seconds: float) -> list[str]:
		"""Wait until nothing is pending, at most `seconds`; return what still is."""
		deadline = time.monotonic() + seconds
		while (pending := list(self.pending())) and time.monotonic() < deadline:
			time.sleep(POLL_SECONDS)
		return pending

	def close(self) -> None:
		"""Stop driving. What is pending stays on disk."""
		self._closed.set()
		for thread in list(self._threads.values()):
			thread.join()

	def _drive_all(self, names: list[str] | tuple[str, ...]) -> None:
		with self._lock:
			for name in names:
				if name not in self._threads:
					self._threads[name] = threading.Thread(target=self._drive, args=(name,), daemon=True)
					self._threads[name].start()

	def _drive(self, name: str) -> None:
		attempts, failures, begun = _Attempts(), 0, time.monotonic()
		while not self._closed.is_set():
			try:
				if self._is_finished(name):
					return
				self._advance(name, attempts)
				failures, pause = 0, _grow_poll(time.monotonic() - begun)
			except HelperError as error:
				failures += 1
				self._notes[name] = str(error)
				pause = _grow_pause(failures)
			self._closed.wait(pause)

	def _is_finished(self, name: str) -> bool:
		# Looked up and signed off in one go, or a request in between would find nobody to serve it.
		with self._lock:
			if name in self.pending():
				return False
			self._notes.pop(name, None)
			del self._threads[name]
			return True

	def _advance(self, name: str, attempts: _Attempts) -> None:
		"""Look at the program and do the one thing that is next."""
		status = self._services.status(name)
		entry = self.pending().get(name)
		if entry is None:
			return
		if entry["phase"] == "stop":
			# What failed before belonged to an earlier request.
			attempts.starts, attempts.not_before = 0, 0.0
			self._advance_stop(name, entry, status)
		elif status["state"] == "RUNNING":
			self._change(name, entry, None)
		elif status["state"] in ("STOPPED", "FAILED") and time.monotonic() >= attempts.not_before:
			if attempts.starts:
				self._notes[name] = f"start {attempts.starts} failed: {status['description']}"
			attempts.starts += 1
			attempts.not_before = time.monotonic() + _grow_pause(attempts.starts)
			self._services.start(name)

	def _advance_stop(self, name: str, entry: dict, status: dict) -> None:
		replaced = status["pid"] is not None and status["pid"] != entry["pid"]
		if replaced or status["state"] in ("STOPPED", "FAILED"):
			self._change(name, entry, {**entry, "phase": "start"})
		elif status["state"] in ("RUNNING", "STARTING"):
			self._services.stop(name)

	def _change(self, name: str, before: dict, after: dict | None) -> None:
		"""Replace a program's entry, unless a new request has replaced it meanwhile."""
		with self._state.locked(FILE):
			pending = self.pending()
			if pending.get(name) != before:
				return
			del pending[name]
			if after is not None:
				pending[name] = after
			self._state.write(FILE, pending)


def _grow_poll(seconds: float) -> float:
	"""How long to wait for the next look at what has taken so long already."""
	return min(POLL_SECONDS * (1 + seconds), LONGEST_POLL_SECONDS)


def _grow_pause(failures: int) -> float:
	return min(2.0 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)
