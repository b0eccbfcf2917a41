"""Two databases of one server compared: definitions, checksums of the rows, numbers of rows.

`CHECKSUM TABLE` puts the values of a row side by side: 'ab', 'c' and 'a', 'bc' are the same to it. Tables with
two columns of variable length or more get a second sum, over these values held apart.

Invariant: equal means equal definitions and equal sums, read now; a table whose checksum the server can't tell
is an error, never equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.schemas import list_tables
from press_deploy.engine.mariadb.server import Server, quote

# Enough to save round trips, few enough that one statement doesn't run for minutes.
TABLES_AT_ONCE = 50
# The next automatic number stands among the options behind the last parenthesis.
_COUNTER = re.compile(r" AUTO_INCREMENT=(\d+)\b")

# Between two values; as good as never in one.
SEPARATOR = "\x1f|\x1e"
# All others count as of variable length.
_FIXED_TYPES = frozenset(
	"tinyint smallint mediumint int bigint decimal float double char binary date time datetime timestamp year "
	"enum set inet4 inet6 uuid".split()
)


@dataclass(frozen=True)
class TableState:
	"""What a table is: its definition, and the sums of its rows as text.

	`counter` is its next automatic number; None where it has none, or has not begun.
	"""

	definition: str
	checksum: str
	counter: int | None = None


def read_tables(server: Server, database: str, names: Iterable[str] | None = None) -> dict[str, TableState]:
	"""The tables of a database, sequences included; with `names` those of them that exist.

	Reads every row. Raises `pymysql.Error`, and `StepFailed` for a table that can't be read.
	"""
	with server.session() as cursor:
		tables = list(list_tables(cursor, database))
		if names is not None:
			wanted = set(names)
			tables = [name for name in tables if name in wanted]
		checksums = read_checksums(cursor, database, tables)
		return {name: TableState(*_define(cursor, database, name, checksums[name])) for name in tables}


def read_both(server: Server, one: str, other: str) -> tuple[dict[str, TableState], dict[str, TableState]]:
	"""The tables of two databases, read at the same time over two connections."""
	with ThreadPoolExecutor(2) as pool:
		first, second = (pool.submit(read_tables, server, database) for database in (one, other))
		return first.result(), second.result()


def read_checksums(cursor: Any, database: str, tables: list[str]) -> dict[str, str]:
	"""{table: sums of its rows}; the order of rows doesn't count, their definition does."""
	checksums: dict[str, str] = {}
	for begin in range(0, len(tables), TABLES_AT_ONCE):
		names = tables[begin : begin + TABLES_AT_ONCE]
		listed = ", ".join(f"{quote(database)}.{quote(name)}" for name in names)
		cursor.execute(f"CHECKSUM TABLE {listed} EXTENDED")
		# They come in the order in which they were named.
		for name, (_, checksum) in zip(names, cursor.fetchall(), strict=True):
			if checksum is None:
				raise StepFailed(
					"Reading", f"table {name} of {database}", "it has no checksum", "see CHECK TABLE on it"
				)
			checksums[name] = str(checksum)
	for name, columns in _find_ambiguous(cursor, database, tables).items():
		checksums[name] += f" {_sum_apart(cursor, database, name, columns)}"
	return checksums


def count_rows(cursor: Any, database: str, table: str) -> int:
	cursor.execute(f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}")
	return int(cursor.fetchone()[0])


def are_equal(one: TableState | None, other: TableState | None) -> bool:
	"""By definition and rows. The next automatic number is no row."""
	if one is None or other is None:
		return False
	return (one.definition, one.checksum) == (other.definition, other.checksum)


def _find_ambiguous(cursor: Any, database: str, tables: list[str]) -> dict[str, list[str]]:
	"""The tables with two or more columns of variable length: {table: the columns that tell its rows apart}.

	These are the key and those columns; all columns where there is no key.
	"""
	cursor.execute(
		"SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_KEY FROM information_schema.COLUMNS "
		"WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION",
		(database,),
	)
	columns: dict[str, list[tuple[str, bool, bool]]] = {}
	for table, name, kind, key in cursor.fetchall():
		columns.setdefault(table, []).append((name, kind not in _FIXED_TYPES, key == "PRI"))
	found = {}
	for table in tables:
		described = columns.get(table, [])
		has_key = any(is_key for _, _, is_key in described)
		if sum(is_variable for _, is_variable, _ in described) > 1:
			found[table] = [name for name, *told in described if any(told) or not has_key]
	return found


def _sum_apart(cursor: Any, database: str, table: str, columns: list[str]) -> int:
	# In binary: columns of different collations could not be joined. Which are NULL, CHECKSUM TABLE knows.
	listed = ", ".join(f"CAST({quote(name)} AS BINARY)" for name in columns)
	cursor.execute(
		f"SELECT COALESCE(SUM(CRC32(CONCAT_WS(_binary'{SEPARATOR}', {listed}))), 0) "
		f"FROM {quote(database)}.{quote(table)}"
	)
	return int(cursor.fetchone()[0])


def _define(cursor: Any, database: str, table: str, checksum: str) -> tuple[str, str, int | None]:
	cursor.execute(f"SHOW CREATE TABLE {quote(database)}.{quote(table)}")
	definition = cursor.fetchone()[1]
	head, newline, options = definition.rpartition("\n)")
	counter = _COUNTER.search(options)
	if counter is None:
		return definition, checksum, None
	options = options[: counter.start()] + options[counter.end() :]
	return head + newline + options, checksum, int(counter[1])
