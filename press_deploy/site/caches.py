"""Caches in Redis that would let old hooks, old modules or old assets go on living after a switch."""

from __future__ import annotations

import frappe
from frappe.website.utils import clear_website_cache


def clear_cache() -> dict:
	"""Forget everything that was derived from the code: hooks, module map, meta, website, asset names."""
	frappe.clear_cache()
	clear_website_cache()
	# Asset names are shared by the sites of the bench, and Frappe deletes only the site's own key.
	frappe.cache.delete_value("assets_json", shared=True)
	frappe.setup_module_map()
	return {}
