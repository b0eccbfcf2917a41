"""How a database that can't be looked into is told from one that says nothing."""

from __future__ import annotations

from collections.abc import Callable

# Executes one reading query with its values; raises `DatabaseUnavailable`.
Ask = Callable[..., list[tuple]]


class DatabaseUnavailable(Exception):
	"""The database can't be reached, or its kind is not known."""
