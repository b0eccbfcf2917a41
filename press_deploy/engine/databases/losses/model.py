"""What would be lost, as people are shown it and as an approval stores it.

Invariant: equal losses have equal bytes and equal hashes; the hash is over what the person is shown and
over the content of the rows behind it, and over nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import InputError, show

SCHEMA_VERSION = 2
NAMES_KEPT = 50
DESCRIBED_DOCTYPES = 5
ACTIONS = ("created", "changed", "submitted", "cancelled", "deleted")


@dataclass(frozen=True)
class Named:
	"""How many documents, and the names of the first of them in order."""

	count: int
	names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Losses:
	"""Differences between a backup (before) and the live database (after).

	`documents`: DocType → action → names; `singles`: DocTypes whose settings changed; `other_tables`: rows
	that differ in tables which hold no documents, or that can't be told of one document alone; `noise`: rows
	before and after in tables whose content nobody enters again, which are not part of what is approved;
	`content`: a digest of all rows that differ (`content.py`), empty where none does.
	"""

	documents: dict[str, dict[str, Named]] = field(default_factory=dict)
	singles: tuple[str, ...] = ()
	other_tables: dict[str, int] = field(default_factory=dict)
	noise: dict[str, tuple[int, int]] = field(default_factory=dict)
	content: str = ""

	@property
	def total(self) -> int:
		"""Documents, settings and rows of other tables together."""
		named = sum(named.count for actions in self.documents.values() for named in actions.values())
		return named + len(self.singles) + sum(self.other_tables.values())

	@property
	def is_empty(self) -> bool:
		return self.total == 0

	@property
	def shown(self) -> dict[str, Any]:
		"""What a person approves, as plain JSON data: what is shown, and the digest of what can't be."""
		return {
			"schema_version": SCHEMA_VERSION,
			"documents": {
				doctype: {
					action: {"count": named.count, "names": list(named.names)}
					for action, named in actions.items()
				}
				for doctype, actions in self.documents.items()
			},
			"singles": list(self.singles),
			"other_tables": dict(self.other_tables),
			"content": self.content,
		}

	@property
	def sha256(self) -> str:
		return hashlib.sha256(canonical_json(self.shown).encode()).hexdigest()

	def as_data(self) -> dict[str, Any]:
		"""All of it as plain JSON data; `from_data` reads it."""
		return {**self.shown, "noise": {table: list(rows) for table, rows in self.noise.items()}}

	@classmethod
	def from_data(cls, data: Any) -> Losses:
		"""Read what `as_data` wrote. Raises `InputError`."""
		try:
			if data["schema_version"] != SCHEMA_VERSION:
				raise ValueError(f"its schema version is not {SCHEMA_VERSION}")
			losses = cls(
				{
					doctype: {
						action: Named(actions[action]["count"], tuple(actions[action]["names"]))
						for action in sorted(actions, key=ACTIONS.index)
					}
					for doctype, actions in sorted(data["documents"].items())
				},
				tuple(sorted(data["singles"])),
				dict(sorted(data["other_tables"].items())),
				{table: (rows[0], rows[1]) for table, rows in sorted(data["noise"].items())},
				data["content"],
			)
			_check(losses)
		except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
			raise InputError(
				"losses", type(data).__name__, f"it is no list of losses ({error})", "compute it again"
			) from None
		return losses

	def describe(self) -> str:
		"""One line: “3 Sales Invoices created, 1 submitted; 2 Customers changed”."""
		parts = [
			_describe_doctype(doctype, self.documents[doctype])
			for doctype in list(self.documents)[:DESCRIBED_DOCTYPES]
		]
		if len(self.documents) > DESCRIBED_DOCTYPES:
			parts.append(f"documents of {len(self.documents) - DESCRIBED_DOCTYPES} more DocTypes")
		if self.singles:
			parts.append(f"settings changed in {_count(len(self.singles), 'DocType')}")
		if self.other_tables:
			rows, tables = sum(self.other_tables.values()), len(self.other_tables)
			parts.append(f"{_count(rows, 'row')} of {_count(tables, 'other table')}")
		return "; ".join(parts) or "nothing"

	def lines(self) -> list[str]:
		"""What is approved, for a terminal: one line for each DocType and action."""
		lines = [
			f"{_printable(doctype)}: {named.count:,} {action}: {_list_names(named)}"
			for doctype, actions in self.documents.items()
			for action, named in actions.items()
		]
		lines += [f"Settings changed: {_printable(doctype)}" for doctype in self.singles]
		return lines + [
			f"Table {_printable(table)}: {_count(rows, 'row')} different"
			for table, rows in self.other_tables.items()
		]

	def describe_noise(self) -> str:
		"""One line on what goes back as well and is not part of the approval; empty where nothing does."""
		rows = ", ".join(
			f"{_printable(table.removeprefix('tab'))} {after - before:+,}"
			for table, (before, after) in self.noise.items()
		)
		return f"Not listed, as no user's work (rows now, against the backup): {rows}" if rows else ""


def _check(losses: Losses) -> None:
	"""Types that JSON does not promise."""
	named = [named for actions in losses.documents.values() for named in actions.values()]
	numbers = [
		*(entry.count for entry in named),
		*losses.other_tables.values(),
		*(number for rows in losses.noise.values() for number in rows),
	]
	names = [name for entry in named for name in entry.names]
	texts = [*losses.documents, *losses.singles, *names, losses.content]
	if not all(type(number) is int and number >= 0 for number in numbers):
		raise ValueError("a count is no number")
	if not all(isinstance(text, str) for text in texts):
		raise ValueError("a name is no text")


def _describe_doctype(doctype: str, actions: dict[str, Named]) -> str:
	(action, first), *others = actions.items()
	beginning = f"{_count(first.count, _printable(doctype))} {action}"
	return ", ".join([beginning, *(f"{named.count:,} {action}" for action, named in others)])


def _list_names(named: Named) -> str:
	more = named.count - len(named.names)
	shown = ", ".join(_printable(name) for name in named.names)
	return f"{shown} and {more:,} more" if more else shown


def _count(number: int, noun: str) -> str:
	return f"{number:,} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
	if noun.endswith(("ss", "x", "ch", "sh")):
		return f"{noun}es"
	if noun.endswith("y") and noun[-2:-1].lower() not in set("aeiou"):
		return f"{noun[:-1]}ies"
	return noun if noun.endswith("s") else f"{noun}s"


def _printable(text: str) -> str:
	"""A name as it may stand on a terminal: nothing in it moves the cursor."""
	return text if text.isprintable() else show(text)
