"""Columns that the live database has and the backup has not: a migration made them, and users may have written.

The rule:
- A column that only the backup has loses nothing: the live database holds no value of it.
- In a column that only the live database has, a value that is the column's default was written by nobody.
- Any other value is what a rollback would lose, and its row counts as changed. A column that was renamed is
  such a column, as is one without a constant default: nothing tells its values from what users wrote.
- Where all documents that both sides have hold one and the same other value there, a patch is likely to have
  filled it in. They are not named one by one, which would hide what else was changed, but counted as rows of
  their table, so that somebody is asked: it may have been a user all the same. Once a single document holds
  another value, all that don't hold the default are named.

Invariant: a value that isn't its column's default is counted, in the row's document or in its table.
"""

from __future__ import annotations

from press_deploy.engine.databases.losses.queries import Pair, added_columns, join_kept
from press_deploy.engine.databases.losses.reader import Column, Reader

# One row alone shares its value with nobody: it is named.
ROWS_ALIKE = 2


def find_filled(reader: Reader, pair: Pair) -> dict[str, tuple[int, object]]:
	"""Column → (rows, digest of the value) of those that hold one other value than their default in all rows.

	Counted are the rows that both sides have, found by their keys, which must be the same columns.
	"""
	written = _find_written(reader, pair)
	if not written:
		return {}
	digests = [reader.digest([reader.token("live", column)]) for column in written]
	# A digest that the server could not take is NULL, which only COUNT doesn't pass over.
	values = ", ".join(f"MIN({digest}), MAX({digest}), COUNT({digest})" for digest in digests)
	rows, *found = reader.one(f"SELECT COUNT(*), {values} {join_kept(reader, pair, 'JOIN')}")
	ends = zip(written, found[::3], found[1::3], found[2::3], strict=True)
	return {
		column.name: (rows, least)
		for column, least, most, known in ends
		if rows >= ROWS_ALIKE and least == most and known == rows
	}


def read_filled(reader: Reader, pair: Pair, column: str) -> object:
	"""The one value of a column that `find_filled` found."""
	statement = f"SELECT live.{reader.quote(column)} {join_kept(reader, pair, 'JOIN')} LIMIT 1"
	return reader.one(statement)[0]


def _find_written(reader: Reader, pair: Pair) -> list[Column]:
	"""The added columns that hold another value than the default in any row: without one there's no need to join."""
	added = added_columns(pair)
	if not added:
		return []
	found = ", ".join(f"MAX(NOT ({reader.has_default('live', column)}))" for column in added)
	written = reader.one(f"SELECT {found} FROM {pair.live_place} AS live")
	return [column for column, any_written in zip(added, written, strict=True) if any_written]
