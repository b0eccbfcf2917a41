"""One pass over every table of two databases.

Invariant: each table is compared, counted as noise, or our own; child rows count with the document that
they belong to, and as rows of their table where there is no such document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from press_deploy.engine.databases.losses.added_columns import find_filled
from press_deploy.engine.databases.losses.content import Content
from press_deploy.engine.databases.losses.differences import Differences
from press_deploy.engine.databases.losses.model import ACTIONS, NAMES_KEPT, Losses, Named
from press_deploy.engine.databases.losses.noise import NOISE, NOT_DOCTYPES, OWN_DOCTYPES
from press_deploy.engine.databases.losses.queries import (
	Difference,
	Pair,
	count_rows,
	find_differences,
	find_keyless,
	has_one_key,
)
from press_deploy.engine.databases.losses.reader import Reader, Table
from press_deploy.engine.ground.errors import StepFailed

CHUNK = 5000
SINGLES = "tabSingles"
PREFIX = "tab"


class Comparison:
	"""What differs between `before` (the backup) and `after` (live): every name, not only the first."""

	def __init__(self, reader: Reader, before: str, after: str):
		self.reader, self.before, self.after = reader, before, after
		self.kept, self.live = _read_tables(reader, before), _read_tables(reader, after)
		self.differences = Differences()
		self.content = Content()
		self.singles: set[str] = set()
		self.other_tables: dict[str, int] = {}
		# How a table is looked through that may be among the others: by its key, or without one; and which of
		# its columns hold one value in so many rows.
		self.keyed: list[str] = []
		self.keyless: list[str] = []
		self.filled: dict[str, dict[str, int]] = {}
		self.noise: dict[str, tuple[int, int]] = {}
		for name in sorted(self.kept.keys() | self.live.keys()):
			with reader.hold_lightly():
				self._compare(self.pair(name))
		for doctype in self.differences.touched_doctypes():
			with reader.hold_lightly():
				self._change_parents(doctype)

	def pair(self, table: str) -> Pair:
		"""One table on both sides."""
		return Pair(
			table,
			self.kept.get(table),
			self.live.get(table),
			self.reader.place(self.before, table),
			self.reader.place(self.after, table),
		)

	def summarise(self) -> Losses:
		documents: dict[str, dict[str, Named]] = {}
		for doctype, action, count in self.differences.counts():
			names = self.differences.first_names(doctype, action, NAMES_KEPT)
			documents.setdefault(doctype, {})[action] = Named(count, tuple(names))
		return Losses(
			{
				doctype: {action: actions[action] for action in ACTIONS if action in actions}
				for doctype, actions in documents.items()
			},
			tuple(sorted(self.singles)),
			dict(sorted(self.other_tables.items())),
			dict(sorted(self.noise.items())),
			self.content.sha256(),
		)

	def _compare(self, pair: Pair) -> None:
		doctype = pair.name.removeprefix(PREFIX)
		rows = count_rows(self.reader, pair)
		if pair.name in NOISE:
			if rows[0] != rows[1]:
				self.noise[pair.name] = rows
		elif not any(rows) or (pair.name != doctype and doctype in OWN_DOCTYPES):
			return
		elif pair.name == SINGLES and all("doctype" in table.columns for _, table, _ in pair.sides):
			self.singles |= self._take_keyless(pair, "doctype").keys()
		elif pair.name != doctype and pair.name not in NOT_DOCTYPES and _has_names(pair):
			self._add_documents(doctype, pair, rows)
		elif has_one_key(pair):
			self.keyed.append(pair.name)
			self._count_others(pair.name, self._take_keyed(pair, rows))
		else:
			self.keyless.append(pair.name)
			self._count_others(pair.name, sum(self._take_keyless(pair).values()))

	def _take_keyed(self, pair: Pair, rows: tuple[int, int]) -> int:
		"""Take the rows that differ in a table with a key and without documents; return how many there are."""
		count = 0
		for row in find_differences(self.reader, pair, rows):
			self.content.add(pair, row[1], row[-1])
			count += 1
		return count

	def _take_keyless(self, pair: Pair, label: str = "") -> dict[str, int]:
		"""Take the rows that differ in a table without a key; return their number by the column `label`.

		A changed row is one row less and one row more, and counts once.
		"""
		more: Counter[str] = Counter()
		less: Counter[str] = Counter()
		for found, digest, side in find_keyless(self.reader, pair, label):
			if found not in OWN_DOCTYPES:
				self.content.add(pair, str(side), digest)
				(more if side > 0 else less)[found] += abs(side)
		return {found: max(more[found], less[found]) for found in sorted({*more, *less})}

	def _take_filled(self, pair: Pair) -> list[str]:
		"""Take the columns that hold one value in all rows, as rows of their table; return their names."""
		filled = find_filled(self.reader, pair)
		for column, (rows, digest) in filled.items():
			self.content.add(pair, "filled", column, rows, digest)
		self.filled[pair.name] = {column: rows for column, (rows, _) in filled.items()}
		self._count_others(pair.name, max(self.filled[pair.name].values(), default=0))
		return list(filled)

	def _add_documents(self, doctype: str, pair: Pair, rows: tuple[int, int]) -> None:
		found = find_differences(self.reader, pair, rows, self._take_filled(pair))
		while chunk := list(islice(found, CHUNK)):
			for row in chunk:
				parents = list(filter(None, parents_of(row)))
				if not parents or any(_is_listed(str(parenttype)) for parenttype, _ in parents):
					self.content.add(pair, row[1], row[-1])
			self.differences.add((doctype, str(row[0]), row[1]) for row in chunk if not any(parents_of(row)))
			self.differences.touch(
				(str(parent[0]), str(parent[1]), pair.name)
				for row in chunk
				for parent in set(filter(None, parents_of(row)))
			)

	def _change_parents(self, doctype: str) -> None:
		"""A document is changed when a row of its tables is; it may have been created or deleted with it."""
		if not _is_listed(doctype):
			return
		for batch in self.differences.touched_names(doctype):
			found = self.find_documents(doctype, batch)
			self.differences.add((doctype, name, "changed") for name in sorted(found.values()))
			if doctype in batch and doctype not in found:
				# The document of a DocType with settings has the DocType's name, and no table.
				self.singles.add(doctype)
			missing = [name for name in batch if name not in found and name != doctype]
			if missing:
				for table, rows in self.differences.orphan(doctype, missing):
					self._count_others(table, rows)

	def find_documents(self, doctype: str, names: list[str]) -> dict[str, str]:
		"""The names of those documents that are there, live or in the backup, by how they were asked for."""
		pair = self.pair(PREFIX + doctype)
		if not pair.sides or not _has_names(pair):
			return {}
		wanted = ", ".join(self.reader.literal(name) for name in names)
		real = self._ask(pair, lambda place: [f"SELECT name, name FROM {place} WHERE name IN ({wanted})"])
		found = {name: name for name in names if name in real}
		# The database may find a document by a name in other letters or accents, as Frappe does. Only the
		# database knows which are the same to it.
		others = [self.reader.literal(name) for name in names if name not in real]
		return found | self._ask(
			pair, lambda place: [f"SELECT {name}, name FROM {place} WHERE name = {name}" for name in others]
		)

	def _ask(self, pair: Pair, build: Callable[[str], list[str]]) -> dict[str, str]:
		"""The pairs that some statements give on either side; the live side wins."""
		answers: dict[str, str] = {}
		for _, _, place in pair.sides:
			if statements := build(place):
				rows = self.reader.stream(" UNION ALL ".join(statements))
				answers |= {str(asked): str(name) for asked, name in rows}
		return answers

	def _count_others(self, table: str, rows: int) -> None:
		if rows:
			self.other_tables[table] = self.other_tables.get(table, 0) + rows


def _read_tables(reader: Reader, database: str) -> dict[str, Table]:
	with reader.hold_lightly():
		tables = reader.tables(database)
	if not tables:
		# Against nothing, everything would look as if it had been created since.
		raise StepFailed(
			"Comparing",
			database,
			"it holds no tables, or there is no such database",
			"see which databases there are: press-deploy standby, and SHOW DATABASES",
		)
	return tables


def _has_names(pair: Pair) -> bool:
	return all(table.key == ("name",) for _, table, _ in pair.sides)


def _is_listed(doctype: str) -> bool:
	return doctype not in OWN_DOCTYPES and PREFIX + doctype not in NOISE


def parents_of(row: Difference) -> Iterator[tuple | None]:
	"""The document that a row belongs to, live and in the backup; None where it belongs to none."""
	for parenttype, parent in (row[2:4], row[4:6]):
		yield (parenttype, parent) if parenttype and parent else None
