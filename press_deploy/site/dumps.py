"""Database dumps: is this file whole? `gzip -t` alone accepts a dump that was cut off between statements.

Invariant: a dump that passes `inspect` can be read to its end and says itself that it is complete.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import tempfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.errors import SiteProcessFailed

SQLITE_MAGIC = b"SQLite format 3\0"
CLOSING_LINE = b"-- Dump completed"


@dataclass(frozen=True)
class Dump:
	path: Path
	kind: str  # mariadb or sqlite
	tables: int


def inspect(path: Path) -> Dump:
	"""Read a gzipped dump to its end. Raises `SiteProcessFailed` when it is not whole."""
	try:
		with gzip.open(path) as file:
			is_sqlite = file.peek(len(SQLITE_MAGIC)).startswith(SQLITE_MAGIC)
		return _inspect_sqlite(path) if is_sqlite else _inspect_sql(path)
	except FileNotFoundError:
		raise _not_whole(path, "the file is not there") from None
	except (OSError, EOFError, zlib.error) as error:
		raise _not_whole(path, f"it can't be unpacked ({error})") from None


def unpack(path: Path, target: Path) -> None:
	"""Unpack a gzipped file; `target` is on the disk when this returns."""
	with gzip.open(path) as packed, target.open("wb") as unpacked:
		shutil.copyfileobj(packed, unpacked, 1 << 20)
		unpacked.flush()
		os.fsync(unpacked.fileno())


def count_tables(database: Path) -> int:
	"""The number of tables in an SQLite file that passes its own integrity check."""
	with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
		verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
		if verdict != "ok":
			raise _not_whole(database, f"SQLite's integrity check says: {verdict}")
		return connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]


def _inspect_sql(path: Path) -> Dump:
	tables, last = 0, b""
	with gzip.open(path) as file:
		for line in file:
			if line.startswith(b"CREATE TABLE "):
				tables += 1
			if line.strip():
				last = line
	if not last.startswith(CLOSING_LINE):
		raise _not_whole(path, "it lacks the closing line “-- Dump completed”, so it was cut off")
	return Dump(path, "mariadb", tables)


def _inspect_sqlite(path: Path) -> Dump:
	with tempfile.TemporaryDirectory(dir=path.parent, prefix=".inspect-") as directory:
		database = Path(directory, "database")
		unpack(path, database)
		try:
			return Dump(path, "sqlite", count_tables(database))
		except sqlite3.DatabaseError as error:
			raise _not_whole(path, f"SQLite says: {error}") from None


def _not_whole(path: Path, why: str) -> SiteProcessFailed:
	return SiteProcessFailed(
		"Verifying", f"the dump {path}", why, "use another backup; this one restores nothing"
	)
