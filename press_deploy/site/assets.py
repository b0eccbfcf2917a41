"""Assets: what the browser loads, built by Frappe's own bundler."""

from __future__ import annotations

import frappe.commands  # noqa: F401  `bundle` uses it without importing it
from frappe.build import bundle

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import InputError


def build(apps: list[str]) -> dict:
	"""Build the production bundles of these apps. Progress goes to standard output."""
	for app in apps:
		try:
			inputs.app(app)
		except ValueError as error:
			why, _, remedy = str(error).partition("; ")
			raise InputError("apps", app, why, remedy) from None
	bundle("production", apps=",".join(apps))
	return {}
