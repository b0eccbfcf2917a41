"""The rows of documents that differ, with their child rows, as plain data.

Invariant: a row of a deleted document comes from the backup, every other one from the live database, and
what is not read in full is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from press_deploy.engine.databases.losses.comparison import PREFIX, SINGLES, Comparison
from press_deploy.engine.databases.losses.concealing import Concealing, is_hidden
from press_deploy.engine.databases.losses.noise import NOISE
from press_deploy.engine.databases.losses.queries import PARENT

# So few that they fit into memory with all their child rows, whatever users wrote into them.
DOCUMENTS_AT_ONCE = 50
# Where Frappe says which tables a DocType has: (table, column of the DocType).
TABLE_FIELDS = (("tabDocField", "parent"), ("tabCustom Field", "dt"))


@dataclass(frozen=True)
class Document:
	"""One document: what happened to it, its row, and the rows of its tables by their DocType."""

	doctype: str
	name: str
	action: str
	row: dict[str, Any]
	children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Rows:
	"""Reads rows beside a comparison, on its reader."""

	def __init__(self, comparison: Comparison, concealing: Concealing):
		self._comparison, self._reader, self._concealing = comparison, comparison.reader, concealing
		self._children = self._read_children()

	def columns(self, doctype: str) -> list[str]:
		"""The columns that the rows of a DocType may have, live ones first."""
		pair = self._comparison.pair(PREFIX + doctype)
		return list(
			dict.fromkeys(
				column.name
				for _, table, _ in reversed(pair.sides)
				for column in table.columns.values()
				if not is_hidden(column)
			)
		)

	def documents(self, doctype: str, action: str) -> Iterator[Document]:
		"""The documents of a DocType that suffered one action, by name."""
		listed = found = 0
		for names in self._comparison.differences.names(doctype, action):
			listed += len(names)
			for start in range(0, len(names), DOCUMENTS_AT_ONCE):
				with self._reader.hold_lightly():
					for document in self._read(doctype, action, names[start : start + DOCUMENTS_AT_ONCE]):
						found += 1
						yield document
		if found != listed:
			# Their name is NULL, or bytes that are no text: nobody can ask for them by it.
			self._concealing.left_out.add(f"{PREFIX}{doctype}: {listed - found:,} of {listed:,} {action}")

	def single(self, doctype: str) -> Document:
		"""The settings of one DocType as they are in the live database."""
		with self._reader.hold_lightly():
			values = self._read_single(doctype)
			children = self._read_child_rows(doctype, [doctype], deleted=False).get(doctype, {})
		return Document(doctype, doctype, "changed", values, children)

	def _read(self, doctype: str, action: str, names: list[str]) -> Iterator[Document]:
		deleted = action == "deleted"
		rows = {str(row["name"]): row for row in self._select(PREFIX + doctype, deleted, "name", names)}
		children = self._read_child_rows(doctype, names, deleted)
		for name in names:
			if name in rows:
				yield Document(doctype, name, action, rows[name], children.get(name, {}))

	def _read_child_rows(self, doctype: str, names: list[str], deleted: bool) -> dict[str, dict[str, list]]:
		"""By parent and DocType of the child, in their order."""
		found: dict[str, dict[str, list]] = {}
		for child in self._children_of(doctype):
			rows = list(self._select(PREFIX + child, deleted, "parent", names, parenttype=doctype))
			# The database finds rows by a parent's name in other letters, too, as Frappe does.
			others = sorted({str(row["parent"]) for row in rows} - set(names))
			real = self._comparison.find_documents(doctype, others) if others else {}
			for row in rows:
				parent = real.get(str(row["parent"]), str(row["parent"]))
				found.setdefault(parent, {}).setdefault(child, []).append(row)
		return found

	def _select(
		self, name: str, deleted: bool, column: str, values: list[str], parenttype: str | None = None
	) -> Iterator[dict[str, Any]]:
		pair = self._comparison.pair(name)
		side = "kept" if deleted else "live"
		for alias, table, place in pair.sides:
			if alias != side or (parenttype is not None and not set(PARENT) <= set(table.columns)):
				continue
			listed = ", ".join(self._reader.quote(found) for found in table.columns)
			wanted = ", ".join(self._reader.literal(value) for value in values)
			statement = f"SELECT {listed} FROM {place} WHERE {self._reader.quote(column)} IN ({wanted})"
			if parenttype is not None:
				order = ", ".join(
					self._reader.quote(name)
					for name in ("parent", "idx", *table.key)
					if name in table.columns
				)
				statement += f" AND parenttype = {self._reader.literal(parenttype)} ORDER BY {order}"
			for row in list(self._reader.stream(statement)):
				yield self._concealing.show(table, row)

	def _read_single(self, doctype: str) -> dict[str, Any]:
		pair = self._comparison.pair(SINGLES)
		if pair.live is None:
			return {}
		statement = (
			f"SELECT field, value FROM {pair.live_place} WHERE doctype = {self._reader.literal(doctype)} "
			"ORDER BY field, value"
		)
		values = {}
		for name, value in self._reader.stream(statement):
			values |= self._concealing.show_setting(doctype, str(name), value)
		return values

	def _children_of(self, doctype: str) -> list[str]:
		if self._children is not None:
			return self._children.get(doctype, [])
		# A database without Frappe's own tables says nothing about it: any may belong to any.
		return [
			name.removeprefix(PREFIX)
			for name in sorted(self._comparison.kept.keys() | self._comparison.live.keys())
			if name.startswith(PREFIX) and name not in NOISE
		]

	def _read_children(self) -> dict[str, list[str]] | None:
		found: dict[str, set[str]] = {}
		known = False
		for name, column in TABLE_FIELDS:
			for _, table, place in self._comparison.pair(name).sides:
				if not {column, "fieldtype", "options"} <= set(table.columns):
					continue
				known = True
				for doctype, child in self._reader.stream(
					f"SELECT DISTINCT {column}, options FROM {place} "
					"WHERE fieldtype IN ('Table', 'Table MultiSelect') AND options IS NOT NULL"
				):
					found.setdefault(str(doctype), set()).add(str(child))
		# Whatever Frappe says, rows of these are what a document is listed for.
		differences = self._comparison.differences
		for doctype in differences.touched_doctypes():
			touched = differences.touched_sources(doctype)
			found.setdefault(doctype, set()).update(table.removeprefix(PREFIX) for table in touched)
		return {doctype: sorted(children) for doctype, children in found.items()} if known else None
