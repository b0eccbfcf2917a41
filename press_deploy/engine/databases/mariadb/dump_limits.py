"""Values that no dump carries: as text they are others, and a database that was loaded from it differs.

Frappe's own tables have none of them, tables that somebody made beside them may.

Invariant: it only reads; a column is named when a value in it would be changed by a dump, and only then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.ground.errors import StepFailed

REMEDY = (
	"correct these values; make a column DOUBLE if it is FLOAT, which changes none (ALTER TABLE … MODIFY)"
)
_NO_DAY = ("DAYOFMONTH({0}) > DAYOFMONTH(LAST_DAY({0}))", "days that no calendar has")
# Kind of column: what is true of such a value, and what it is.
_LOSSES = {
	# The server writes six digits of it. (MariaDB documentation: FLOAT.)
	"float": ("CAST(CONCAT({0}) AS FLOAT) <> {0}", "numbers of which a dump keeps six digits only"),
	# What was none of the members reads as '', which is another value where that is a member.
	"enum": ("{0} = 0", "values that are none of its members"),
	"date": _NO_DAY,
	"datetime": _NO_DAY,
}
# Each table of Frappe's has columns of these; they are looked through only where a table is in question.
_EVERYWHERE = ("date", "datetime")


def find_changed_by_dump(cursor: Any, database: str, tables: Collection[str] | None = None) -> Iterator[str]:
	"""“table.column has …” for each column with such a value, in `tables`; in all, but for dates, if none are named.

	Reads all rows of tables with such columns. Raises `pymysql.Error`.
	"""
	columns: dict[str, list[tuple[str, str, str]]] = {}
	for table, column, kind in _read_columns(cursor, database):
		if (kind not in _EVERYWHERE) if tables is None else (table in tables):
			columns.setdefault(table, []).append((column, *_LOSSES[kind]))
	for table, asked in columns.items():
		conditions = ", ".join(f"MAX({condition.format(quote(column))})" for column, condition, _ in asked)
		cursor.execute(f"SELECT {conditions} FROM {quote(database)}.{quote(table)}")
		found = cursor.fetchone()
		yield from (
			f"{table}.{column} has {what}"
			for (column, _, what), is_so in zip(asked, found, strict=True)
			if is_so
		)


def require_carried(cursor: Any, doing: str, database: str, tables: Collection[str]) -> None:
	"""Raise `StepFailed` when it is for such values that these tables of `database` differ from their copies."""
	if tables and (found := list(find_changed_by_dump(cursor, database, tables))):
		raise StepFailed(doing, database, f"no dump carries what it holds: {'; '.join(found)}", REMEDY)


def _read_columns(cursor: Any, database: str) -> list[tuple[str, str, str]]:
	cursor.execute(
		"SELECT TABLE_NAME, COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS JOIN "
		"information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_SCHEMA = %s "
		"AND TABLE_TYPE <> 'VIEW' AND DATA_TYPE IN %s AND (DATA_TYPE <> 'enum' OR COLUMN_TYPE RLIKE %s) "
		"ORDER BY TABLE_NAME, ORDINAL_POSITION",
		(database, tuple(_LOSSES), "[(,]''[,)]"),
	)
	return list(cursor.fetchall())
