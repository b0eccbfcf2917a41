"""One run per bench at a time.

Invariant: the kernel's lock on the file says whether an owner is alive; what stands in the file says
who, why and since when. A run that died keeps the bench for itself until it is resumed or rolled back.
The owner is replaced in room that the file has already, so a full disk can't forget him; where he can't be
read all the same, the bench belongs to whatever run of it is unfinished.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import LockHeld, Refused
from press_deploy.engine.ground.waiting import wait_until
from press_deploy.engine.journal.run_directory import list_runs

FILE_NAME = "lock.json"
# More than an owner takes. It is written over with blanks, never cut off.
RECORD_BYTES = 1024
# Whoever only asks whether the lock is held (`is_alive`) has it for an instant.
INSTANT_SECONDS = 0.5
FINISHING_SECONDS = 180.0
POLL_SECONDS = 0.05
FINISHING_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Owner:
	run: str
	reason: str
	pid: int
	since: str


class BenchLock:
	"""The lock of a bench's deployments directory, to be used as a context manager."""

	def __init__(self, deployments: Path, run: str, reason: str, is_unfinished: Callable[[str], bool]):
		self._bench = Bench(deployments.parent)
		self._path = deployments / FILE_NAME
		self._owner = Owner(
			run, reason, os.getpid(), datetime.now(timezone.utc).isoformat(timespec="seconds")
		)
		self._is_unfinished = is_unfinished
		self._file: int | None = None

	def __enter__(self) -> BenchLock:
		"""Take the lock. Raises `LockHeld` when another run is alive, or died and isn't finished."""
		self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
		self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
		try:
			self._take()
		except BaseException:
			self._release()
			raise
		return self

	def __exit__(self, *_exception: object) -> None:
		self._release()

	def forget(self) -> None:
		"""The run is over: leave no owner behind."""
		self._write("")

	def _take(self) -> None:
		deployments = self._path.parent
		if not self._try_to_lock():
			owner = read_owner(deployments)
			self._release()
			if not is_alive(deployments):
				raise _kept_idle()
			raise _held(self._bench, owner, alive=True)
		owner = read_owner(deployments) or self._find_lost_owner()
		if owner and owner.run != self._owner.run and self._is_unfinished(owner.run):
			raise _held(self._bench, owner, alive=False)
		self._write(json.dumps(asdict(self._owner)))

	def _find_lost_owner(self) -> Owner | None:
		"""Whose the bench is where the file holds something, but no owner."""
		if not self._path.read_bytes().strip():
			return None
		unfinished = [run.name for run in list_runs(self._bench.path) if self._is_unfinished(run.name)]
		mine = self._owner.run in unfinished
		return Owner(unfinished[-1], "deployment", 0, "unknown") if unfinished and not mine else None

	def _try_to_lock(self) -> bool:
		begun = time.monotonic()
		while True:
			try:
				fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
				return True
			except OSError:
				is_finishing = self._holder_is_finishing()
				if time.monotonic() - begun > (FINISHING_SECONDS if is_finishing else INSTANT_SECONDS):
					return False
				# To see whether it is finishing, its whole journal is read.
				time.sleep(FINISHING_POLL_SECONDS if is_finishing else POLL_SECONDS)

	def _holder_is_finishing(self) -> bool:
		"""Whether the holder's run is over, so that only its report and records are still being written."""
		owner = read_owner(self._path.parent)
		return owner is not None and not self._is_unfinished(owner.run)

	def _write(self, text: str) -> None:
		content = text.encode()
		try:
			size = max(os.fstat(self._file).st_size, -(-len(content) // RECORD_BYTES) * RECORD_BYTES)
			if size:
				# What has its room on the disk already can be replaced when the disk is full.
				os.posix_fallocate(self._file, 0, size)
				os.pwrite(self._file, content.ljust(size), 0)
				os.fsync(self._file)
		except OSError as error:
			remedy = f"free space on this disk, or mend it: {self._path.parent}"
			raise Refused(
				"Writing", f"the lock {self._path}", error.strerror or str(error), remedy
			) from error

	def _release(self) -> None:
		if self._file is not None:
			os.close(self._file)
			self._file = None


def read_owner(deployments: Path) -> Owner | None:
	"""Who wrote the lock last, alive or not; None when the last run ended in order."""
	try:
		return Owner(**json.loads((deployments / FILE_NAME).read_text()))
	except (FileNotFoundError, ValueError, TypeError):
		return None


def is_alive(deployments: Path) -> bool:
	"""Whether a living process holds the lock now."""
	return not _can_be_locked(deployments, fcntl.LOCK_SH)


@contextmanager
def keep_idle(deployments: Path) -> Iterator[bool]:
	"""Let no run start for as long as this lasts; False, and nothing is held, while one is alive.

	The owner stays as it is, so that a run which died is still found. Whoever starts a run meanwhile is told to
	wait. It is shared with others who keep the bench idle, and with those who ask `is_alive`.
	"""
	deployments.mkdir(mode=0o700, parents=True, exist_ok=True)
	descriptor = os.open(deployments / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
	try:
		try:
			fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
		except OSError:
			yield False
			return
		yield True
	finally:
		os.close(descriptor)


def require_free(bench: Bench, is_unfinished: Callable[[str], bool]) -> None:
	"""Raise `LockHeld` while another run, or work on backups, has the bench, so that no run is made in vain.

	One that only writes its report still is no hindrance: whoever starts waits for that.
	"""
	owner, alive = read_owner(bench.deployments), is_alive(bench.deployments)
	if owner and is_unfinished(owner.run):
		raise _held(bench, owner, alive=alive)
	if owner is None and alive:
		raise _held(bench, None, alive=True)
	if not alive and bench.deployments.is_dir() and not _is_unshared(bench.deployments):
		raise _kept_idle()


def _is_unshared(deployments: Path) -> bool:
	"""Whether nobody keeps the bench idle; whoever only asks has the lock for an instant."""
	return wait_until(
		lambda: _can_be_locked(deployments, fcntl.LOCK_EX), INSTANT_SECONDS, poll_seconds=POLL_SECONDS
	)


def _can_be_locked(deployments: Path, how: int) -> bool:
	"""Whether no other lock keeps this kind of one out now; it is let go at once."""
	try:
		descriptor = os.open(deployments / FILE_NAME, os.O_RDWR | os.O_CLOEXEC)
	except FileNotFoundError:
		return True
	try:
		fcntl.flock(descriptor, how | fcntl.LOCK_NB)
		return True
	except OSError:
		return False
	finally:
		os.close(descriptor)


def _kept_idle() -> LockHeld:
	found = "backups or standby databases are being worked on"
	return LockHeld("Locking", "the bench", found, "wait until that is done, then try again")


def _held(bench: Bench, owner: Owner | None, alive: bool) -> LockHeld:
	if owner is None:
		return LockHeld("Locking", "the bench", "another run is just starting", "wait, then try again")
	who = f"run {owner.run} (process {owner.pid}, {owner.reason}, since {owner.since})"
	if alive:
		watch = bench.command_to_type("status", owner.run)
		return LockHeld("Locking", "the bench", f"{who} is at work", f"watch it: {watch}")
	return LockHeld(
		"Locking",
		"the bench",
		f"{who} is not finished, and nobody is at work on it: its process died, or it waits for a person",
		f"see what it needs: {bench.command_to_type('status', owner.run)}; then "
		f"{bench.command_to_type('resume', owner.run)}, or {bench.command_to_type('rollback', owner.run)}",
	)
