"""What a switch must clear is cleared, also where another app tells Frappe to keep it."""

from __future__ import annotations

KEEP_ALL = """
from unittest import mock
from press_deploy.site import caches

KEPT = ["app_hooks", "defaults", "doctype_meta", "installed_app_modules", "module_app", "table_columns"]
hooks = frappe.get_hooks
def keep(name=None, *arguments, **options):
	found = hooks(name, *arguments, **options)
	return [*found, *KEPT] if name == "persistent_cache_keys" else found
"""


def test_hooks_and_modules_are_forgotten_although_an_app_wants_them_kept(site):
	code = f"""{KEEP_ALL}
frappe.cache.set_value("app_hooks", {{**frappe.get_hooks(), "marked": ["by this test"]}})
frappe.cache.set_value("installed_app_modules", {{"marked": ["marked"]}})
frappe.cache.set_value("defaults::__global", {{**frappe.defaults.get_defaults_for("__global"), "marked": "1"}})
with mock.patch.object(frappe, "get_hooks", keep):
	frappe.clear_cache()
	kept = [frappe.cache.get_value(key, expires=True) for key in ("app_hooks", "defaults::__global")]
	caches.clear_cache()
found = [
	frappe.cache.get_value(key, expires=True) or {{}}
	for key in ("app_hooks", "installed_app_modules", "defaults::__global")
]
result = [["marked" in (each or {{}}) for each in kept], ["marked" in each for each in found]]
"""
	kept, left = site.execute(code)
	assert kept == [True, True], "nothing was kept, so that this shows nothing"
	assert left == [False, False, False]


def test_scripts_of_forms_and_translations_are_forgotten_although_an_app_wants_them_kept(site):
	"""Frappe 16 has the scripts of each form under a key of their own, and clears them only with everything else."""
	code = f"""{KEEP_ALL}
KEPT += [*caches.DERIVED_KEYS]
keys = ["doctype_form_meta::Marked", "merged_translations", "website_route_rules", "website_page"]
for key in keys:
	frappe.cache.set_value(key, "marked")
marked = lambda: [frappe.cache.get_value(key, expires=True) for key in keys]
with mock.patch.object(frappe, "get_hooks", keep):
	frappe.clear_cache()
	kept = marked()
	caches.clear_cache()
result = [kept, marked()]
"""
	kept, left = site.execute(code)
	assert kept[0] == kept[1] == "marked", "nothing was kept, so that this shows nothing"
	assert left == [None] * 4
