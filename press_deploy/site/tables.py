"""The tables of the site's own database, asked of the database and not of a cache.

Frappe 15's `get_tables` also lists those of the server's `information_schema`.
"""

from __future__ import annotations

import frappe


def list_relations() -> dict[str, str]:
	"""Return {name: kind}; the kind in the word that SQL has for it: TABLE, VIEW or SEQUENCE."""
	if frappe.db.db_type == "sqlite":
		return dict(
			frappe.db.sql("SELECT name, upper(type) FROM sqlite_master WHERE type IN ('table', 'view')")
		)
	words = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}
	return {name: words.get(kind, kind) for name, kind in frappe.db.sql("SHOW FULL TABLES")}


def list_tables() -> list[str]:
	return sorted(name for name, kind in list_relations().items() if kind == "TABLE")
