"""Two SQLite files, attached to one connection that can't write to either.

Invariant: from its first look at a file on, a reader sees that file as it was then.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.losses.reader import Column, Reader, Table
from press_deploy.engine.mariadb.server import quote

WAIT_SECONDS = 60


class SQLiteReader(Reader):
	"""Databases are given by their files' paths; those named at once are read as they are now."""

	def __init__(self, *databases: str):
		super().__init__()
		self._connection = sqlite3.connect(
			"file:press_deploy?mode=memory", uri=True, timeout=WAIT_SECONDS, isolation_level=None
		)
		# What is no UTF-8 is shown with its bytes' numbers.
		self._connection.text_factory = lambda value: value.decode("utf-8", "backslashreplace")
		self._connection.create_function("row_digest", -1, _digest, deterministic=True)
		self._names: dict[str, str] = {}
		for database in databases:
			self.tables(database)

	def close(self) -> None:
		self._connection.close()

	def tables(self, database: str) -> dict[str, Table]:
		name = self._attach(database)
		# Beside tables there are views, virtual tables, and the shadows of these.
		found = [
			row[0]
			for row in self.stream(
				f"SELECT name FROM {name}.sqlite_master WHERE type = 'table' ORDER BY name"
			)
		]
		real = {row[1] for row in self.stream(f"PRAGMA {name}.table_list") if row[2] == "table"}
		return {
			table: self._describe(name, table)
			for table in found
			if table in real and not table.startswith("sqlite_")
		}

	def stream(self, statement: str) -> Iterator[tuple]:
		try:
			yield from self._connection.execute(statement)
		except sqlite3.Error as error:
			raise _fail("the database with its backup", error) from error

	def place(self, database: str, table: str) -> str:
		return f"{self._attach(database)}.{quote(table)}"

	def by_key(self) -> str:
		return ""

	def quote(self, name: str) -> str:
		return quote(name)

	def literal(self, value: str) -> str:
		return "'" + value.replace("'", "''") + "'"

	def finds(self, inner: str, outer: str, inner_column: Column, outer_column: Column) -> str:
		mine, other = f"{inner}.{quote(inner_column.name)}", f"{outer}.{quote(outer_column.name)}"
		return f"{mine} = {other} AND {self.equals(inner, outer, inner_column, outer_column)}"

	def equals(self, left: str, right: str, left_column: Column, right_column: Column) -> str:
		mine, other = f"{left}.{quote(left_column.name)}", f"{right}.{quote(right_column.name)}"
		return f"{mine} COLLATE BINARY IS {other}"

	def digest(self, columns: list[Column]) -> str:
		return f"row_digest({', '.join(quote(column.name) for column in columns)})"

	@contextmanager
	def hold_lightly(self) -> Iterator[None]:
		yield

	def _attach(self, database: str) -> str:
		if database in self._names:
			return self._names[database]
		name = f"file_{len(self._names)}"
		try:
			address = f"{Path(database).resolve(strict=True).as_uri()}?mode=ro"
			self._connection.execute(f"ATTACH {self.literal(address)} AS {name}")
			if not self._connection.in_transaction:
				self._connection.execute("BEGIN")
			self._connection.execute(f"SELECT COUNT(*) FROM {name}.sqlite_master").fetchall()
		except (sqlite3.Error, OSError) as error:
			raise _fail(database, error) from error
		self._names[database] = name
		return name

	def _describe(self, name: str, table: str) -> Table:
		rows = list(self.stream(f"PRAGMA {name}.table_info({quote(table)})"))
		columns = {row[1]: Column(row[1], row[2].lower()) for row in rows}
		return Table(table, columns, tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]))


def _digest(*values: object) -> bytes:
	digest = hashlib.sha256()
	for value in values:
		# As SQLite compares: 1 and 1.0 are the same number, '1' is none.
		if isinstance(value, float) and value.is_integer():
			value = int(value)
		text = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
		digest.update(f"{type(value).__name__}:{len(text)}:".encode() + text)
	return digest.digest()


def _fail(what: str, error: Exception) -> StepFailed:
	return StepFailed(
		"Comparing", what, str(error), "see whether the file is there and whole, then ask again"
	)
