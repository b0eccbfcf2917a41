"""The tables of the site's own database, asked of the database and not of a cache.

Frappe 15's `get_tables` also lists those of the server's `information_schema`.
"""

from __future__ import annotations

import frappe

from press_deploy.site.engine import site_engine


def list_relations() -> dict[str, str]:
	"""Return {name: kind}; the kind in the word that SQL has for it: TABLE, VIEW or SEQUENCE."""
	return site_engine().sessions.list_relations(frappe.db)


def list_tables() -> list[str]:
	return sorted(name for name, kind in list_relations().items() if kind == "TABLE")
