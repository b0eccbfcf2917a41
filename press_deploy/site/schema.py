"""Migration of a site by Frappe's own `SiteMigration`, in-process."""

from __future__ import annotations

import frappe
from frappe.migrate import SiteMigration


def migrate() -> dict:
	"""Bring the schema of this site to the code on the bench. Its progress goes to standard output.

	`SiteMigration` opens and closes the connection itself; after it the site is not connected any more.
	"""
	SiteMigration(skip_search_index=True).run(frappe.local.site)
	return {}
