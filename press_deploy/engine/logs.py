"""New errors in log files: only what was written after a mark, rotation included.

Invariant: a file that vanished or shrank is never read as “no errors”: it is read from its beginning,
and its rotated predecessor from the mark on.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
READ_LIMIT_BYTES = 64 << 20
LINE_LIMIT = 500
FINGERPRINT_LIMIT = 200

_ERROR = re.compile(rb"\b(ERROR|CRITICAL|FATAL)\b|^\w*(\.\w+)*(Error|Exception)\b(:|$)")
_TRACEBACK = re.compile(rb"^Traceback \(most recent call last\)")
# What maintenance itself makes Frappe write, for every request that it turns away; the line with which
# Frappe points to the Error Log, whose rows are looked at by themselves; what gunicorn says of a reload.
_OWN = re.compile(
	rb"SessionStopped|Session Stopped|HTTP/[\d.]+\"? 503\b|New Exception collected in error log|was sent SIGTERM!"
)
OWN_ERROR_LOG_TITLE = "Session Stopped"
_VARIABLE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+|'[^']*'|\"[^\"]*\"")
# The runner's own output.
_NOT_WATCHED = re.compile(r"press_deploy|\.gz$")

Mark = dict[str, dict[str, int]]


@dataclass
class Finding:
	"""Errors that differ only in numbers, addresses and names."""

	fingerprint: str
	example: str
	files: set[str] = field(default_factory=set)
	count: int = 0

	def as_data(self) -> dict[str, Any]:
		return {
			"fingerprint": self.fingerprint,
			"example": self.example,
			"files": sorted(self.files),
			"count": self.count,
		}


def log_files(directories: Iterable[Path]) -> list[Path]:
	"""The current log files of these directories."""
	files = [file for directory in directories for file in sorted(directory.glob("*.log"))]
	return [file for file in files if file.is_file() and not _NOT_WATCHED.search(file.name)]


def mark(files: Iterable[Path]) -> Mark:
	"""Where each file ends now, as {path: {"inode", "size", "modified" (ns)}}."""
	marks: Mark = {}
	for file in files:
		try:
			status = file.stat()
		except FileNotFoundError:
			continue
		marks[str(file)] = {
			"inode": status.st_ino,
			"size": status.st_size,
			"modified": status.st_mtime_ns,
		}
	return marks


def errors_since(marks: Mark, files: Iterable[Path]) -> list[Finding]:
	"""The errors written to `files` after `marks`, most frequent first. A file without a mark is new, and a
	marked file that is not among `files` was rotated away.

	Frappe writes the same line to the bench's log and to the site's: it counts once.
	"""
	found: dict[str, Finding] = {}
	counts: Counter[tuple[str, Path]] = Counter()
	for file in dict.fromkeys((*files, *map(Path, marks))):
		for line in _error_lines(_lines_since(file, marks.get(str(file)))):
			text = line.decode("utf-8", "replace")[:LINE_LIMIT].strip()
			key = fingerprint(text)
			counts[key, file] += 1
			finding = found.setdefault(key, Finding(key, text))
			finding.files.add(file.name)
			finding.count = max(finding.count, counts[key, file])
	return sorted(found.values(), key=lambda finding: -finding.count)


def _error_lines(lines: Iterable[bytes]) -> Iterable[bytes]:
	"""The lines that report an error; of a traceback only its last line, which names the exception."""
	in_traceback = False
	for line in lines:
		if _TRACEBACK.match(line):
			in_traceback = True
		elif in_traceback and (line.startswith((b" ", b"\t")) or not line):
			continue
		else:
			if (in_traceback or _ERROR.search(line)) and not _OWN.search(line):
				yield line
			in_traceback = False


def fingerprint(line: str) -> str:
	"""A short name for all lines that differ only in numbers, addresses and quoted names."""
	shape = _VARIABLE.sub("#", line)[:FINGERPRINT_LIMIT]
	return hashlib.sha256(shape.encode()).hexdigest()[:12]


def _lines_since(file: Path, place: dict[str, int] | None) -> Iterable[bytes]:
	try:
		with file.open("rb") as source:
			status = os.fstat(source.fileno())
			if place is None:
				yield from _lines(source, 0)
			elif status.st_ino == place["inode"] and status.st_size >= place["size"]:
				yield from _lines(source, place["size"])
			else:
				yield from _rotated_lines(file, place)
				yield from _lines(source, 0)
	except FileNotFoundError:
		if place:
			yield from _rotated_lines(file, place)


def _rotated_lines(file: Path, place: dict[str, int]) -> Iterable[bytes]:
	"""What stood behind the mark before the file was rotated away, and the rotations since."""
	rotated = sorted(_predecessors(file, place), key=lambda entry: entry[0].st_mtime_ns)
	inodes = [status.st_ino for status, _path in rotated]
	# A copy or a compressed file has another inode; then the oldest since the mark is the one.
	first = inodes.index(place["inode"]) if place["inode"] in inodes else 0
	for number, (_status, path) in enumerate(rotated[first:]):
		try:
			with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as source:
				yield from _lines(source, 0 if number else place["size"])
		except (OSError, EOFError, zlib.error) as error:
			yield f"ERROR: the rotated log {path.name} can't be read: {error}".encode()


def _predecessors(file: Path, place: dict[str, int]) -> Iterable[tuple[os.stat_result, Path]]:
	"""The rotated files of a log that were written to after the mark."""
	for path in (*file.parent.glob(f"{file.name}.*"), *file.parent.glob(f"{file.name}-*")):
		try:
			status = path.stat()
		except FileNotFoundError:
			continue
		is_double = path.suffix == ".gz" and path.with_suffix("").exists()
		if status.st_mtime_ns >= place["modified"] and not is_double:
			yield status, path


def _lines(source, offset: int) -> Iterable[bytes]:
	source.seek(offset)
	budget, rest = READ_LIMIT_BYTES, b""
	while budget > 0 and (chunk := source.read(CHUNK_BYTES)):
		budget -= len(chunk)
		*lines, rest = (rest + chunk).split(b"\n")
		yield from lines
	if rest:
		yield rest
	if budget <= 0:
		yield b"ERROR: more was written to this log than is read; look at the rest by hand"
