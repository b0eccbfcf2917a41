"""Rows as plain data, without the values of secrets.

Invariant: no value of a column or setting that usually holds a secret is shown, and where one was there and
somebody may miss it, its place is kept.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

from press_deploy.engine.databases.losses.noise import is_replaced
from press_deploy.engine.databases.losses.reader import Column, Table

# Narrower than for configurations: what users wrote is in such columns as "secretary", "private_note" and "key".
_SECRET = re.compile(
	r"passw(or)?d|passphrase|(^|_)(pwd|secret|token|credentials?)($|_(key|hash|value)$)"
	r"|(^|_)(api|access|private|secret|encryption|signing|auth|license)_?key$",
	re.IGNORECASE,
)
NUMBERS = ("int", "bit", "dec", "float", "double", "real", "numeric", "bool", "date", "time", "year")


class Concealing:
	"""`left_out` collects what is in no export though it was listed: “table.column” of secrets, and other words."""

	def __init__(self) -> None:
		self.left_out: set[str] = set()

	def show(self, table: Table, values: Sequence[Any]) -> dict[str, Any]:
		"""A row, given the values of all its table's columns."""
		row = dict(zip(table.columns, values, strict=True))
		hidden = {column.name for column in table.columns.values() if is_hidden(column)}
		for name in hidden:
			if _holds_anything(row[name]) and not is_replaced(f"{table.name}.{name}", row):
				self.left_out.add(f"{table.name}.{name}")
		return {name: as_plain(value) for name, value in row.items() if name not in hidden}

	def show_setting(self, doctype: str, name: str, value: Any) -> dict[str, Any]:
		"""One setting as {name: value}; empty where it is a secret."""
		if not is_secret(name):
			return {name: as_plain(value)}
		if _holds_anything(value):
			self.left_out.add(f"{doctype}.{name}")
		return {}


def is_hidden(column: Column) -> bool:
	"""Whether a column usually holds a secret: text, by its name. A number is none."""
	return is_secret(column.name) and not any(kind in column.kind for kind in NUMBERS)


def is_secret(name: str) -> bool:
	"""Whether a column or setting of this name usually holds a secret."""
	return bool(_SECRET.search(name))


def as_plain(value: Any) -> Any:
	"""A value as JSON can hold it without loss: decimals and times in words, bytes in hexadecimal."""
	if value is None or isinstance(value, str | int | bool):
		return value
	if isinstance(value, bytes | bytearray | memoryview):
		return bytes(value).hex()
	if isinstance(value, datetime.datetime):
		return value.isoformat(" ")
	if isinstance(value, datetime.timedelta):
		return _as_time(value)
	if isinstance(value, float):
		return value if value - value == 0 else str(value)
	return str(value)


def _holds_anything(value: Any) -> bool:
	# Frappe writes an asterisk for each character of a password that is elsewhere.
	return value is not None and bool(value.strip("*") if isinstance(value, str) else value)


def _as_time(value: datetime.timedelta) -> str:
	"""As a database writes the type TIME: -838:59:59.000001."""
	seconds, fraction = divmod(abs(value), datetime.timedelta(seconds=1))
	words = f"{'-' if value.days < 0 else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
	return f"{words}.{fraction.microseconds:06}" if fraction else words
