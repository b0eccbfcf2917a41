"""The journal: the append-only record of a run, and the truth about it.

Invariant: a record is on the disk before `append` returns, and each carries the hash of the one before
it, so an edited history shows. A torn last line (the writer died) is cut off and noted; anything else
that does not add up is refused, not guessed at.

One record a line: {"v", "seq", "time" (UTC, ISO 8601), "previous", "event", "data", "hash"}; `hash` is the
SHA-256 of the canonical JSON of the others, and the next record's `previous`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import JournalDamaged, JournalError, encodable

SCHEMA_VERSION = 1
FIRST_PREVIOUS = "0" * 64
# Kept on disk so that a full disk can't stop the journal, and with it the rollback.
RESERVE_BYTES = 1_000_000
# Kept even when a rollback was given the room above, for the records that say how it ended.
LAST_RESERVE_BYTES = 64_000
_FIELDS = {"v", "seq", "time", "previous", "event", "data", "hash"}


@dataclass(frozen=True)
class Record:
	seq: int
	time: str
	event: str
	data: dict[str, Any]
	hash: str

	@property
	def moment(self) -> datetime:
		"""When the record was written, as an aware UTC time."""
		return datetime.fromisoformat(self.time)


class Journal:
	"""The writer. There is one at a time, held together by the bench lock."""

	def __init__(self, path: Path):
		self.path = path
		self.on_append: Callable[[Record], None] | None = None
		self._reserve = path.with_name(f".{path.name}.reserve")
		self._last_reserve = path.with_name(f".{path.name}.last-reserve")
		self._last_seq, self._last_hash = 0, FIRST_PREVIOUS
		cut = self._cut_torn_line()
		self.records = list(read_journal(path)) if path.exists() else []
		if self.records:
			self._last_seq, self._last_hash = self.records[-1].seq, self.records[-1].hash
		self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
		durable.sync_directory(path.parent)
		_fill(self._reserve, RESERVE_BYTES)
		_fill(self._last_reserve, LAST_RESERVE_BYTES)
		if cut:
			self.append(
				"journal-repaired", {"cut_bytes": len(cut), "cut_sha256": hashlib.sha256(cut).hexdigest()}
			)

	def append(self, event: str, data: dict[str, Any] | None = None) -> Record:
		"""Write one record and wait until it is on the disk. Raises `JournalError`."""
		fields = {
			"v": SCHEMA_VERSION,
			"seq": self._last_seq + 1,
			"time": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
			"previous": self._last_hash,
			"event": event,
			"data": _encodable(data or {}),
		}
		digest = hash_fields(fields)
		self._write(canonical_json({**fields, "hash": digest}).encode() + b"\n")
		self._last_seq, self._last_hash = fields["seq"], digest
		record = Record(fields["seq"], fields["time"], event, fields["data"], digest)
		self.records.append(record)
		if self.on_append:
			self.on_append(record)
		return record

	def free_reserve(self) -> None:
		"""Give back the room that was kept for a full disk."""
		self._reserve.unlink(missing_ok=True)

	def close(self) -> None:
		os.close(self._file)
		self.free_reserve()
		self._last_reserve.unlink(missing_ok=True)

	def _write(self, line: bytes) -> None:
		length = os.fstat(self._file).st_size
		for reserve in (self._reserve, self._last_reserve, None):
			try:
				return self._write_and_sync(line)
			except OSError as error:
				os.ftruncate(self._file, length)
				if reserve:
					reserve.unlink(missing_ok=True)
					continue
				remedy = "free space on this disk, then resume the run"
				raise JournalError("Writing", f"the journal {self.path}", str(error), remedy) from error

	def _write_and_sync(self, line: bytes) -> None:
		while line:
			line = line[os.write(self._file, line) :]
		os.fsync(self._file)

	def _cut_torn_line(self) -> bytes:
		if not self.path.exists():
			return b""
		content = self.path.read_bytes()
		whole, newline, torn = content.rpartition(b"\n")
		if torn:
			with self.path.open("r+b") as file:
				file.truncate(len(whole) + len(newline))
				os.fsync(file.fileno())
		return torn


def _fill(reserve: Path, size: int) -> None:
	try:
		descriptor = os.open(reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
		try:
			os.posix_fallocate(descriptor, 0, size)
		finally:
			os.close(descriptor)
	except OSError:
		# No room for a reserve: preflight reports the disk, and the journal still tries.
		reserve.unlink(missing_ok=True)


def read_journal(path: Path) -> Iterator[Record]:
	"""The records of a journal, each verified. A torn last line is left out. Raises `JournalDamaged`."""
	previous = FIRST_PREVIOUS
	for number, line in enumerate(_whole_lines(path), start=1):
		record, said_previous = _parse(path, number, line)
		if record.seq != number:
			raise _damaged(path, number, f"its sequence number is {record.seq}")
		if said_previous != previous:
			raise _damaged(path, number, "it does not follow the record before it")
		previous = record.hash
		yield record


def hash_fields(fields: dict[str, Any]) -> str:
	"""SHA-256 of a record's fields without its hash."""
	return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


def _encodable(data: Any) -> Any:
	"""The same data, of which every text can be written: a file's name may be no text at all."""
	if isinstance(data, dict):
		return {_encodable(key): _encodable(value) for key, value in data.items()}
	if isinstance(data, list | tuple):
		return [_encodable(value) for value in data]
	return encodable(data) if isinstance(data, str) else data


def _whole_lines(path: Path) -> list[bytes]:
	return path.read_bytes().split(b"\n")[:-1]


def _parse(path: Path, number: int, line: bytes) -> tuple[Record, str]:
	try:
		fields = json.loads(line)
		if not isinstance(fields, dict) or set(fields) != _FIELDS:
			raise ValueError("it has other fields than a record")
		digest = fields.pop("hash")
		found = hash_fields(fields)
	except (ValueError, RecursionError) as error:
		raise _damaged(path, number, f"it is not a record ({error})") from None
	if fields["v"] != SCHEMA_VERSION:
		raise _damaged(path, number, f"its schema version {fields['v']!r} is not {SCHEMA_VERSION}")
	if found != digest:
		raise _damaged(path, number, "its content was changed after it was written")
	return Record(fields["seq"], fields["time"], fields["event"], fields["data"], digest), fields["previous"]


def _damaged(path: Path, number: int, why: str) -> JournalDamaged:
	return JournalDamaged(
		"Reading",
		f"record {number} of {path}",
		why,
		"don't resume this run by machine: compare the bench with the steps' logs by hand, put in order what is "
		"half done, then move the run's directory out of deployments to free the bench",
	)
