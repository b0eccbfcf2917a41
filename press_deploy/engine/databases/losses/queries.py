"""The statements that compare one table in two databases.

Invariant: every row that differs in a compared column comes up, and rows whose keys are the same to the
byte come up once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from press_deploy.engine.databases.losses.noise import unread_columns
from press_deploy.engine.databases.losses.reader import Column, Reader, Table

PARENT = ("parenttype", "parent")
# Key, action, then the parent in the live database and the one in the backup, and the row's digest. Where
# whole rows were asked for, all values follow: the backup's of a deleted row, the live ones of any other.
Difference = tuple[Any, ...]
# In a digest: the value that a row has in a column that its side lacks, and one that is the default.
DEFAULT = "'DEFAULT'"
CREATED = "'created'"


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


def find_differences(
	reader: Reader,
	pair: Pair,
	rows: tuple[int, int],
	passed_over: Collection[str] = (),
	*,
	whole: bool = False,
) -> Iterator[Difference]:
	"""Rows that differ, in a table with a primary key; `rows` as `count_rows` tells them.

	First created and changed ones by their key, then deleted ones. `passed_over` are those added columns
	(`added_columns`) in which a value makes no row a changed one.
	"""
	kept_rows, live_rows = rows
	created = 0
	if pair.live and live_rows:
		for row in reader.stream(_compare_live(reader, pair, passed_over, whole)):
			created += row[1] == "created"
			yield row
	# Whatever was neither created nor found in the backup is missing there: no need to look without reason.
	if pair.kept and kept_rows > live_rows - created:
		yield from reader.stream(_compare_kept(reader, pair, whole))


def find_keyless(reader: Reader, pair: Pair, label: str = "") -> Iterator[tuple[str, object, int]]:
	"""(value of the column `label`, digest, live rows more than in the backup) of rows that differ.

	For tables without a common key: a row is known by all that stands in it.
	"""
	for found, digest, more in reader.stream(_compare_keyless(reader, pair, label)):
		yield str(found), digest, int(more)


def find_keyless_rows(reader: Reader, pair: Pair) -> Iterator[tuple[str, Table, tuple]]:
	"""(action, table, values of all its columns) of the rows that `find_keyless` counts, one side after the other."""
	for alias, table, place in reversed(pair.sides):
		statement = (
			f"SELECT both_sides.digest, both_sides.more, {_list_columns(reader, alias, table)} "
			f"FROM {place} AS {alias} JOIN ({_compare_keyless(reader, pair)}) AS both_sides "
			f"ON both_sides.digest = {_digest_keyless(reader, pair, alias)} ORDER BY both_sides.digest"
		)
		for (_, more), alike in groupby(reader.stream(statement), key=lambda row: row[:2]):
			surplus = -more if alias == "kept" else more
			for row in islice(alike, max(int(surplus), 0)):
				yield "deleted" if alias == "kept" else "created", table, row[2:]


def shared_columns(pair: Pair) -> list[Column]:
	"""The columns that both sides have, as the backup has them, without those that nobody writes."""
	written = _written_columns(pair.name, pair.live or pair.kept)
	return [column for name, column in (pair.kept or pair.live).columns.items() if name in written]


def added_columns(pair: Pair) -> list[Column]:
	"""The columns that only the live side has, where both are there, without those that nobody writes."""
	if pair.kept is None or pair.live is None:
		return []
	written = _written_columns(pair.name, pair.live)
	return [column for name, column in written.items() if name not in pair.kept.columns]


def join_kept(reader: Reader, pair: Pair, join: str) -> str:
	"""The live rows, each with the one of the same key in the backup; `join` is JOIN or LEFT JOIN."""
	return (
		f"FROM {pair.live_place} AS live {reader.by_key()} "
		f"{join} {pair.kept_place} AS kept {reader.by_key()} "
		f"ON {_finds(reader, 'kept', pair.kept, 'live', pair.live)}"
	)


def _compare_keyless(reader: Reader, pair: Pair, label: str = "") -> str:
	group = reader.quote(label) if label else "''"
	halves = [
		f"SELECT {group} AS label, {_digest_keyless(reader, pair, alias)} AS digest, "
		f"{-1 if alias == 'kept' else 1} AS side FROM {place} AS {alias}"
		for alias, _, place in pair.sides
	]
	return (
		f"SELECT MIN(label), digest, SUM(side) AS more FROM ({' UNION ALL '.join(halves)}) AS both_sides "
		"GROUP BY digest HAVING SUM(side) <> 0 OR digest IS NULL"
	)


def _compare_live(reader: Reader, pair: Pair, passed_over: Collection[str] = (), whole: bool = False) -> str:
	if pair.kept is None:
		return f"{_select(reader, pair, 'live', CREATED, whole)} FROM {pair.live_place} AS live"
	absent = f"kept.{reader.quote(pair.kept.key[0])} IS NULL"
	same = ["TRUE"]
	same += [
		reader.equals("live", "kept", pair.live.columns[column.name], column)
		for column in shared_columns(pair)
	]
	same += [
		reader.has_default("live", column) for column in added_columns(pair) if column.name not in passed_over
	]
	return (
		f"{_select(reader, pair, 'live', _action(reader, pair, absent), whole)} "
		f"{join_kept(reader, pair, 'LEFT JOIN')} "
		f"WHERE {absent} OR NOT ({' AND '.join(same)})"
	)


def _compare_kept(reader: Reader, pair: Pair, whole: bool = False) -> str:
	select = _select(reader, pair, "kept", "'deleted'", whole)
	if pair.live is None:
		return f"{select} FROM {pair.kept_place} AS kept"
	return (
		f"{select} FROM {pair.kept_place} AS kept {reader.by_key()} "
		f"LEFT JOIN {pair.live_place} AS live {reader.by_key()} ON {_finds(reader, 'live', pair.live, 'kept', pair.kept)} "
		f"WHERE live.{reader.quote(pair.live.key[0])} IS NULL"
	)


def _select(reader: Reader, pair: Pair, side: str, action: str, whole: bool) -> str:
	"""The columns of a `Difference`; what can't be joined, or isn't there, is NULL."""
	sides = {alias: table for alias, table, _ in pair.sides}
	key = sides[side].key[0]
	columns = _written_columns(pair.name, sides[side]).values()
	digest = reader.digest([reader.token(side, column) for column in columns] or [DEFAULT])
	parents = [
		f"{alias}.{reader.quote(column)}"
		if alias in sides and set(PARENT) <= set(sides[alias].columns)
		else "NULL"
		for alias in ("live", "kept")
		for column in PARENT
	]
	values = f", {_list_columns(reader, side, sides[side])}" if whole else ""
	return f"SELECT {side}.{reader.quote(key)}, {action}, {', '.join(parents)}, {digest}{values}"


def _list_columns(reader: Reader, alias: str, table: Table) -> str:
	return ", ".join(f"{alias}.{reader.quote(name)}" for name in table.columns)


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


def _digest_keyless(reader: Reader, pair: Pair, alias: str) -> str:
	table = pair.kept if alias == "kept" else pair.live
	tokens = [reader.token(alias, table.columns[column.name]) for column in shared_columns(pair)]
	for column in added_columns(pair):
		written = f"CASE WHEN {reader.has_default('live', column)} THEN {DEFAULT} ELSE {reader.token('live', column)} END"
		tokens.append(written if alias == "live" else DEFAULT)
	# Where nothing can be compared, only the number of rows tells.
	return reader.digest(tokens or [DEFAULT])


def _written_columns(name: str, table: Table) -> dict[str, Column]:
	"""Those that somebody writes and misses: neither computed from others, nor written by a mere look."""
	unread = unread_columns(name)
	return {
		column.name: column
		for column in table.columns.values()
		if column.name not in unread and not column.generated
	}
