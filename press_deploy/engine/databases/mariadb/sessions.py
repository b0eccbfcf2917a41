"""Frappe's own connection to a database on MariaDB."""

from __future__ import annotations

from typing import Any

# Where something was written before.
BEGIN_COMMITS = True


def list_relations(session: Any) -> dict[str, str]:
	words = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}
	return {name: words.get(kind, kind) for name, kind in session.sql("SHOW FULL TABLES")}


def forbid_changes(session: Any) -> None:
	session.sql("SET SESSION TRANSACTION READ ONLY")
	# It holds from the next transaction on, and Frappe always has one open.
	session.rollback()


def stay_in_transaction(session: Any, execute: Any) -> None:
	"""Frappe's connections don't commit by themselves."""
