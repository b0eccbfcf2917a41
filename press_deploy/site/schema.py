"""Migration of a site by Frappe's own `SiteMigration`, in-process."""

from __future__ import annotations

import traceback

import frappe
from frappe.migrate import SiteMigration

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.site.failures import describe, locate, place_of


def migrate() -> dict:
	"""Bring the schema of this site to the code on the bench. Its progress goes to standard output.

	`SiteMigration` opens and closes the connection itself; after it the site is not connected any more.
	Raises `StepFailed`, which names the app, what migrate was at, and the line that failed.
	"""
	site = frappe.local.site
	try:
		SiteMigration(skip_search_index=True).run(site)
	# A patch that calls `exit` has failed like any other; so has Frappe, where it won't begin.
	except (Exception, SystemExit) as error:
		# Only its message is passed on; the traceback is for the step's log.
		traceback.print_exc()
		raise StepFailed("Migrating", site, explain_failure(error)) from None
	return {}


def explain_failure(error: BaseException) -> str:
	"""In one line: the app, what migrate was at, the line, and the exception."""
	place, (work, app) = locate(error), find_work(error)
	if isinstance(error, SystemExit) and not work:
		return "Frappe would not begin: its cache (redis_cache in common_site_config.json) does not answer"
	app = app or (place.app if place else "")
	about = [f"app {app}" if app else "", work, str(place or "")]
	return f"{', '.join(filter(None, about))}: {describe(error)}".removeprefix(": ")


def find_work(error: BaseException) -> tuple[str, str]:
	"""What Frappe's migrate was at when it failed (a patch, a file that it synced, a hook), and of which app.

	Read from the variables of Frappe's own functions in the traceback; empty where they are called otherwise.
	"""
	for frame, _line in traceback.walk_tb(error.__traceback__):
		function, variables = frame.f_code.co_name, frame.f_locals
		if function == "execute_patch" and (patch := variables.get("patchmodule")):
			return f"patch {patch}", "" if patch.startswith("execute:") else patch.partition(".")[0]
		if function == "import_file_by_path" and (path := variables.get("path")):
			place = place_of(path)
			return f"syncing {place or path}", place.app if place else ""
		if function in ("pre_schema_updates", "post_schema_updates") and (hook := variables.get("fn")):
			return f"hook {hook}", str(hook).partition(".")[0]
	return "", ""
