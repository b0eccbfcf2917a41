"""What is in an SQLite file: its tables with their definitions and a checksum of their rows.

Invariant: it reads only; a file that fails its own integrity check has no content.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import zstandard

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import OTHER_BACKUP

BUSY_SECONDS = 30
ROWS_AT_ONCE = 1000
Content = dict[str, dict[str, Any]]


@contextmanager
def translate_sqlite_errors(doing: str, what: object) -> Iterator[None]:
	"""Errors of SQLite and of the file system become `StepFailed`."""
	try:
		yield
	except (sqlite3.Error, OSError) as error:
		remedy = "see the file, the free room and the rights of its directory, and who else has it open"
		raise StepFailed(doing, str(what), str(error), remedy) from error


def read_content(file: Path) -> Content:
	"""{table: {"definition", "rows", "checksum"}}, at one instant.

	A virtual table has its definition alone: its rows are in tables beside it. Raises `sqlite3.Error`.
	"""
	content: Content = {}
	with closing(_open_for_reading(file)) as connection:
		connection.execute("BEGIN")
		query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
		tables = connection.execute(query).fetchall()
		# Text that is no UTF-8 counts as it is.
		connection.text_factory = bytes
		for name, definition in tables:
			rows, checksum = 0, ""
			if not (definition or "").upper().startswith("CREATE VIRTUAL"):
				rows, checksum = _sum_rows(connection, name)
			content[name] = {"definition": definition, "rows": rows, "checksum": checksum}
	return content


def read_objects(file: Path) -> list[list[str]]:
	"""Views, triggers and indexes: [kind, name, definition]."""
	query = "SELECT type, name, COALESCE(sql, '') FROM sqlite_master WHERE type <> 'table' ORDER BY 1, 2"
	with closing(_open_for_reading(file)) as connection:
		return [list(row) for row in connection.execute(query)]


def check_integrity(file: Path, doing: str) -> int:
	"""The number of tables of a file that passes SQLite's own check. Raises `StepFailed`."""
	with translate_sqlite_errors(doing, file), closing(_open_for_reading(file)) as connection:
		verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
		if verdict != "ok":
			raise StepFailed(doing, str(file), f"SQLite's integrity check says: {verdict}", OTHER_BACKUP)
		return connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]


def copy_online(source: Path, target: Path) -> None:
	"""Copy a database at one instant, whoever writes to it; `target` is on the disk when this returns."""
	with closing(_open_for_reading(source)) as live, closing(sqlite3.connect(target)) as copy:
		live.backup(copy)
	sync_file(target)


def pack(source: Path, target: Path) -> int:
	"""Pack a file with zstd, whole or not at all; returns the size in bytes."""
	part = target.with_name(f"{target.name}.part")
	with source.open("rb") as plain, os.fdopen(_create_private(part), "wb") as packed:
		zstandard.ZstdCompressor(level=1, threads=-1, write_checksum=True).copy_stream(plain, packed)
		packed.flush()
		os.fsync(packed.fileno())
	part.replace(target)
	durable.sync_directory(target.parent)
	return target.stat().st_size


def sync_file(path: Path) -> None:
	with path.open("rb") as file:
		os.fsync(file.fileno())


def _create_private(path: Path) -> int:
	path.unlink(missing_ok=True)
	return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _open_for_reading(file: Path) -> sqlite3.Connection:
	# Not mode=ro: a file with a write-ahead log can't be read without the right to write its index.
	uri = f"{file.resolve().as_uri()}?mode=rw"
	connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
	connection.execute("PRAGMA query_only = ON")
	return connection


def _sum_rows(connection: sqlite3.Connection, table: str) -> tuple[int, str]:
	digest, rows = hashlib.sha256(), 0
	quoted = table.replace('"', '""')
	# Not by an index: so they come in the order of their keys, in every copy the same.
	cursor = connection.execute(f'SELECT * FROM "{quoted}" NOT INDEXED')
	while found := cursor.fetchmany(ROWS_AT_ONCE):
		rows += len(found)
		digest.update(repr(found).encode())
	return rows, digest.hexdigest()
