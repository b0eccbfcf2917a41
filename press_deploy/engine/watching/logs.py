"""New errors in log files: only what was written after a mark, rotation included.

Invariant: a file that vanished or shrank is never read as “no errors”: it is read from its beginning,
and its rotated predecessor from the mark on. What can't be read is said, and is neither good nor an error.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

from press_deploy.engine.watching.fingerprints import fingerprint
from press_deploy.engine.watching.log_classes import CLASSES, FORMER, LogClass, Weight, classify
from press_deploy.engine.watching.log_entries import Entry, Origin, Source, read_entries

CHUNK_BYTES = 1 << 17
READ_LIMIT_BYTES = 64 << 20
# So much before the mark is looked at, too: a traceback that the mark cuts is still known for what it is.
LEAD_IN_BYTES = 1 << 14

# The runner's own output.
_NOT_WATCHED = re.compile(r"press_deploy|\.gz$")
_RELEASE = CLASSES[-1]

UNREADABLE = (OSError, EOFError, zlib.error)

Mark = dict[str, dict[str, int]]


@dataclass
class Finding:
	"""Entries of one class and one fingerprint; `first` and `last` were written then (epoch seconds), where they say so."""

	fingerprint: str
	example: str
	files: set[str] = field(default_factory=set)
	count: int = 0
	# How many of them were written when the services had settled on the release.
	stable: int = 0
	log_class: LogClass = _RELEASE
	first: float | None = None
	last: float | None = None

	def as_data(self) -> dict[str, Any]:
		return {
			"fingerprint": self.fingerprint,
			"example": self.example,
			"files": sorted(self.files),
			"count": self.count,
			"class": self.log_class.name,
			"says": self.log_class.says,
			"weight": self.log_class.weight.value,
			"first": self.first,
			"last": self.last,
		}

	def add_time(self, time: float | None) -> None:
		"""One of its entries was written then."""
		if time is not None:
			self.first = time if self.first is None else min(self.first, time)
			self.last = time if self.last is None else max(self.last, time)


def unread(example: str, file: str = "") -> Finding:
	"""Something that should have been looked at and could not be."""
	log_class = next(each for each in CLASSES if each.weight is Weight.UNKNOWN)
	files = {file} if file else set()
	return Finding(fingerprint(Entry(example)), example, files, 1, log_class=log_class)


def excuse_former(findings: Iterable[Finding], former: Collection[str]) -> list[Finding]:
	"""The findings; what only processes of the former release wrote is not held against this one.

	`former`: the fingerprints of what was there before the restart. Until it was restarted a process runs the old
	code with whatever of the new is on the disk. What is written once more when the services have settled, is the
	release's.
	"""
	return [
		replace(each, log_class=FORMER)
		if each.fingerprint in former and each.log_class is _RELEASE and not each.stable
		else each
		for each in findings
	]


def weighing(findings: Iterable[dict[str, Any]], weight: Weight) -> list[dict[str, Any]]:
	"""Those findings, as plain data, that say this of the release. Journals of before know of no other weight."""
	return [each for each in findings if each.get("weight", Weight.AGAINST.value) == weight.value]


def count_against(findings: Iterable[dict[str, Any]]) -> int:
	"""How many errors of the release there are among these findings."""
	return sum(each["count"] for each in weighing(findings, Weight.AGAINST))


def describe_excused(findings: Iterable[dict[str, Any]]) -> str:
	"""What logs say that is not held against the release, in one line; empty when there is nothing."""
	counts: Counter[str] = Counter()
	for each in weighing(findings, Weight.NOTHING):
		if each["says"]:
			counts[each["says"]] += each["count"]
	return ", ".join(f"{count} × {says}" for says, count in counts.items())


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


def errors_since(marks: Mark, files: Iterable[Path], settled: Mark | None = None) -> list[Finding]:
	"""What was written to `files` after `marks` and reports an error: what counts first, the most frequent first.

	A file without a mark is new, and a marked file that is not among `files` was rotated away. `settled`: the mark
	until which services were being restarted; without one nothing is excused by restarts.
	"""
	return collect(file_sources(marks, files, settled))


def errors_in(files: Iterable[Path], since: float | None = None) -> list[Finding]:
	"""What whole files report, compressed ones too; of what says when it was written, only what came `since` then."""
	return collect(((file.name, [_whole(file)]) for file in files), since)


def file_sources(
	marks: Mark, files: Iterable[Path], settled: Mark | None
) -> Iterator[tuple[str, list[Source]]]:
	"""What `errors_since` reads, as (name of the log, its lines in one piece)."""
	for file in dict.fromkeys((*files, *map(Path, marks))):
		place, until = marks.get(str(file)), (settled or {}).get(str(file))
		yield file.name, [_lines_since(file, place, until)]


def collect(sources: Iterable[tuple[str, list[Source]]], since: float | None = None) -> list[Finding]:
	"""The findings in logs, each given by its name and its lines, of each process by themselves where they are known.
	`since`: see `errors_in`.

	Frappe writes the same line to the bench's log and to the site's: it counts once.
	"""
	found: dict[tuple[str, str], Finding] = {}
	counts: Counter[tuple[str, str, int]] = Counter()
	for number, (name, streams) in enumerate(sources):
		for entry in chain.from_iterable(map(read_entries, streams)):
			if since is not None and entry.time is not None and entry.time < since:
				continue
			log_class, shape = classify(entry), fingerprint(entry)
			key = log_class.name, shape
			counts[(*key, number)] += 1
			finding = found.setdefault(key, Finding(shape, entry.text, log_class=log_class))
			finding.files.add(name)
			finding.count = max(finding.count, counts[(*key, number)])
			finding.stable += entry.origin is Origin.STABLE
			finding.add_time(entry.time)
	weights = list(Weight)
	return sorted(found.values(), key=lambda each: (weights.index(each.log_class.weight), -each.count))


def _lines_since(file: Path, place: dict[str, int] | None, settled: dict[str, int] | None) -> Source:
	try:
		with file.open("rb") as source:
			status = os.fstat(source.fileno())
			is_same = place and status.st_ino == place["inode"] and status.st_size >= place["size"]
			older = _rotations(file, place) if place and not is_same else []
			until = _settled_places([*(rotated for rotated, _path in older), status], settled)
			yield from _rotated_lines(older, place, until)
			yield from _lines(source, place["size"] if is_same else 0, until[-1])
	except FileNotFoundError:
		older = _rotations(file, place) if place else []
		yield from _rotated_lines(older, place, _settled_places([status for status, _path in older], settled))
	except OSError as error:
		yield Origin.UNREAD, f"{file}: {error.strerror or error}".encode()


def _whole(file: Path) -> Source:
	try:
		with _open(file) as source:
			yield from _lines(source, 0, None, math.inf)
	except UNREADABLE as error:
		yield Origin.UNREAD, f"{file}: {error}".encode()


def _open(file: Path) -> IO[bytes]:
	"""A log, compressed or not. Whoever reads it meets one of `UNREADABLE`."""
	return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _settled_places(files: list[os.stat_result], settled: dict[str, int] | None) -> list[int | None]:
	"""Up to where each file of a log was written while services were being restarted: 0 not at all, None wholly.

	Where a copy or a truncation hides it, nothing was.
	"""
	is_it = [
		bool(settled) and file.st_ino == settled["inode"] and file.st_size >= settled["size"]
		for file in files
	]
	if True not in is_it:
		return [0] * len(files)
	last = is_it.index(True)
	return [None] * last + [settled["size"]] + [0] * (len(files) - last - 1)


def _rotated_lines(
	older: list[tuple[os.stat_result, Path]], place: dict[str, int] | None, until: list[int | None]
) -> Source:
	"""What stood behind the mark before the file was rotated away, and the rotations since."""
	for number, ((_status, path), settled) in enumerate(zip(older, until, strict=False)):
		try:
			with _open(path) as source:
				yield from _lines(source, 0 if number else place["size"], settled)
		except UNREADABLE as error:
			yield Origin.UNREAD, f"the rotated log {path}: {error}".encode()


def _rotations(file: Path, place: dict[str, int]) -> list[tuple[os.stat_result, Path]]:
	"""The predecessors of a log from the marked one on, oldest first."""
	rotated = sorted(_predecessors(file, place), key=lambda entry: entry[0].st_mtime_ns)
	inodes = [status.st_ino for status, _path in rotated]
	# A copy or a compressed file has another inode; then the oldest since the mark is the one.
	first = inodes.index(place["inode"]) if place["inode"] in inodes else 0
	return rotated[first:]


def _predecessors(file: Path, place: dict[str, int]) -> Iterator[tuple[os.stat_result, Path]]:
	"""The rotated files of a log that were written to after the mark."""
	for path in (*file.parent.glob(f"{file.name}.*"), *file.parent.glob(f"{file.name}-*")):
		try:
			status = path.stat()
		except FileNotFoundError:
			continue
		is_double = path.suffix == ".gz" and path.with_suffix("").exists()
		if status.st_mtime_ns >= place["modified"] and not is_double:
			yield status, path


def _lines(source: IO[bytes], offset: int, settled: int | None, limit: float | None = None) -> Source:
	"""The lines of one file, each with the part of it in which it ended; at most `limit` bytes of them."""
	position = max(0, offset - LEAD_IN_BYTES)
	source.seek(position)
	budget, is_cut = limit or READ_LIMIT_BYTES, position > 0
	# What was read of a line whose end is still to come.
	begun: list[bytes] = []
	parts = [(Origin.LEAD_IN, offset), (Origin.SETTLING, settled), (Origin.STABLE, None)]
	ended_in = Origin.LEAD_IN
	for origin, end in parts:
		while budget > 0 and (wanted := CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - position)) > 0:
			if not (chunk := source.read(wanted)):
				break
			position, budget, ended_in = position + len(chunk), budget - len(chunk), origin
			lines, newline, rest = chunk.rpartition(b"\n")
			if not newline:
				begun.append(rest)
				continue
			lines, begun = b"".join((*begun, lines)), [rest]
			if is_cut:
				is_cut, (_torn, newline, lines) = False, lines.partition(b"\n")
			if newline:
				yield origin, lines
	if (rest := b"".join(begun)) and not is_cut:
		yield ended_in, rest
	if budget <= 0 and source.read(1):
		name = getattr(source, "name", "this log")
		yield Origin.UNREAD, f"{name}: more was written to it than is read; look at the rest by hand".encode()
