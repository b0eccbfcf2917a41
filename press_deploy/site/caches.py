"""Caches in Redis that would let old hooks, old modules or old assets go on living after a switch."""

from __future__ import annotations

import frappe
from frappe.cache_manager import clear_defaults_cache, clear_global_cache, user_cache_keys
from frappe.website.utils import clear_website_cache

# Frappe's maps from modules to apps, and the lists of apps that they are made of.
MODULE_KEYS = (
	"all_apps",
	"installed_apps",
	"app_modules",
	"installed_app_modules",
	"module_app",
	"module_installed_app",
)


# What else is made of the apps' files: the scripts of forms, translations, routes and rendered pages.
DERIVED_KEYS = (
	"doctype_form_meta",
	"merged_translations",
	"doctypes_with_web_view",
	"website_route_rules",
	"website_page",
	"frappe.website.page_renderers",
)


def forget_modules() -> None:
	"""Let every process ask anew which modules there are: a new app, or a new module of one, is known at once."""
	for key in MODULE_KEYS:
		frappe.cache.delete_value(key)
		# Frappe 16 keeps some of them in each process as well.
		if hasattr(frappe, "client_cache"):
			frappe.client_cache.delete_value(key)
	# Which apps a site has is one of its defaults.
	clear_defaults_cache()
	frappe.setup_module_map()


def clear_cache() -> dict:
	"""Forget everything that was derived from the code: hooks, module map, meta, forms, website, asset names."""
	frappe.clear_cache()
	# Once more by name: an app may count Frappe's own keys among those that outlive a clearing, as Press does with
	# hooks, meta and defaults.
	frappe.cache.delete_value(user_cache_keys)
	clear_global_cache()
	clear_website_cache()
	for key in DERIVED_KEYS:
		frappe.cache.delete_keys(key)
	# Asset names are shared by the sites of the bench, and Frappe deletes only the site's own key.
	frappe.cache.delete_value("assets_json", shared=True)
	forget_modules()
	return {}
