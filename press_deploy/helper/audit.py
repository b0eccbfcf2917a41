"""The helper's own log: one JSON line for each request, and one for what came of it.

Invariant: the line of a request is written before the action begins, and no caller can forge a line:
JSON escapes every control character, and whatever was refused is shown cut short.
"""

from __future__ import annotations

import itertools
import json
import os
import reprlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from .errors import HelperError


@dataclass(frozen=True)
class Caller:
	"""Who asks: as the kernel says, not as the caller does."""

	uid: int
	pid: int


class AuditLog:
	"""An append-only file. Opened anew for every line, so that it may be rotated at any time."""

	def __init__(self, path: str):
		self._path = path
		self._numbers = itertools.count(1)

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
		common = {"request": self._next_request(), "uid": caller.uid, "pid": caller.pid}
		self._write({"event": "request", **common, "refused": reprlib.repr(message)})
		self._write({"event": "outcome", **common, "ok": False, "error": error.to_wire(), "seconds": 0.0})

	def _next_request(self) -> str:
		"""Return what ties two lines together, across restarts of the helper too."""
		return f"{os.getpid()}-{next(self._numbers)}"

	def _write(self, entry: dict) -> None:
		now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
		line = json.dumps({"time": now, **entry}) + "\n"
		flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
		try:
			descriptor = os.open(self._path, flags, 0o600)
			try:
				os.write(descriptor, line.encode("ascii"))
			finally:
				os.close(descriptor)
		except OSError as error:
			# A full disk must not keep a site in maintenance: the line goes to the service's own log.
			print(f"audit log {self._path}: {error.strerror}: {line}", end="", file=sys.stderr, flush=True)


def _since(started: float) -> float:
	return round(time.monotonic() - started, 3)
