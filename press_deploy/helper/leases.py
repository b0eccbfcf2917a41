"""Leases on maintenance: who holds which sites, until when, and what was there before.

Invariant: a site that the helper put into maintenance has a lease on disk until its previous value is
back. A lease that ran out is never a reason to open a site, only to resume the run that holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from .errors import HelperError, OperationFailed
from .state import StateDirectory

FILE = "leases"
FIRST_RETRY_SECONDS = 30
LONGEST_RETRY_SECONDS = 600


class Clock:
	"""Time that may be trusted across suspend, clock changes and reboots."""

	def wall(self) -> float:
		"""Return seconds since 1970, for people to read."""
		return time.time()

	def elapsed(self) -> float:
		"""Return seconds since the machine started, suspend included, which nobody can set."""
		return time.clock_gettime(time.CLOCK_BOOTTIME)

	def boot(self) -> str:
		"""Return what identifies this start of the machine."""
		with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
			return file.read().strip()


@dataclass(frozen=True)
class Lease:
	"""One run's hold on its sites. `expires_at` is for people; the decision is made by the other two."""

	run: str
	sites: tuple[str, ...]
	previous: dict
	expires_at: float
	expires_elapsed: float
	boot: str

	def describe(self) -> dict:
		"""Return what callers get to see: `{"run", "sites", "expires_at"}`."""
		return {"run": self.run, "sites": list(self.sites), "expires_at": self.expires_at}


class Leases:
	"""The leases of one bench. Read them freely; change them inside `locked()`."""

	def __init__(self, state: StateDirectory, clock: Clock):
		self._state = state
		self.clock = clock

	def locked(self) -> AbstractContextManager[None]:
		"""Keep every other thread and process from changing leases."""
		return self._state.locked(FILE)

	def load(self) -> dict[str, Lease]:
		"""Return all leases by run. Raises OperationFailed."""
		stored = self._state.read(FILE)
		try:
			return {run: Lease(**{**lease, "sites": tuple(lease["sites"])}) for run, lease in stored.items()}
		except (TypeError, KeyError) as error:
			raise OperationFailed(f"The leases in {self._state.path} make no sense: {error!r}.") from error

	def save(self, leases: dict[str, Lease]) -> None:
		"""Replace all leases at once, durably. Raises OperationFailed."""
		self._state.write(FILE, {run: asdict(lease) for run, lease in leases.items()})

	def grant(self, run: str, sites: tuple[str, ...], previous: dict, seconds: float) -> Lease:
		"""Return a lease that runs out `seconds` from now; it counts once it is saved."""
		wall, elapsed = self.clock.wall(), self.clock.elapsed()
		return Lease(run, sites, previous, wall + seconds, elapsed + seconds, self.clock.boot())

	def is_live(self, lease: Lease) -> bool:
		"""Say whether the holder still has time. One from before a reboot has none: its holder is dead."""
		return lease.boot == self.clock.boot() and self.clock.elapsed() < lease.expires_elapsed


class LeaseWatcher:
	"""Resumes the runs whose leases ran out, again and again, ever less often, until they renew."""

	def __init__(self, leases: Leases, resume: Callable[[str], object]):
		self._leases = leases
		self._resume = resume
		self._attempts: dict[str, tuple[int, float]] = {}

	def check(self) -> list[str]:
		"""Resume what is due; return the runs that were resumed. Raises OperationFailed."""
		expired = [run for run, lease in self._leases.load().items() if not self._leases.is_live(lease)]
		self._attempts = {run: attempt for run, attempt in self._attempts.items() if run in expired}
		return [run for run in expired if self._resume_if_due(run)]

	def _resume_if_due(self, run: str) -> bool:
		count, due = self._attempts.get(run, (0, 0.0))
		now = self._leases.clock.elapsed()
		if now < due:
			return False
		pause = min(FIRST_RETRY_SECONDS * 2 ** min(count, 10), LONGEST_RETRY_SECONDS)
		self._attempts[run] = (count + 1, now + pause)
		try:
			self._resume(run)
		except HelperError:
			# Already in the audit log; the next attempt comes after the pause.
			return False
		return True
