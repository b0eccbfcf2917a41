"""Critical tests, before they run: is what the plan names there at all?

Invariant: nothing of the tests or of the app is imported, so asking has no effect.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import frappe
from frappe import scrub

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import InputError


def check_tests(app: str | None = None, module: str | None = None, doctype: str | None = None) -> dict:
	"""Return {"problem": None, or why these tests can't run on this site}. Exactly one target is given."""
	check_one_target(app, module, doctype)
	if doctype:
		return {"problem": _problem_of_doctype(doctype)}
	return {"problem": _problem_of_module(module) if module else _problem_of_app(app)}


def check_one_target(app: str | None, module: str | None, doctype: str | None) -> None:
	"""Raise `InputError` unless exactly one target is given, and is what it claims to be."""
	given = {"app": (app, inputs.app), "module": (module, inputs.module), "doctype": (doctype, inputs.line)}
	named = {field: value for field, (value, _check) in given.items() if value}
	if len(named) != 1:
		raise InputError(
			"target", list(named), "exactly one of app, module and doctype is needed", "give one"
		)
	field, value = next(iter(named.items()))
	try:
		given[field][1](value)
	except ValueError as error:
		why, _, remedy = str(error).partition("; ")
		raise InputError(field, value, why, remedy) from None


def _problem_of_app(app: str) -> str | None:
	directory = _directory_of(app)
	if isinstance(directory, str):
		return directory
	return None if any(directory.rglob("test_*.py")) else f"app {app} has no file test_*.py"


def _problem_of_module(module: str) -> str | None:
	app, *parts = module.split(".")
	directory = _directory_of(app)
	if isinstance(directory, str):
		return directory
	path = directory.joinpath(*parts)
	if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
		return None
	return f"module {module} is not on the bench: there is no {path.with_suffix('.py')}"


def _problem_of_doctype(doctype: str) -> str | None:
	module = frappe.db.get_value("DocType", doctype, "module")
	if not module:
		return f"DocType {doctype} does not exist on {frappe.local.site}"
	app, name = frappe.db.get_value("Module Def", module, "app_name"), scrub(doctype)
	return _problem_of_module(f"{app}.{scrub(module)}.doctype.{name}.test_{name}")


def _directory_of(app: str) -> Path | str:
	"""The directory of an installed app, or why there is none."""
	if app not in frappe.get_installed_apps():
		return f"app {app} is not installed on {frappe.local.site}"
	found = find_spec(app)
	if not found or not found.submodule_search_locations:
		return f"app {app} is not in the bench's Python environment"
	return Path(next(iter(found.submodule_search_locations)))
