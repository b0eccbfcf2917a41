"""The names of documents that differ, kept on disk as soon as they are many.

Invariant: a document has one action, the one that was found first; order is by DocType and name alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from press_deploy.engine.ground.errors import StepFailed

CACHE_KIBIBYTES = 32 * 1024
BATCH = 500


class Differences:
	"""A private database without a name: SQLite deletes it with its last use, a kill included."""

	def __init__(self) -> None:
		self._database = sqlite3.connect("", isolation_level=None)
		for statement in (
			"PRAGMA journal_mode = OFF",
			"PRAGMA synchronous = OFF",
			f"PRAGMA cache_size = -{CACHE_KIBIBYTES}",
			"CREATE TABLE documents (doctype, name, action, PRIMARY KEY (doctype, name)) WITHOUT ROWID",
			"CREATE TABLE touched (doctype, name, source, rows INT, is_orphaned INT DEFAULT 0, "
			"PRIMARY KEY (doctype, name, source)) WITHOUT ROWID",
			"BEGIN",
		):
			self._database.execute(statement)

	def add(self, documents: Iterable[tuple[str, str, str]]) -> None:
		"""Keep (doctype, name, action); a document that is there already keeps its action."""
		self._write("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", documents)

	def touch(self, parents: Iterable[tuple[str, str, str]]) -> None:
		"""Keep (doctype, name, table of the child): a child row of that document differs."""
		self._write(
			"INSERT INTO touched (doctype, name, source, rows) VALUES (?, ?, ?, 1) "
			"ON CONFLICT (doctype, name, source) DO UPDATE SET rows = rows + 1",
			parents,
		)

	def touched_doctypes(self) -> list[str]:
		return [row[0] for row in self._read("SELECT DISTINCT doctype FROM touched ORDER BY doctype")]

	def touched_names(self, doctype: str) -> Iterator[list[str]]:
		"""The documents of which only child rows are known to differ, in batches."""
		query = (
			"SELECT DISTINCT name FROM touched WHERE doctype = :doctype AND name > :after AND NOT EXISTS ("
			"SELECT 1 FROM documents WHERE documents.doctype = :doctype AND documents.name = touched.name) "
			"ORDER BY name LIMIT :batch"
		)
		return self._batches(query, doctype, "")

	def touched_sources(self, doctype: str) -> list[str]:
		"""The tables in which rows of a DocType's documents differ."""
		return [
			row[0] for row in self._read("SELECT DISTINCT source FROM touched WHERE doctype = ?", doctype)
		]

	def orphan(self, doctype: str, names: list[str]) -> list[tuple[str, int]]:
		"""Keep that these parents are nowhere; return (table of the children, rows of theirs that differ)."""
		chosen = f"doctype = ? AND name IN ({', '.join('?' * len(names))})"
		self._write(f"UPDATE touched SET is_orphaned = 1 WHERE {chosen}", [(doctype, *names)])
		return self._read(
			f"SELECT source, SUM(rows) FROM touched WHERE {chosen} GROUP BY source", doctype, *names
		)

	def is_orphaned(self, doctype: str, name: str, source: str) -> bool:
		"""Whether a row of the table `source` belongs to a document that is nowhere."""
		question = "SELECT 1 FROM touched WHERE doctype = ? AND name = ? AND source = ? AND is_orphaned"
		return bool(self._read(question, doctype, name, source))

	def orphaned_sources(self) -> list[str]:
		"""The tables with such rows."""
		return [
			row[0] for row in self._read("SELECT DISTINCT source FROM touched WHERE is_orphaned ORDER BY 1")
		]

	def counts(self) -> list[tuple[str, str, int]]:
		"""(doctype, action, count), by DocType."""
		return self._read(
			"SELECT doctype, action, COUNT(*) FROM documents GROUP BY doctype, action ORDER BY doctype"
		)

	def first_names(self, doctype: str, action: str, limit: int) -> list[str]:
		query = "SELECT name FROM documents WHERE doctype = ? AND action = ? ORDER BY name LIMIT ?"
		return [row[0] for row in self._read(query, doctype, action, limit)]

	def names(self, doctype: str, action: str) -> Iterator[list[str]]:
		"""All documents of a DocType that suffered an action, by name, in batches."""
		query = (
			"SELECT name FROM documents WHERE doctype = :doctype AND action = :action AND name > :after "
			"ORDER BY name LIMIT :batch"
		)
		return self._batches(query, doctype, action)

	def _batches(self, query: str, doctype: str, action: str) -> Iterator[list[str]]:
		after: str | None = None
		while True:
			# No name is less than the empty one, which is a name, too.
			statement = query.replace("name > :after", "name >= :after" if after is None else "name > :after")
			values = {"doctype": doctype, "action": action, "after": after or "", "batch": BATCH}
			with _translated():
				batch = [row[0] for row in self._database.execute(statement, values)]
			if not batch:
				return
			yield batch
			after = batch[-1]

	def _write(self, statement: str, rows: Iterable[tuple]) -> None:
		with _translated():
			self._database.executemany(statement, rows)

	def _read(self, statement: str, *values: object) -> list[tuple]:
		with _translated():
			return self._database.execute(statement, values).fetchall()


@contextmanager
def _translated() -> Iterator[None]:
	try:
		yield
	except sqlite3.Error as error:
		raise StepFailed(
			"Keeping",
			"the names of documents that differ",
			str(error),
			"free space in the temporary directory",
		) from error
