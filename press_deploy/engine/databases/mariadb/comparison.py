"""Two databases of one server compared: definitions, checksums of the rows, numbers of rows.

What `CHECKSUM TABLE` says of the rows is kept as evidence that anybody can ask for again. It does not tell all
rows apart; equality hangs on `row_sums`.

Invariant: equal means equal definitions and equal sums, read now; a table whose checksum the server can't tell
is an error, never equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.databases.mariadb.row_sums import sum_rows
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.ground.errors import StepFailed

# The next automatic number stands among the options behind the last parenthesis.
_COUNTER = re.compile(r" AUTO_INCREMENT=(\d+)\b")


@dataclass(frozen=True)
class TableState:
	"""What a table is: its definition, and the sums of its rows as text: see `read_checksums`.

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
	"""{table: “CHECKSUM TABLE, number of rows, sum of their digests”}; the order of rows doesn't count."""
	# Table by table: what the server read for the one is still in its memory for the other.
	return {
		name: f"{_ask_checksum(cursor, database, name)} {sums}"
		for name, sums in sum_rows(cursor, database, tables)
	}


def count_rows(cursor: Any, database: str, table: str) -> int:
	cursor.execute(f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}")
	return int(cursor.fetchone()[0])


def are_equal(one: TableState | None, other: TableState | None) -> bool:
	"""By definition and rows. The next automatic number is no row."""
	if one is None or other is None:
		return False
	return (one.definition, one.checksum) == (other.definition, other.checksum)


def _ask_checksum(cursor: Any, database: str, table: str) -> int:
	cursor.execute(f"CHECKSUM TABLE {quote(database)}.{quote(table)} EXTENDED")
	checksum = cursor.fetchone()[1]
	if checksum is None:
		raise StepFailed(
			"Reading",
			f"table {table} of {database}",
			"it has no checksum",
			f"see what is wrong with it: CHECK TABLE `{database}`.`{table}`",
		)
	return int(checksum)


def _define(cursor: Any, database: str, table: str, checksum: str) -> tuple[str, str, int | None]:
	cursor.execute(f"SHOW CREATE TABLE {quote(database)}.{quote(table)}")
	definition = cursor.fetchone()[1]
	head, newline, options = definition.rpartition("\n)")
	counter = _COUNTER.search(options)
	if counter is None:
		return definition, checksum, None
	options = options[: counter.start()] + options[counter.end() :]
	return head + newline + options, checksum, int(counter[1])
