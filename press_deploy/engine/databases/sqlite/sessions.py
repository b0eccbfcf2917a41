"""Frappe's own connection to an SQLite file."""

from __future__ import annotations

from typing import Any

BEGIN_COMMITS = False


def list_relations(session: Any) -> dict[str, str]:
	query = "SELECT name, upper(type) FROM sqlite_master WHERE type IN ('table', 'view')"
	return dict(session.sql(query))


def forbid_changes(session: Any) -> None:
	session.rollback()
	session.sql("PRAGMA query_only = ON")


def stay_in_transaction(session: Any, execute: Any) -> None:
	# A new connection commits each statement by itself until somebody begins.
	if not session._conn:
		session.connect()
	if not session._conn.in_transaction:
		execute(session, "BEGIN")
