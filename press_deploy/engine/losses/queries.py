"""The statements that compare one table in two databases.

Invariant: every row that differs in a compared column comes up, and rows whose keys are the same to the
byte come up once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from press_deploy.engine.losses.noise import unread_columns
from press_deploy.engine.losses.reader import Column, Reader, Table

PARENT = ("parenttype", "parent")
# Key, action, then the parent in the live database and the one in the backup.
Difference = tuple[object, str, object, object, object, object]


@dataclass(frozen=True)
class Pair:
	"""One table in the backup (`kept`) and in the live database (`live`); None where it isn't there."""

	name: str
	kept: Table | None
	live: Table | None
	kept_place: str
	live_place: str

	@property
	def sides(self) -> list[tuple[str, Table, str]]:
		"""(alias, table, place) of the sides that are there."""
		both = (("kept", self.kept, self.kept_place), ("live", self.live, self.live_place))
		return [(alias, table, place) for alias, table, place in both if table is not None]


def has_one_key(pair: Pair) -> bool:
	"""Whether both sides, if there are two, have the same primary key."""
	keys = {table.key for _, table, _ in pair.sides}
	return len(keys) == 1 and () not in keys


def count_rows(reader: Reader, pair: Pair) -> tuple[int, int]:
	"""Rows in the backup and in the live database."""
	found = {alias: reader.one(f"SELECT COUNT(*) FROM {place}")[0] for alias, _, place in pair.sides}
	return found.get("kept", 0), found.get("live", 0)


def find_differences(reader: Reader, pair: Pair, rows: tuple[int, int]) -> Iterator[Difference]:
	"""Rows that differ, in a table with a primary key; `rows` as `count_rows` tells them.

	First created and changed ones by their key, then deleted ones.
	"""
	kept_rows, live_rows = rows
	created = 0
	if pair.live and live_rows:
		for row in reader.stream(_compare_live(reader, pair)):
			created += row[1] == "created"
			yield row
	# Whatever was neither created nor found in the backup is missing there: no need to look without reason.
	if pair.kept and kept_rows > live_rows - created:
		yield from reader.stream(_compare_kept(reader, pair))


def count_keyless(reader: Reader, pair: Pair, label: str | None = None) -> dict[str, int]:
	"""Rows that differ in a table without a common key, by the value of the column `label`.

	A changed row is one row less and one row more, and counts once.
	"""
	columns = _shared(pair) or next(list(table.columns.values()) for _, table, _ in pair.sides)
	group = reader.quote(label) if label else "''"
	halves = [
		f"SELECT {group} AS label, {reader.digest(columns)} AS digest, {-1 if alias == 'kept' else 1} AS side "
		f"FROM {place}"
		for alias, _, place in pair.sides
	]
	statement = (
		f"SELECT MIN(label), SUM(side) FROM ({' UNION ALL '.join(halves)}) AS both_sides "
		"GROUP BY digest HAVING SUM(side) <> 0"
	)
	more: dict[str, int] = {}
	less: dict[str, int] = {}
	for found, side in reader.stream(statement):
		counts = more if side > 0 else less
		counts[str(found)] = counts.get(str(found), 0) + abs(int(side))
	return {found: max(more.get(found, 0), less.get(found, 0)) for found in sorted({*more, *less})}


def _compare_live(reader: Reader, pair: Pair) -> str:
	if pair.kept is None:
		return (
			f"{_select(reader, pair, 'live', chr(39) + 'created' + chr(39))} FROM {pair.live_place} AS live"
		)
	absent = f"kept.{reader.quote(pair.kept.key[0])} IS NULL"
	same = " AND ".join(
		reader.equals("live", "kept", pair.live.columns[column.name], column) for column in _shared(pair)
	)
	return (
		f"{_select(reader, pair, 'live', _action(reader, pair, absent))} "
		f"FROM {pair.live_place} AS live {reader.by_key()} "
		f"LEFT JOIN {pair.kept_place} AS kept {reader.by_key()} ON {_finds(reader, 'kept', pair.kept, 'live', pair.live)} "
		f"WHERE {absent} OR NOT ({same})"
	)


def _compare_kept(reader: Reader, pair: Pair) -> str:
	select = _select(reader, pair, "kept", "'deleted'")
	if pair.live is None:
		return f"{select} FROM {pair.kept_place} AS kept"
	return (
		f"{select} FROM {pair.kept_place} AS kept {reader.by_key()} "
		f"LEFT JOIN {pair.live_place} AS live {reader.by_key()} ON {_finds(reader, 'live', pair.live, 'kept', pair.kept)} "
		f"WHERE live.{reader.quote(pair.live.key[0])} IS NULL"
	)


def _select(reader: Reader, pair: Pair, side: str, action: str) -> str:
	"""The columns of a `Difference`; what can't be joined, or isn't there, is NULL."""
	key = next(table.key[0] for alias, table, _ in pair.sides if alias == side)
	sides = {alias: table for alias, table, _ in pair.sides}
	parents = [
		f"{alias}.{reader.quote(column)}"
		if alias in sides and set(PARENT) <= set(sides[alias].columns)
		else "NULL"
		for alias in ("live", "kept")
		for column in PARENT
	]
	return f"SELECT {side}.{reader.quote(key)}, {action}, {', '.join(parents)}"


def _action(reader: Reader, pair: Pair, absent: str) -> str:
	"""What happened to a row of the live database; docstatus 1 is submitted, 2 cancelled."""
	status = ""
	if "docstatus" in pair.live.columns and "docstatus" in pair.kept.columns:
		status = (
			"WHEN live.docstatus = 1 AND kept.docstatus = 0 THEN 'submitted' "
			"WHEN live.docstatus = 2 AND kept.docstatus <> 2 THEN 'cancelled' "
		)
	return f"CASE WHEN {absent} THEN 'created' {status}ELSE 'changed' END"


def _finds(reader: Reader, inner: str, inner_table: Table, outer: str, outer_table: Table) -> str:
	return " AND ".join(
		reader.finds(inner, outer, inner_table.columns[name], outer_table.columns[name])
		for name in inner_table.key
	)


def _shared(pair: Pair) -> list[Column]:
	"""The columns that both sides have, as the backup has them, without those that nobody writes."""
	tables = [table for _, table, _ in pair.sides]
	unread = unread_columns(pair.name)
	return [
		column
		for column in tables[0].columns.values()
		if column.name not in unread and all(column.name in table.columns for table in tables)
	]
