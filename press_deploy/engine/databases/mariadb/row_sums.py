"""A sum of a table's rows that tells any two tables apart: SHA-256 of each row, added up by the server.

`CHECKSUM TABLE` can't: it adds up CRC-32s, which are linear. Two rows that exchange a value, such as a stock
that moves from one bin to another, often leave it as it was; and 'ab', 'c' and 'a', 'bc' are the same to it.

A row is written down so that no other row gives the same bytes: first, for each column, its value (of a kind
whose text holds no comma), its digest (of large ones) or its length; then the bytes of those with a length.
Columns that are NULL say so. Of each digest 64 bits are added up as a number: the order of rows doesn't count,
and twice the same row counts twice. Two tables that differ agree by chance once in 2⁶⁴ times.

Invariant: every stored column counts, by its bytes or its exact value, whatever the settings of the server;
a row that can't be summed up is an error, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.ground.errors import StepFailed

# How values become text must not hang on the server's settings, and no limit for web requests ends a sum.
# In UTC: where summer time ends, two instants have one local time.
SETTINGS = "SET SESSION sql_mode = '', time_zone = '+00:00', max_statement_time = 0"

# Their text has no comma, and tells each value from every other.
_PLAIN = frozenset("tinyint smallint mediumint int bigint decimal date time datetime timestamp year".split())
# Their text is rounded (a FLOAT's), or is that of a list which is part of the definition.
_EXACT = {"float": "DOUBLE", "double": "DOUBLE", "bit": "UNSIGNED", "enum": "UNSIGNED", "set": "UNSIGNED"}
# As they are they could exceed `max_allowed_packet`, and that makes NULL of what they are joined to. All others
# of a row have at most 65,535 bytes (MariaDB documentation: “InnoDB Limitations”, maximum row size).
_LARGE = frozenset(
	"tinytext text mediumtext longtext tinyblob blob mediumblob longblob json geometry point linestring polygon "
	"multipoint multilinestring multipolygon geometrycollection".split()
)
# Below any sum: no table has 10²⁰ rows.
_NOT_SUMMED = -(10**40)


def sum_rows(cursor: Any, database: str, tables: Iterable[str]) -> Iterator[tuple[str, str]]:
	"""(table, “number of rows, sum”) for tables, sequences among them, that exist in `database`, one by one.

	Of a table that keeps history, all of it counts. Changes settings of the session; between two tables the
	cursor may be used. Raises `pymysql.Error`, and `StepFailed` for a table whose rows can't be summed up.
	"""
	cursor.execute(SETTINGS)
	columns, histories = _read_columns(cursor, database), _find_histories(cursor, database)
	for table in tables:
		what = f"table {table} of {database}"
		if table not in columns:
			raise StepFailed(
				"Reading",
				what,
				"the server names no column of it",
				"see what is wrong with it: bench --site SITE mariadb, then CHECK TABLE",
			)
		source = f"{quote(database)}.{quote(table)}" + (" FOR SYSTEM_TIME ALL" if table in histories else "")
		yield table, _sum(cursor, source, [*columns[table], *histories.get(table, ())], what)


def _sum(cursor: Any, source: str, columns: list[tuple[str, str]], what: str) -> str:
	number = f"CAST(CONV(LEFT({_digest(_write_down(columns))}, 16), 16, 10) AS UNSIGNED)"
	cursor.execute(f"SELECT SQL_NO_CACHE COUNT(*), SUM(IFNULL({number}, {_NOT_SUMMED})) FROM {source}")
	rows, total = cursor.fetchone()
	if rows and total < 0:
		why = "a row of it is larger than the server can join (max_allowed_packet)"
		raise StepFailed("Reading", what, why, "raise max_allowed_packet on the server, then try again")
	return f"{rows} {int(total or 0):x}"


def _write_down(columns: list[tuple[str, str]]) -> str:
	"""The expression of a row's bytes. CONCAT_WS passes over NULL: only among the bytes at the end may it be."""
	heads, bytes_of = [], []
	for name, kind in columns:
		column = quote(name)
		if kind in _LARGE:
			# Not cast: that would be limited by `max_allowed_packet`, too. A digest is that of the bytes.
			head = _digest(column)
		elif kind in _PLAIN:
			head = column
		elif kind in _EXACT:
			head = f"CAST({column} AS {_EXACT[kind]})"
		else:
			# In binary: columns of different collations could not be joined.
			head = f"OCTET_LENGTH({column})"
			bytes_of.append(f"CAST({column} AS BINARY)")
		heads.append(f"IFNULL({head}, 'N')")
	# There are tables in which nothing is stored but that a row is there.
	return f"CONCAT_WS(',', {', '.join([*heads, *bytes_of] or [repr('')])})"


def _digest(expression: str) -> str:
	return f"SHA2({expression}, 256)"


def _read_columns(cursor: Any, database: str) -> dict[str, list[tuple[str, str]]]:
	"""{table: [(column, kind)]} of all that is stored; what is virtual is computed from it."""
	cursor.execute(
		"SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, EXTRA FROM information_schema.COLUMNS "
		"WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION",
		(database,),
	)
	columns: dict[str, list[tuple[str, str]]] = {}
	for table, name, kind, extra in cursor.fetchall():
		stored = columns.setdefault(table, [])
		if "VIRTUAL GENERATED" not in extra:
			stored.append((name, kind.lower()))
	return columns


def _find_histories(cursor: Any, database: str) -> dict[str, list[tuple[str, str]]]:
	"""{table that keeps history: the columns of it that the server doesn't list}; they are rows' times."""
	cursor.execute(
		"SELECT TABLE_NAME, (SELECT COUNT(*) FROM information_schema.COLUMNS AS listed "
		"WHERE listed.TABLE_SCHEMA = tables.TABLE_SCHEMA AND listed.TABLE_NAME = tables.TABLE_NAME "
		"AND listed.GENERATION_EXPRESSION = 'ROW START') "
		"FROM information_schema.TABLES AS tables WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'SYSTEM VERSIONED'",
		(database,),
	)
	hidden = [("row_start", "timestamp"), ("row_end", "timestamp")]
	return {table: [] if is_listed else hidden for table, is_listed in cursor.fetchall()}
