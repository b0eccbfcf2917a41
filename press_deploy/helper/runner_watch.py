"""Sees a runner die, and has its run resumed at once instead of when its lease is over.

A runner asks to be watched for its run; which process that is, the kernel says. Its end is seen through a
pidfd, so that a later process of the same number is never taken for it. Who ends in order says so before;
a run is resumed only where somebody ended who did not.

Invariant: who is watched is on disk before it is told so, with the boot and the moment its process began,
so that a helper that starts again goes on watching. A run whose runners die one after the other is resumed
ever later, and then not any more by us: its lease and people are left.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from .errors import Busy, HelperError, NotFound
from .leases import Clock
from .process_end import ProcessEnd
from .processes import find_start_ticks, find_uid
from .state import StateDirectory

FILE = "watched"
MAXIMUM_WATCHED = 8
MAXIMUM_REMEMBERED = 32
# Before each further resume of a run whose runners died within MEMORY_SECONDS; then it is left alone.
PAUSES = (0.0, 0.0, 0.0, 5.0, 30.0)
MEMORY_SECONDS = 900.0
# What a run needs, as its database, may still be starting when we are.
AFTER_BOOT_SECONDS = 60.0

Resume = Callable[[str, str], object]


class RunnerWatch:
	"""The runners of one bench that want to be watched; nothing is resumed before `start`."""

	def __init__(self, state: StateDirectory, clock: Clock, uid: int):
		self._state = state
		self._clock = clock
		self._uid = uid
		self._resume: Resume = lambda run, because: None
		self._give_up: Resume = lambda run, because: None
		self._waiting: dict[str, tuple[int, ProcessEnd]] = {}
		self._lock = threading.Lock()
		self._closed = threading.Event()

	def start(self, resume: Resume, give_up: Resume) -> None:
		"""Call `resume(run, because)` for each that dies, at last `give_up(run, because)`; begin with those on disk.

		Raises OperationFailed.
		"""
		self._resume, self._give_up = resume, give_up
		for run, entry in self._state.read(FILE).items():
			if entry["pid"] is not None:
				self._continue(run, entry)
			elif entry["due"]:
				self._in_background(self._resume_after, run, self._find_pause(entry["deaths"]))

	def watch(self, run: str, pid: int) -> dict:
		"""Watch the process for the run; return `{"watched": bool}`: false where the kernel has no pidfd.

		Raises NotFound, Busy, OperationFailed.
		"""
		try:
			end = ProcessEnd(pid, lambda: self._in_background(self._note_death, run, pid))
		except ProcessLookupError:
			raise _not_there(run, pid) from None
		except (AttributeError, OSError):
			return {"watched": False}
		try:
			self._note(run, pid)
		except BaseException:
			end.drop()
			raise
		self._wait_for(run, pid, end)
		return {"watched": True}

	def unwatch(self, run: str, pid: int) -> dict:
		"""The process is about to end in order; return `{}`. One that is not watched is no error."""
		with self._state.locked(FILE):
			entries = self._state.read(FILE)
			if entries.get(run, {}).get("pid") == pid:
				del entries[run]
				self._state.write(FILE, entries)
		with self._lock:
			if self._waiting.get(run, (None, None))[0] == pid:
				self._waiting.pop(run)[1].stop()
		return {}

	def note_child_killed(self, run: str, pid: int) -> None:
		"""A runner that we started was killed, perhaps before it could ask to be watched."""
		self._in_background(self._note_death, run, pid, True)

	def watched(self) -> list[str]:
		"""Return the runs whose runners are watched."""
		return sorted(run for run, entry in self._state.read(FILE).items() if entry["pid"] is not None)

	def close(self) -> None:
		"""Stop watching. Who is watched stays on disk."""
		self._closed.set()
		with self._lock:
			for _, end in self._waiting.values():
				end.stop()
			self._waiting.clear()

	def _note(self, run: str, pid: int) -> None:
		started = find_start_ticks(pid)
		if started is None or find_uid(pid) != self._uid:
			raise _not_there(run, pid)
		with self._state.locked(FILE):
			entries = self._recent(self._state.read(FILE))
			living = [name for name, entry in entries.items() if entry["pid"] is not None and name != run]
			if len(living) >= MAXIMUM_WATCHED or len(entries) >= MAXIMUM_REMEMBERED:
				raise Busy(
					"As many runners of this bench are watched, or died of late, as can be remembered."
				)
			deaths = entries.get(run, {}).get("deaths", [])
			entries[run] = {**_describe(pid, deaths), "started": started, "boot": self._clock.boot()}
			self._state.write(FILE, entries)

	def _continue(self, run: str, entry: dict) -> None:
		pid = entry["pid"]
		if entry["boot"] != self._clock.boot():
			return self._in_background(self._note_death, run, pid, False, AFTER_BOOT_SECONDS)
		with suppress(AttributeError, OSError):
			end = ProcessEnd(pid, lambda: self._in_background(self._note_death, run, pid))
			# Compared after it was opened: from now on it can't become another process.
			if find_start_ticks(pid) == entry["started"]:
				return self._wait_for(run, pid, end)
			end.drop()
		if find_start_ticks(pid) != entry["started"]:
			self._in_background(self._note_death, run, pid)

	def _wait_for(self, run: str, pid: int, end: ProcessEnd) -> None:
		"""Wait for this one instead of whatever was waited for on behalf of the run."""
		with self._lock:
			_, former = self._waiting.pop(run, (None, None))
			if former:
				former.stop()
			self._waiting[run] = (pid, end)
			end.begin()

	def _in_background(self, work: Callable[..., None], *arguments: object) -> None:
		def guarded() -> None:
			try:
				work(*arguments)
			except HelperError as error:
				# The lease is the last resort; the service's log says why it was needed.
				print(f"watching runners: {error}", file=sys.stderr, flush=True)

		threading.Thread(target=guarded, daemon=True).start()

	def _note_death(self, run: str, pid: int, is_unwatched: bool = False, pause: float = 0.0) -> None:
		"""Take the end of a process down, unless it was announced or is known; then see to its run."""
		with self._state.locked(FILE):
			entries = self._recent(self._state.read(FILE))
			entry = entries.get(run)
			begins = is_unwatched and (entry is None or (entry["pid"] is None and entry["died"] != pid))
			if not begins and (entry is None or entry["pid"] != pid):
				return
			deaths = [*(entry["deaths"] if entry else ()), self._clock.elapsed()]
			may_resume = len(deaths) <= len(PAUSES)
			entries[run] = {
				**_describe(None, deaths),
				"died": pid,
				"due": may_resume,
				"boot": self._clock.boot(),
			}
			self._state.write(FILE, entries)
		if may_resume:
			self._resume_after(run, max(pause, self._find_pause(deaths)))
		else:
			minutes = MEMORY_SECONDS / 60
			self._give_up(run, f"its runner died {len(deaths)} times within {minutes:.0f} minutes")

	def _find_pause(self, deaths: list[float]) -> float:
		return PAUSES[min(len(deaths), len(PAUSES)) - 1]

	def _resume_after(self, run: str, pause: float) -> None:
		if self._closed.wait(pause):
			return
		with self._state.locked(FILE):
			entries = self._state.read(FILE)
			if not entries.get(run, {}).get("due"):
				# Somebody else resumed it meanwhile, or finished it.
				return
			entries[run]["due"] = False
			self._state.write(FILE, entries)
		with suppress(HelperError):
			# What went wrong is in the audit log; the lease is left.
			self._resume(run, "its runner died")

	def _recent(self, entries: dict) -> dict:
		"""The entries without deaths that are long ago, and without runs of which nothing else is known."""
		now, boot, kept = self._clock.elapsed(), self._clock.boot(), {}
		for run, entry in entries.items():
			fresh = entry["boot"] == boot
			deaths = [death for death in entry["deaths"] if fresh and now - death < MEMORY_SECONDS]
			if deaths or entry["due"] or entry["pid"] is not None:
				kept[run] = {**entry, "deaths": deaths}
		return kept


def _describe(pid: int | None, deaths: list[float]) -> dict:
	return {"pid": pid, "deaths": deaths, "died": None, "due": False}


def _not_there(run: str, pid: int) -> NotFound:
	return NotFound(
		f"The process {pid} that asks to be watched for {run} cannot be seen as one of the bench's user. "
		"Run it outside of containers, on the machine of the helper."
	)
