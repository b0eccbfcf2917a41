"""The helper's own log: one JSON line for each request, and one for what came of it.

Invariant: the line of a request is written before the action begins, and no caller can forge a line:
JSON escapes every control character, and whatever was refused is shown cut short. Nobody can fill the disk
with it: of many refusals of one caller the first are shown and the others counted, and the file is rotated.
"""

from __future__ import annotations

import itertools
import json
import os
import reprlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from .errors import HelperError

MAXIMUM_BYTES = 4 * 1024 * 1024
KEPT_FILES = 8
# Of each caller, this many refusals are shown within this time.
SHOWN_REFUSALS = 20
REFUSAL_SECONDS = 60.0
MAXIMUM_CALLERS = 1000


@dataclass(frozen=True)
class Caller:
	"""Who asks: as the kernel says, not as the caller does."""

	uid: int
	pid: int


@dataclass
class _Refusals:
	"""What was refused to one user id, since a point on the monotonic clock."""

	since: float
	shown: int = 0
	hidden: int = 0


class AuditLog:
	"""An append-only file. Opened anew for every line, so that it may be rotated by others at any time too."""

	def __init__(self, path: str):
		self._path = path
		self._numbers = itertools.count(1)
		self._refusals: dict[int, _Refusals] = {}
		self._lock = threading.Lock()

	@contextmanager
	def attempt(self, caller: Caller, verb: str, bench: str, arguments: dict) -> Iterator[None]:
		"""Log an allowed request now, and on leaving what came of it. Lets every error pass."""
		common = {"request": self._next_request(), "uid": caller.uid, "pid": caller.pid}
		common |= {"verb": verb, "bench": bench}
		self._write({"event": "request", **common, "arguments": arguments})
		started = time.monotonic()
		outcome: dict = {"ok": False, "error": {"code": "internal", "message": "interrupted"}}
		try:
			yield
			outcome = {"ok": True}
		except HelperError as error:
			outcome = {"ok": False, "error": error.to_wire()}
			raise
		except Exception as error:
			outcome = {"ok": False, "error": {"code": "internal", "message": repr(error)}}
			raise
		finally:
			self._write({"event": "outcome", **common, **outcome, "seconds": _since(started)})

	def refuse(self, caller: Caller, message: object, error: HelperError) -> None:
		"""Log a request that was refused before it had any effect; `message` is what was sent, if known."""
		if not self._is_shown(caller.uid):
			return
		common = {"request": self._next_request(), "uid": caller.uid, "pid": caller.pid}
		self._write({"event": "request", **common, "refused": reprlib.repr(message)})
		self._write({"event": "outcome", **common, "ok": False, "error": error.to_wire(), "seconds": 0.0})

	def note(self, caller: Caller, event: str, **facts: object) -> None:
		"""Log something that is no request of anybody's."""
		self._write({"event": event, "uid": caller.uid, "pid": caller.pid, **facts})

	def sum_up(self, everything: bool = False) -> None:
		"""Say how many refusals were not shown, of each caller whose time is over."""
		with self._lock:
			over = [uid for uid, each in self._refusals.items() if everything or _is_over(each)]
			ended = {uid: self._refusals.pop(uid) for uid in over}
		for uid, refusals in ended.items():
			if refusals.hidden:
				seconds = round(time.monotonic() - refusals.since)
				what = f"{refusals.hidden} more refused within {seconds} s"
				self._write({"event": "refused", "uid": uid, "count": refusals.hidden, "message": what})

	def _is_shown(self, uid: int) -> bool:
		"""Count a refusal of this caller; say whether it is one of the first."""
		self.sum_up(everything=len(self._refusals) >= MAXIMUM_CALLERS)
		with self._lock:
			refusals = self._refusals.setdefault(uid, _Refusals(time.monotonic()))
			if refusals.shown < SHOWN_REFUSALS:
				refusals.shown += 1
				return True
			refusals.hidden += 1
			return False

	def _next_request(self) -> str:
		"""Return what ties two lines together, across restarts of the helper too."""
		return f"{os.getpid()}-{next(self._numbers)}"

	def _write(self, entry: dict) -> None:
		now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
		line = json.dumps({"time": now, **entry}) + "\n"
		flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
		try:
			with self._lock:
				self._rotate()
			descriptor = os.open(self._path, flags, 0o600)
			try:
				os.write(descriptor, line.encode("ascii"))
			finally:
				os.close(descriptor)
		except OSError as error:
			# A full disk must not keep a site in maintenance: the line goes to the service's own log.
			print(f"audit log {self._path}: {error.strerror}: {line}", end="", file=sys.stderr, flush=True)

	def _rotate(self) -> None:
		"""Put a file that is full aside: `.1` is the newest of KEPT_FILES. Each stays whose it was, unreadable."""
		with suppress(FileNotFoundError):
			if os.lstat(self._path).st_size < MAXIMUM_BYTES:
				return
			for number in range(KEPT_FILES - 1, 0, -1):
				with suppress(FileNotFoundError):
					os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
			os.replace(self._path, f"{self._path}.1")


def _is_over(refusals: _Refusals) -> bool:
	return time.monotonic() - refusals.since >= REFUSAL_SECONDS


def _since(started: float) -> float:
	return round(time.monotonic() - started, 3)
