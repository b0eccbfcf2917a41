"""The port: how two databases are read beside each other, whatever they are.

Invariant: a reader only reads, and all that it reads is of one moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
	"""A column: its name, its type's name in lower case, and for text the character set and collation.

	`default` is the constant that a row gets there unless somebody writes another value, as SQL; None where
	there is none, or it is computed. A `generated` column is computed from the others in its row.
	"""

	name: str
	kind: str
	charset: str | None = None
	collation: str | None = None
	default: str | None = None
	generated: bool = False


@dataclass(frozen=True)
class Table:
	"""A table of one database; `key` are the columns of its primary key, empty when it has none."""

	name: str
	columns: dict[str, Column] = field(hash=False)
	key: tuple[str, ...] = ()


class Reader(ABC):
	"""Both databases on one connection. Every method that asks raises `StepFailed`."""

	def __init__(self) -> None:
		# What was found between two databases holds as long as the moment that is read.
		self.found: dict[tuple[str, str], Any] = {}

	@abstractmethod
	def tables(self, database: str) -> dict[str, Table]:
		"""Every table that holds rows of its own, by name: no views, sequences or indexes."""

	@abstractmethod
	def stream(self, statement: str) -> Iterator[tuple]:
		"""The rows of one statement, as they come; they are read to the end before the next statement."""

	@abstractmethod
	def place(self, database: str, table: str) -> str:
		"""The table as it stands after FROM."""

	@abstractmethod
	def by_key(self) -> str:
		"""What stands after a table's alias so that it is read in the order of its primary key."""

	@abstractmethod
	def quote(self, name: str) -> str:
		"""A column's name as it stands in a statement."""

	@abstractmethod
	def literal(self, value: str) -> str:
		"""A text as it stands in a statement."""

	@abstractmethod
	def finds(self, inner: str, outer: str, inner_column: Column, outer_column: Column) -> str:
		"""That two keys are the same to the byte, so written that the inner table's index finds them."""

	@abstractmethod
	def equals(self, left: str, right: str, left_column: Column, right_column: Column) -> str:
		"""That two values are the same, NULL like any other; text to the byte. Never NULL itself."""

	@abstractmethod
	def has_default(self, alias: str, column: Column) -> str:
		"""That a value is its column's default, to the byte; false without a default. Never NULL itself."""

	@abstractmethod
	def token(self, alias: str, column: Column) -> str:
		"""What stands for one value in a digest: another for each value, NULL included, and never NULL or a word."""

	@abstractmethod
	def digest(self, tokens: list[str]) -> str:
		"""One value for some tokens, each from `token` or a word in capitals, in either database."""

	@abstractmethod
	def hold_lightly(self) -> AbstractContextManager[None]:
		"""What is read inside keeps nobody from altering the table afterwards."""

	def one(self, statement: str) -> tuple:
		"""The single row of a statement."""
		(row,) = self.stream(statement)
		return row
