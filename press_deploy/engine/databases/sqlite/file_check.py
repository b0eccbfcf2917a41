"""Is an SQLite file whole? Its header's size, SQLite's own integrity check, and the rows of each table.

Invariant: the file itself is opened for reading alone, and no journal beside it is believed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from press_deploy.engine.databases.dumps.dump_file import DamagedFile

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
WAL_DOUBT = (
	"It is of a database with a write-ahead log, which is not here: were it a copy of the file alone, rows that stood in "
	"the log by then would be missing, and that can't be seen (a copy by sqlite3 FILE '.backup COPY' has them all)."
)


def check_file(path: Path) -> dict[str, int]:
	"""Rows by table of a whole file that is not packed. Raises `DamagedFile` and `OSError`."""
	_check_size(path)
	try:
		with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as database:
			verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
			if verdict != "ok":
				raise DamagedFile("integrity", f"SQLite's integrity check says: {verdict}")
			tables = [
				name
				for (name,) in database.execute(
					"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
				)
			]
			return {table: _count(database, table) for table in tables}
	except sqlite3.DatabaseError as error:
		raise DamagedFile("integrity", f"SQLite says: {error}") from None


def refuse_journal(path: Path) -> None:
	"""Refuse a file beside which stands a journal with content. Raises `DamagedFile`.

	What was written last may be in the write-ahead log alone, and what stands in the file may have to be undone
	from its rollback journal. (SQLite's documentation, “Temporary Files Used By SQLite”, 2.1 and 2.2.)
	"""
	for suffix, why in (
		("-wal", "rows that were written last may be in there alone"),
		("-journal", "a change that was not finished may have to be undone from it"),
	):
		# SQLite too looks beside what a link leads to.
		journal = path.resolve().with_name(path.resolve().name + suffix)
		if journal.is_file() and (size := journal.stat().st_size) and not _is_over(journal):
			raise DamagedFile(
				"journal",
				f"{journal.name} beside it has {size} bytes, and {why}: the file alone is not the database. Let SQLite "
				f"put both together, while nobody uses it (sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'), "
				f"or take a copy with sqlite3 {path.name} '.backup COPY' and prove that",
			)


def _is_over(journal: Path) -> bool:
	"""Whether a change was finished, and its journal kept for the next one: its header is zero then.

	(SQLite's documentation, “PRAGMA journal_mode”: PERSIST.)
	"""
	if not journal.name.endswith("-journal"):
		return False
	with journal.open("rb") as file:
		return file.read(1) == b"\0"


def may_lack_log(head: bytes, path: Path, is_packed: bool) -> bool:
	"""Whether a file that begins so is used with a write-ahead log (header, field 18), and none stands beside it."""
	log = path.resolve().with_name(path.resolve().name + "-wal")
	return head[18:19] == b"\x02" and (is_packed or not log.is_file())


def _count(database: sqlite3.Connection, table: str) -> int:
	quoted = table.replace('"', '""')
	return database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]


def _check_size(path: Path) -> None:
	"""Compare the size with what the header says (fields 16 and 28; a page size of 1 means 65536)."""
	with path.open("rb") as file:
		head = file.read(HEADER_BYTES)
	size = path.stat().st_size
	if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
		raise DamagedFile("size", f"it has {size} bytes, less than the header of an SQLite file")
	page = int.from_bytes(head[16:18], "big")
	wanted = int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page)
	if size < wanted or not wanted:
		raise DamagedFile("size", f"it has {size} bytes, its header says {wanted}: it was cut off")
