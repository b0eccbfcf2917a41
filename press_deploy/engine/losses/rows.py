"""The rows of documents that differ, with their child rows, as plain data.

Invariant: a row of a deleted document comes from the backup, every other one from the live database, and
none brings the value of a column that usually holds a secret.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from press_deploy.engine.inputs import is_secret_name
from press_deploy.engine.losses.comparison import PREFIX, SINGLES, Comparison
from press_deploy.engine.losses.noise import NOISE
from press_deploy.engine.losses.queries import PARENT
from press_deploy.engine.losses.reader import Table

# So few that they fit into memory with all their child rows, whatever users wrote into them.
DOCUMENTS_AT_ONCE = 50
# Where Frappe says which tables a DocType has: (table, column of the DocType).
TABLE_FIELDS = (("tabDocField", "parent"), ("tabCustom Field", "dt"))
NUMBERS = ("int", "bit", "dec", "float", "double", "real", "numeric", "bool", "date", "time", "year")


@dataclass(frozen=True)
class Document:
	"""One document: what happened to it, its row, and the rows of its tables by their DocType."""

	doctype: str
	name: str
	action: str
	row: dict[str, Any]
	children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Rows:
	"""Reads rows beside a comparison, on its reader; `left_out` collects “table.column” of secrets."""

	def __init__(self, comparison: Comparison):
		self._comparison, self._reader = comparison, comparison.reader
		self.left_out: set[str] = set()
		self._children = self._read_children()

	def columns(self, doctype: str) -> list[str]:
		"""The columns that the rows of a DocType may have, live ones first."""
		pair = self._comparison.pair(PREFIX + doctype)
		return list(
			dict.fromkeys(name for _, table, _ in reversed(pair.sides) for name in self._shown(table))
		)

	def documents(self, doctype: str, action: str) -> Iterator[Document]:
		"""The documents of a DocType that suffered one action, by name."""
		for names in self._comparison.differences.names(doctype, action):
			for start in range(0, len(names), DOCUMENTS_AT_ONCE):
				with self._reader.hold_lightly():
					yield from self._read(doctype, action, names[start : start + DOCUMENTS_AT_ONCE])

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
			columns = self._shown(table)
			listed = ", ".join(self._reader.quote(found) for found in columns)
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
				yield {key: as_plain(value) for key, value in zip(columns, row, strict=True)}

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
			if is_secret_name(str(name)):
				self.left_out.add(f"{doctype}.{name}")
			else:
				values[str(name)] = as_plain(value)
		return values

	def _shown(self, table: Table) -> list[str]:
		"""Its columns without those of secrets: text by their name. A number is none."""
		shown = []
		for column in table.columns.values():
			if is_secret_name(column.name) and not any(kind in column.kind for kind in NUMBERS):
				self.left_out.add(f"{table.name}.{column.name}")
			else:
				shown.append(column.name)
		return shown

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
		return {doctype: sorted(children) for doctype, children in found.items()} if known else None


def as_plain(value: Any) -> Any:
	"""A value as JSON can hold it without loss: decimals and times in words, bytes in hexadecimal."""
	if value is None or isinstance(value, str | int | bool):
		return value
	if isinstance(value, bytes | bytearray | memoryview):
		return bytes(value).hex()
	if isinstance(value, datetime.datetime):
		return value.isoformat(" ")
	if isinstance(value, float):
		return value if value - value == 0 else str(value)
	return str(value)
