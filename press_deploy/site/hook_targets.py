"""The dotted paths in an app's hooks, and whether they lead anywhere.

Invariant: what is no path to code (names of assets, addresses, DocTypes, templates) is never taken for one.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
# Keyed by DocType: what stands under one that is not there is never called.
_BY_DOCTYPE = {
	*("doc_events", "override_doctype_class", "extend_doctype_class", "override_doctype_dashboards"),
	*("permission_query_conditions", "has_permission", "has_website_permission", "standard_queries"),
}
# Hooks whose values are paths to code, as Frappe 15 and 16 read them.
_PATHS_TO_CODE = {
	*_BY_DOCTYPE,
	*("scheduler_events", "override_whitelisted_methods", "jinja", "jenv", "auth_hooks", "boot_session"),
	*("before_install", "after_install", "before_uninstall", "after_uninstall", "after_sync", "before_tests"),
	*("before_app_install", "after_app_install", "before_app_uninstall", "after_app_uninstall"),
	*("before_migrate", "after_migrate", "before_request", "after_request", "before_job", "after_job"),
	*("extend_bootinfo", "on_session_creation", "on_login", "on_logout", "notification_config"),
	*("update_website_context", "get_website_user_home_page", "website_path_resolver", "page_renderer"),
	*("get_web_pages_with_dynamic_routes", "website_clear_cache", "clear_cache", "get_site_info"),
	*("setup_wizard_stages", "setup_wizard_complete", "setup_wizard_success", "setup_wizard_exception"),
	*("pdf_header_html", "pdf_body_html", "pdf_footer_html", "pdf_generator", "get_print_format_template"),
	*("make_email_body_message", "welcome_email", "default_mail_footer", "get_changelog_feed"),
	*("has_upload_permission", "write_file", "before_write_file", "delete_file_data_content"),
	*("filters_config", "additional_timeline_content", "naming_series_variables", "leaderboards"),
}
_NO_CODE = {"fixtures", "doctype_js", "doctype_list_js", "doctype_tree_js", "page_js"}
_FILE_ENDINGS = (".js", ".css", ".scss", ".html", ".json", ".svg", ".png", ".md", ".txt")


@dataclass(frozen=True)
class Target:
	"""A path in the hook of this name. Where it is not `required`, it may be something else than a path."""

	hook: str
	path: str
	required: bool


def find_targets(hooks: dict[str, Any], doctypes: Collection[str], apps: Collection[str]) -> Iterator[Target]:
	"""The paths in the variables of a hooks module, each once. `doctypes` are those there are."""
	seen = set()
	for hook, value in hooks.items():
		if hook.startswith("_") or hook in _NO_CODE:
			continue
		required = hook in _PATHS_TO_CODE
		for path in _find_paths(value, doctypes if hook in _BY_DOCTYPE else None):
			# What some hook that we don't know says is looked at where it names an app of this bench.
			if path not in seen and (required or path.partition(".")[0] in apps):
				seen.add(path)
				yield Target(hook, path, required)


def resolve(target: Target) -> Any:
	"""What a path leads to, imported. Raises what its import raises; and where the target is required, that it leads
	nowhere."""
	parts, missing = target.path.split("."), None
	for size in range(len(parts), 0, -1):
		name = ".".join(parts[:size])
		try:
			found = importlib.import_module(name)
		except ModuleNotFoundError as error:
			if not _is_itself_missing(name, error):
				raise
			missing = missing or error
			continue
		try:
			return reduce(getattr, parts[size:], found)
		except AttributeError as error:
			# One name too many is an attribute, several are a module.
			missing = error if len(parts) - size == 1 else missing or error
			break
	if target.required and missing:
		raise missing.with_traceback(None)
	return None


def _is_itself_missing(name: str, error: ModuleNotFoundError) -> bool:
	"""Whether there is no such module, as opposed to one that misses another."""
	return bool(error.name) and f"{name}.".startswith(f"{error.name}.")


def _find_paths(value: Any, doctypes: Collection[str] | None) -> Iterator[str]:
	"""Every path in a value, however it is nested; with `doctypes`, of those keys alone."""
	if isinstance(value, str):
		# In the oldest form a name for templates stands before the path.
		text = value.rpartition(":")[2].strip()
		if _PATH.fullmatch(text) and not text.endswith(_FILE_ENDINGS):
			yield text
	elif isinstance(value, dict):
		for key, each in value.items():
			names = key if isinstance(key, tuple) else (key,)
			if doctypes is None or any(name in doctypes for name in names):
				yield from _find_paths(each, None)
	elif isinstance(value, list | tuple | set | frozenset):
		for each in value:
			yield from _find_paths(each, doctypes)
