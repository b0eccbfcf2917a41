"""Two SQLite files, attached to one connection that can't write to either.

Invariant: from its first look at a file on, a reader sees that file as it was then.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.dumps.dump_file import unpack
from press_deploy.engine.databases.losses.reader import Column, Reader, Table
from press_deploy.engine.databases.sqlite.place import FINAL_BACKUP, quote
from press_deploy.engine.databases.standby.base import Former
from press_deploy.engine.ground.errors import StepFailed

WAIT_SECONDS = 60
# SQLite gives a function at most 127 values.
VALUES_AT_ONCE = 100
# What a column's definition says may be any expression; only what stands for itself is a constant.
_CONSTANT = re.compile(r"""NULL|TRUE|FALSE|[+-]?[0-9.]+(e[+-]?[0-9]+)?|x?'([^']|'')*'""", re.IGNORECASE)


class SQLiteReader(Reader):
	"""Databases are given by their files' paths; those named at once are read as they are now."""

	def __init__(self, *databases: str):
		super().__init__()
		self._connection = sqlite3.connect(
			"file:press_deploy?mode=memory", uri=True, timeout=WAIT_SECONDS, isolation_level=None
		)
		self._connection.text_factory = _read_text
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
		kinds = {row[1]: row[2] for row in self.stream(f"PRAGMA {name}.table_list")}
		return {
			table: self._describe(name, table)
			for table in found
			if (kinds.get(table) == "table" or _has_content(table, kinds)) and not table.startswith("sqlite_")
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
		if "\0" in value:
			# A statement ends there.
			return f"CAST(x'{value.encode().hex()}' AS TEXT)"
		return "'" + value.replace("'", "''") + "'"

	def finds(self, inner: str, outer: str, inner_column: Column, outer_column: Column) -> str:
		mine, other = f"{inner}.{quote(inner_column.name)}", f"{outer}.{quote(outer_column.name)}"
		return f"{mine} = {other} AND {self.equals(inner, outer, inner_column, outer_column)}"

	def equals(self, left: str, right: str, left_column: Column, right_column: Column) -> str:
		# The sign takes away the column's type: a number's would take '007' for 7.
		mine, other = f"+{left}.{quote(left_column.name)}", f"+{right}.{quote(right_column.name)}"
		same = f"{mine} COLLATE BINARY IS {other}"
		if left_column.kind == right_column.kind:
			return same
		# A migration that changed the type has written the same words in another way: 7 became '7'.
		same_words = f"CAST({mine} AS TEXT) COLLATE BINARY IS CAST({other} AS TEXT)"
		return f"({same} OR (typeof({mine}) <> typeof({other}) AND {same_words}))"

	def has_default(self, alias: str, column: Column) -> str:
		if column.default is None:
			return "FALSE"
		return f"{alias}.{quote(column.name)} COLLATE BINARY IS {column.default}"

	def token(self, alias: str, column: Column) -> str:
		value = f"{alias}.{quote(column.name)}"
		# Text as bytes: it need not be UTF-8, and ends at its first zero for some versions of Python.
		return (
			f"CASE typeof({value}) WHEN 'null' THEN 'NULL' WHEN 'text' THEN CAST({value} AS BLOB) "
			f"WHEN 'blob' THEN 'x' || hex({value}) ELSE {value} END"
		)

	def digest(self, tokens: list[str]) -> str:
		while len(tokens) > VALUES_AT_ONCE:
			tokens = [self.digest(tokens[:VALUES_AT_ONCE]), *tokens[VALUES_AT_ONCE:]]
		return f"row_digest({', '.join(tokens)})"

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
		columns = {row[1]: Column(row[1], row[2].lower(), default=_read_default(*row[3:5])) for row in rows}
		return Table(table, columns, tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]))


@contextmanager
def open_snapshot(*files: str) -> Iterator[Reader]:
	"""A reader of these files as they are at this moment. While it is open, nobody can write to them.

	Raises `StepFailed`.
	"""
	with closing(SQLiteReader(*files)) as reader:
		yield reader


@contextmanager
def open_former(quarantine: str, backup: Path, final: Path) -> Iterator[Former]:
	"""A reader, the backup, and the quarantine that was live.

	A snapshot of the live file would keep users from writing, so the backup is unpacked beside.
	"""
	with tempfile.TemporaryDirectory(
		dir=final.parent if final.exists() else backup, prefix=".former-"
	) as name:
		former = Path(name) / "former.db"
		packed = final / FINAL_BACKUP
		with os.fdopen(os.open(former, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
			file.writelines(unpack(packed if packed.is_file() else database_file(backup)))
		with open_snapshot(str(former), quarantine) as reader:
			yield reader, str(former), quarantine


def _read_default(is_required: int, words: str | None) -> str | None:
	"""The constant that a new row gets in a column, as SQL, out of what its definition says."""
	if words is None:
		return None if is_required else "NULL"
	return words if _CONSTANT.fullmatch(words) else None


def _has_content(table: str, kinds: dict[str, str]) -> bool:
	"""Whether a virtual table is a full-text search that keeps its words itself, and is no index of other tables."""
	return kinds.get(table) == "virtual" and kinds.get(f"{table}_content") == "shadow"


def _read_text(value: bytes) -> str:
	try:
		return value.decode()
	except UnicodeDecodeError:
		# With its bytes' numbers, and marked: other text may have them as words.
		return "\N{REPLACEMENT CHARACTER}" + value.decode("utf-8", "backslashreplace")


def _digest(*values: object) -> bytes:
	# As SQLite compares: 1 and 1.0 are the same number.
	numbers = [int(each) if isinstance(each, float) and each.is_integer() else each for each in values]
	return hashlib.sha256(repr(numbers).encode()).digest()


def _fail(what: str, error: Exception) -> StepFailed:
	return StepFailed(
		"Comparing",
		what,
		str(error),
		"see whether the run's standby is there (press-deploy standby), and the site's db directory, then ask again",
	)
