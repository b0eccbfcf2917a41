"""The rows that differ and are of no document, as plain data: as many as the list counts.

Invariant: for every table among `Comparison.other_tables` the rows come up from which it was counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from press_deploy.engine.databases.losses.added_columns import read_filled
from press_deploy.engine.databases.losses.comparison import Comparison, parents_of
from press_deploy.engine.databases.losses.concealing import Concealing, as_plain, is_hidden
from press_deploy.engine.databases.losses.queries import (
	Difference,
	Pair,
	count_rows,
	find_differences,
	find_keyless_rows,
)

# How many values of a `Difference` come before those of its row.
LEADING = 7


def read_other_rows(comparison: Comparison, concealing: Concealing) -> Iterator[dict[str, Any]]:
	"""{"table", "action", "row"} of each; a changed row without a key is deleted once and created once."""
	differences, listed = comparison.differences, comparison.other_tables
	for table in filter(listed.__contains__, comparison.keyed):
		for row in _find(comparison, table):
			yield _show(comparison.pair(table), row, concealing)
	for table in differences.orphaned_sources():
		for row in _find(comparison, table):
			if any(differences.is_orphaned(str(of[0]), str(of[1]), table) for of in parents_of(row) if of):
				yield _show(comparison.pair(table), row, concealing)
	for table in filter(listed.__contains__, comparison.keyless):
		with comparison.reader.hold_lightly():
			for action, side, values in find_keyless_rows(comparison.reader, comparison.pair(table)):
				yield {"table": table, "action": action, "row": concealing.show(side, values)}


def read_filled_columns(comparison: Comparison, concealing: Concealing) -> Iterator[dict[str, Any]]:
	"""{"table", "column", "rows", "value"} of added columns that hold one value in all rows that both sides have."""
	for table, columns in comparison.filled.items():
		pair = comparison.pair(table)
		for column, rows in columns.items():
			if is_hidden(pair.live.columns[column]):
				concealing.left_out.add(f"{table}.{column}")
				continue
			with comparison.reader.hold_lightly():
				value = as_plain(read_filled(comparison.reader, pair, column))
			yield {"table": table, "column": column, "rows": rows, "value": value}


def _find(comparison: Comparison, table: str) -> Iterator[Difference]:
	pair = comparison.pair(table)
	with comparison.reader.hold_lightly():
		rows = count_rows(comparison.reader, pair)
		filled = comparison.filled.get(table, ())
		yield from find_differences(comparison.reader, pair, rows, filled, whole=True)


def _show(pair: Pair, row: Difference, concealing: Concealing) -> dict[str, Any]:
	side = pair.kept if row[1] == "deleted" else pair.live
	return {"table": pair.name, "action": row[1], "row": concealing.show(side, row[LEADING:])}
