"""Two databases of one MariaDB server, read in one consistent snapshot.

Invariant: the transaction is read-only and its moment is that of its making, however long it lasts
and whatever is written or renamed meanwhile. A connection that was ended has lost that moment: it never
connects again by itself, and says so instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pymysql
import pymysql.cursors

from press_deploy.engine.databases.losses.reader import Column, Reader, Table
from press_deploy.engine.databases.mariadb.remedies import SERVER_LOG
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import is_lost
from press_deploy.engine.ground.errors import StepFailed

# No limit that the server sets for its web requests may end a comparison; `sql_mode` decides how text is
# compared and escaped; a table that somebody alters is waited for, but not for ever.
OPENING = (
	"SET SESSION sql_mode = '', max_statement_time = 0, net_write_timeout = 3600, lock_wait_timeout = 60, "
	"idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0",
	"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
	"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
# What the server says about a column's default may be any expression; only a constant is the same for all.
_CONSTANT = re.compile(r"NULL|-?[0-9.]+(e[+-]?[0-9]+)?|b?'([^'\\]|''|\\.)*'", re.IGNORECASE | re.DOTALL)
# Text in this character set is compared as it is, other text as it would be written in it.
SAME_BYTES = "utf8mb4"
# When a row of a system-versioned table was written; the server makes it a part of the key.
ROW_TIME = "COALESCE(GENERATION_EXPRESSION, '') IN ('ROW START', 'ROW END')"
TABLES = ("BASE TABLE", "SYSTEM VERSIONED")
# They are bytes, though another type may tell its values in words.
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
# As bytes they are not what they are in words.
TOLD_IN_WORDS = ("uuid", "inet4", "inet6")
TABLE_CHANGED = 1412


class MariaDBReader(Reader):
	"""Reads on a connection of its own, from its making to `close`. Databases are given by name."""

	def __init__(self, server: Server):
		super().__init__()
		try:
			self._connection = server.connect()
			with self._connection.cursor() as cursor:
				for statement in OPENING:
					cursor.execute(statement)
		except (pymysql.Error, OSError) as error:
			raise _translate(error) from error

	def close(self) -> None:
		try:
			self._connection.close()
		except pymysql.Error:
			# It was lost, and whoever read has been told so.
			pass

	def tables(self, database: str) -> dict[str, Table]:
		schema = self.literal(database)
		keys: dict[str, list[str]] = {}
		for table, column in self.stream(
			"SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS "
			f"WHERE TABLE_SCHEMA = {schema} AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX"
		):
			keys.setdefault(table, []).append(column)
		kinds = dict(
			self.stream(
				f"SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema}"
			)
		)
		columns: dict[str, dict[str, Column]] = {}
		for table, name, kind, charset, collation, default, generated in self.stream(
			"SELECT TABLE_NAME, COLUMN_NAME, LOWER(DATA_TYPE), CHARACTER_SET_NAME, COLLATION_NAME, "
			"COLUMN_DEFAULT, IS_GENERATED = 'ALWAYS' "
			f"FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} AND NOT {ROW_TIME} "
			"ORDER BY TABLE_NAME, ORDINAL_POSITION"
		):
			constant = default if default and _CONSTANT.fullmatch(default) else None
			column = Column(name, kind, charset, collation, constant, bool(generated))
			columns.setdefault(table, {})[name] = column
		return {
			table: Table(table, found, tuple(filter(found.__contains__, keys.get(table, ()))))
			for table, found in columns.items()
			if kinds.get(table) in TABLES
		}

	def stream(self, statement: str) -> Iterator[tuple]:
		try:
			with self._connection.cursor(pymysql.cursors.SSCursor) as cursor:
				cursor.execute(statement)
				yield from cursor.fetchall_unbuffered()
		except (pymysql.Error, OSError) as error:
			raise _translate(error) from error

	def place(self, database: str, table: str) -> str:
		return f"{quote(database)}.{quote(table)}"

	def by_key(self) -> str:
		# The smallest index would be chosen, and its order makes each look into the other table a random
		# one: 8 times slower once the tables outgrow the server's memory.
		return "FORCE INDEX (PRIMARY)"

	def quote(self, name: str) -> str:
		return quote(name)

	def literal(self, value: str) -> str:
		return self._connection.escape(value)

	def finds(self, inner: str, outer: str, inner_column: Column, outer_column: Column) -> str:
		mine, other = f"{inner}.{quote(inner_column.name)}", f"{outer}.{quote(outer_column.name)}"
		same = self.equals(inner, outer, inner_column, outer_column)
		if inner_column.charset and inner_column.collation != outer_column.collation:
			# Only a value in the index's own collation is looked up in it.
			other = f"CONVERT({other} USING {inner_column.charset}) COLLATE {inner_column.collation}"
		return f"{mine} = {other} AND {same}"

	def equals(self, left: str, right: str, left_column: Column, right_column: Column) -> str:
		mine, other = f"{left}.{quote(left_column.name)}", f"{right}.{quote(right_column.name)}"
		if left_column.charset and right_column.charset:
			charset = left_column.charset
			if charset != right_column.charset:
				mine, other = _as_bytes(mine, left_column), _as_bytes(other, right_column)
				charset = SAME_BYTES
			mine, other = _to_the_byte(mine, charset), _to_the_byte(other, charset)
		elif left_column.charset or right_column.charset:
			mine, other = _as_bytes(mine, left_column), _as_bytes(other, right_column)
		return f"{mine} <=> {other}"

	def has_default(self, alias: str, column: Column) -> str:
		if column.default is None:
			return "FALSE"
		value = f"{alias}.{quote(column.name)}"
		default = f"DEFAULT({value})"
		if column.charset:
			value, default = _to_the_byte(value, column.charset), _to_the_byte(default, column.charset)
		return f"{value} <=> {default}"

	def token(self, alias: str, column: Column) -> str:
		# A digest for each value: together they might be longer than a packet, which gives NULL, and the
		# values of two columns side by side must not be taken for one another.
		value = f"{alias}.{quote(column.name)}"
		# In words, the hour that comes twice when summer time ends would be one.
		told = f"UNIX_TIMESTAMP({value})" if column.kind == "timestamp" else _as_bytes(value, column)
		return f"IF({value} IS NULL, 'NULL', SHA2({told}, 256))"

	def digest(self, tokens: list[str]) -> str:
		return f"SHA2(CONCAT({', '.join(tokens)}), 256)"

	@contextmanager
	def hold_lightly(self) -> Iterator[None]:
		"""Give the locks on definitions back, as mariadb-dump does: they'd make users wait for an ALTER."""
		self._execute("SAVEPOINT press_deploy")
		try:
			yield
		finally:
			if self._connection.open:
				self._execute("ROLLBACK TO SAVEPOINT press_deploy")

	def _execute(self, statement: str) -> None:
		list(self.stream(statement))


@contextmanager
def open_snapshot(server: Server) -> Iterator[Reader]:
	"""A reader of this moment, of all databases of a server.

	Opened behind closed doors it goes on seeing what was there when the site has been opened again.
	Raises `StepFailed`.
	"""
	with closing(MariaDBReader(server)) as reader:
		yield reader


def _to_the_byte(text: str, charset: str) -> str:
	"""Collations take case, accents and closing spaces for equal; this one doesn't.

	BINARY would give NULL for text that is longer than `max_allowed_packet`, and all such text would be equal.
	"""
	return f"{text} COLLATE {charset}_nopad_bin"


def _as_bytes(value: str, column: Column) -> str:
	"""As in the other type: text as UTF-8, numbers in words. Beside bytes, text is compared to the byte.

	Only text is converted: bytes that are no UTF-8 would all become question marks.
	"""
	if column.kind == "float":
		# As text it would have six digits and no more.
		return f"BINARY CAST({value} AS DOUBLE)"
	if column.kind in TOLD_IN_WORDS:
		return f"BINARY CAST({value} AS CHAR)"
	if column.charset not in (None, SAME_BYTES):
		return f"CONVERT({value} USING {SAME_BYTES})"
	# What can be long isn't cast: longer than `max_allowed_packet` it would become NULL.
	return value if column.charset or column.kind in BYTES else f"BINARY {value}"


def _translate(error: Exception) -> StepFailed:
	code = error.args[0] if error.args else None
	words = str(error.args[-1] if error.args else error)
	why, remedy = words, f"see {SERVER_LOG}, then ask again: press-deploy losses RUN"
	if code == TABLE_CHANGED:
		why, remedy = f"a table was altered meanwhile ({words})", "ask again when nobody alters tables"
	elif is_lost(error):
		why = f"the connection to the server was lost, and with it the moment that was read ({words or code})"
	return StepFailed("Comparing", "the database with its backup", why, remedy)
