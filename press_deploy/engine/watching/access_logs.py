"""What visitors asked and were answered, from a web server's access log: by nginx's own description of its lines.

Invariant: a line that doesn't fit the description is counted as unread, never guessed at; a format that lacks what is
needed is refused with the variables that are missing. What was read is not read again, however the file was rotated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote

from press_deploy.engine.ground.errors import InputError

CHUNK_BYTES = 1 << 17
# No line is as long as that; what is, is none.
LINE_LIMIT_BYTES = 1 << 16
# Variable → the group that it fills, and what it looks like where it isn't quoted.
_FIELDS = {
	"msec": ("seconds", r"\d+\.\d+"),
	"time_iso8601": ("iso", r"\S+"),
	"time_local": ("local", r"[^\]]+"),
	"status": ("status", r"\d{3}"),
	"request": ("request", r'[^"]*'),
	"request_method": ("method", r"\S+"),
	"request_uri": ("uri", r"\S+"),
	"request_time": ("duration", r"[\d.]+"),
	"host": ("host", r"\S+"),
	"http_host": ("host", r"\S+"),
}
# What nobody can do without, and the groups of which one says it.
_NEEDED = {
	"$time_local, $time_iso8601 or $msec": {"seconds", "iso", "local"},
	"$request or $request_uri": {"request", "uri"},
	"$status": {"status"},
}
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_ROUTE_PART = re.compile(r"^[\w.\- ]{1,80}$")
# A connection that stays open for as long as somebody looks at Desk takes no time to answer.
_NO_ANSWERS = ("/socket.io",)
OTHER_ROUTES = "other routes"


@dataclass(frozen=True)
class Hit:
	"""One answer: `time` in epoch seconds when it was given; `milliseconds` None where the log doesn't say how long."""

	time: float
	route: str
	status: int
	milliseconds: float | None
	host: str | None = None


@dataclass(frozen=True)
class LineFormat:
	"""How the lines of an access log are made up."""

	pattern: re.Pattern[bytes]
	has_duration: bool
	has_host: bool

	def read(self, line: bytes) -> Hit | None:
		"""What a line says; None where it isn't made up like this."""
		if not (found := self.pattern.match(line)):
			return None
		fields = {
			name: value.decode("utf-8", "replace") for name, value in found.groupdict().items() if value
		}
		try:
			address = fields["uri"] if "uri" in fields else fields["request"].split()[1]
			duration = 1000 * float(fields["duration"]) if "duration" in fields else None
			return Hit(
				_moment(fields), route_of(address), int(fields["status"]), duration, fields.get("host")
			)
		except (KeyError, IndexError, ValueError, OverflowError):
			return None


def read_format(description: str) -> LineFormat:
	"""The format that nginx describes so (`log_format NAME 'description'`, its parts put together).

	Raises `InputError` where the time, the request or the status isn't in it.
	"""
	pattern, position, seen = "", 0, set()
	for variable in _VARIABLE.finditer(description):
		before, following = description[position : variable.start()], description[variable.end() :][:1]
		group, look = _FIELDS.get(variable[1] or variable[2], (None, ".*?"))
		if group is None or before.endswith('"'):
			# Whatever comes, up to what is written behind it.
			look = f"[^{re.escape(following)}]*" if following not in ("", "$") else ".*?"
		is_new = group is not None and group not in seen
		pattern += re.escape(before) + (f"(?P<{group}>{look})" if is_new else look)
		seen.add(group)
		position = variable.end()
	pattern += re.escape(description[position:])
	if missing := [said for said, groups in _NEEDED.items() if not groups & seen]:
		remedy = "add them to it, and reload nginx"
		raise InputError("log_format", description, f"it lacks {', '.join(missing)}", remedy)
	return LineFormat(re.compile(pattern.encode() + rb"\r?$"), "duration" in seen, "host" in seen)


def route_of(address: str) -> str:
	"""The part of the site that answers: `/api/method/…`, `/api/resource/DocType`, `/app`, or a path's first part.

	A name that nobody would give to a route is one of the others, so that scanners don't make thousands.
	"""
	path, _, query = address.partition("?")
	if "cmd=" in query and (called := parse_qs(query).get("cmd")):
		return f"/api/method/{called[0]}" if _ROUTE_PART.match(called[0]) else OTHER_ROUTES
	parts = [unquote(part) for part in path.split("/") if part]
	if not parts:
		return "/"
	is_versioned = len(parts) > 1 and re.fullmatch(r"v\d+", parts[1])
	parts = parts[: (4 if is_versioned else 3) if parts[0] == "api" else 1]
	return "/" + "/".join(parts) if all(map(_ROUTE_PART.match, parts)) else OTHER_ROUTES


class AccessLog:
	"""Reads an access log on from where it was read to. `unread` counts the lines that are no answers of this format."""

	def __init__(self, file: Path, line_format: LineFormat):
		self.file, self._format = file, line_format
		self.unread = 0
		self._inode: int | None = None
		self._position = 0

	def skip_to_end(self) -> None:
		"""Only what is written from now on. Raises `OSError` where the file can't be read."""
		with self.file.open("rb") as source:
			status = os.fstat(source.fileno())
			self._inode, self._position = status.st_ino, status.st_size

	def read(self) -> Iterator[Hit]:
		"""What was answered since the last time. Raises `OSError` where the file can't be read."""
		with self.file.open("rb") as source:
			status = os.fstat(source.fileno())
			is_same = status.st_ino == self._inode and status.st_size >= self._position
			if not is_same:
				yield from self._read_rotated(status.st_ino)
				self._inode, self._position = status.st_ino, 0
			yield from self._read_on(source)

	def _read_rotated(self, present: int) -> Iterator[Hit]:
		"""The rest of the file that was read before it was renamed; a copy that was truncated can't be told from it."""
		if self._inode is None or self._inode == present:
			return
		for rotated in self.file.parent.glob(f"{self.file.name}*"):
			with rotated.open("rb") as source:
				if os.fstat(source.fileno()).st_ino == self._inode:
					yield from self._read_on(source)
					return

	def _read_on(self, source: IO[bytes]) -> Iterator[Hit]:
		source.seek(self._position)
		rest = b""
		while chunk := source.read(CHUNK_BYTES):
			lines, newline, following = (rest + chunk).rpartition(b"\n")
			rest = following[-LINE_LIMIT_BYTES:]
			self._position += len(lines) + len(newline) + len(following) - len(rest)
			if newline:
				yield from self._read_lines(lines.split(b"\n"))

	def _read_lines(self, lines: Iterable[bytes]) -> Iterator[Hit]:
		for line in lines:
			if hit := self._format.read(line) if len(line) <= LINE_LIMIT_BYTES else None:
				if not hit.route.startswith(_NO_ANSWERS):
					yield hit
			elif line:
				self.unread += 1


def _moment(fields: dict[str, str]) -> float:
	if "seconds" in fields:
		return float(fields["seconds"])
	if "iso" in fields:
		return datetime.fromisoformat(fields["iso"]).timestamp()
	return _local_moment(fields["local"])


@lru_cache(maxsize=16)
def _local_moment(text: str) -> float:
	"""Many answers are given in one second, and reading its name takes longer than reading the line."""
	return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
