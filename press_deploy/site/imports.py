"""Whether the code on the bench can be imported: controllers, reports, pages, hook targets, pending patches.

Frappe's migrate takes a DocType whose controller can't be imported for an orphan and deletes it, and nothing
is logged. So this is asked before, of the code itself and not of a cache, which still knows the former release.

Invariant: looking changes nothing. The database is read only meanwhile, no bytecode is written, and a patch
that ran already is not imported, since what stands outside its functions would be executed once more.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import frappe
from frappe.model.base_document import BaseDocument
from frappe.modules.patch_handler import get_patches_from_app

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import InputError
from press_deploy.site.engine import site_engine
from press_deploy.site.failures import Place, apps_directory, describe, locate, place_of
from press_deploy.site.hook_targets import Target, find_targets, resolve

# What stands beside its JSON as a Python module of the same name, where it has one at all.
_WITH_MODULE = ("report", "page", "web_form", "notification", "print_format", "dashboard_chart_source")


def check_imports(apps: list[str], others: list[str], executed: list[str] | None = None) -> dict[str, Any]:
	"""Import what a release consists of. Returns {"checked": how many, "failures": [...]}.

	`apps` are looked at in full; of `others` only the controllers, which a change of the former can break, too.
	`executed` are the patches that need not run any more; None: patches are not looked at. A failure is
	{"kind", "name", "app", "file", "line", "error"}; `file` and `line` say where it comes from.
	"""
	for app in [*apps, *others]:
		_check_name(app)
	_forbid_changes()
	checks = _Checks()
	doctypes = _known_doctypes([*apps, *others])
	for app in [*apps, *others]:
		if not checks.attempt("app", app, app, lambda app=app: importlib.import_module(app), _package(app)):
			continue
		_check_controllers(checks, app)
		if app in apps:
			_check_modules(checks, app)
			_check_hooks(checks, app, doctypes)
			if executed is not None:
				_check_patches(checks, app, set(executed))
	return {"checked": checks.count, "failures": checks.failures}


class _Checks:
	"""Counts what was imported, and keeps what could not be."""

	def __init__(self) -> None:
		self.count, self.failures = 0, []

	def attempt(
		self, kind: str, name: str, app: str, act: Callable[[], Any], stands_in: Path, text: str = ""
	) -> bool:
		"""Do one import. `stands_in` is where it is asked for, with the line that holds `text`, if the error has no place."""
		self.count += 1
		try:
			act()
			return True
		except KeyboardInterrupt:
			raise
		# A module may also end the process, or raise what is no `Exception`.
		except BaseException as error:
			place = (
				locate(error)
				or place_of(stands_in, _find_line(stands_in, text))
				or Place(app, str(stands_in), None)
			)
			failure = {"kind": kind, "name": name, "app": app, "error": describe(error)}
			self.failures.append({**failure, "file": place.file, "line": place.line})
			return False


def _check_controllers(checks: _Checks, app: str) -> None:
	"""As `frappe.model.base_document.import_controller` finds them, but by the code's list and not the database's."""
	for name, file in _definitions(app, "doctype"):
		checks.attempt(
			"DocType", name, app, lambda name=name, file=file: _import_controller(name, file), file
		)


def _import_controller(name: str, file: Path) -> None:
	module, class_name = importlib.import_module(_module_of(file)), name.replace(" ", "").replace("-", "")
	controller = getattr(module, class_name, None)
	if controller is None:
		raise ImportError(f"{_module_of(file)} has no class {class_name}")
	if not issubclass(controller, BaseDocument):
		raise ImportError(f"{class_name} of {_module_of(file)} is no subclass of BaseDocument")


def _check_modules(checks: _Checks, app: str) -> None:
	for folder in _WITH_MODULE:
		for name, file in _definitions(app, folder):
			if file.with_suffix(".py").is_file() or _is_script_report(file):
				kind = folder.replace("_", " ").capitalize()
				checks.attempt(
					kind, name, app, lambda file=file: importlib.import_module(_module_of(file)), file
				)


def _check_hooks(checks: _Checks, app: str, doctypes: set[str]) -> None:
	file, hooks = _package(app).with_name("hooks.py"), f"{app}.hooks"
	if not checks.attempt("hooks", hooks, app, lambda: importlib.import_module(hooks), file):
		return
	bench = {each.name for each in apps_directory().iterdir()}
	for target in find_targets(vars(sys.modules[hooks]), doctypes, bench):
		checks.attempt("hook", _name(target), app, lambda target=target: resolve(target), file, target.path)


def _check_patches(checks: _Checks, app: str, executed: set[str]) -> None:
	file = _package(app).with_name("patches.txt")
	for patch in get_patches_from_app(app) if file.is_file() else ():
		path = patch.removeprefix("finally:").split(maxsplit=1)[0]
		if patch.removeprefix("finally:") not in executed and not path.startswith("execute:"):
			target = Target("patch", f"{path}.execute", required=True)
			checks.attempt("patch", path, app, lambda target=target: resolve(target), file, path)


def _definitions(app: str, folder: str) -> Iterator[tuple[str, Path]]:
	"""(name, JSON file) of what the modules of an app define, custom DocTypes aside."""
	for module in frappe.get_file_items(str(_package(app).with_name("modules.txt"))):
		for file in sorted(_package(app).parent.glob(f"{frappe.scrub(module)}/{folder}/*/*.json")):
			if file.stem == file.parent.name and (name := _defined_name(file, folder)):
				yield name, file


def _defined_name(file: Path, folder: str) -> str | None:
	try:
		data = json.loads(file.read_bytes())
	except ValueError:
		# Whether it can be read is for migrate to say, which syncs it.
		return file.stem
	if not isinstance(data, dict) or data.get("custom") or frappe.scrub(data.get("doctype", "")) != folder:
		return None
	return data.get("name")


def _is_script_report(file: Path) -> bool:
	"""Whether Frappe asks for a module beside the report."""
	if file.parent.parent.name != "report":
		return False
	try:
		data = json.loads(file.read_bytes())
	except ValueError:
		return False
	return data.get("report_type") == "Script Report" and data.get("is_standard") == "Yes"


def _known_doctypes(apps: Iterable[str]) -> set[str]:
	"""The DocTypes of this site, and those that the code brings: a hook for any other is never called."""
	defined = {name for app in apps for name, _file in _definitions(app, "doctype")}
	return {"*", *defined, *frappe.db.sql("SELECT name FROM `tabDocType`", pluck=True)}


def _module_of(file: Path) -> str:
	"""The module beside a JSON file, as Frappe names it."""
	return ".".join(file.relative_to(apps_directory()).with_suffix("").parts[1:])


def _package(app: str) -> Path:
	return apps_directory() / app / app / "__init__.py"


def _name(target: Target) -> str:
	return f"{target.hook}: {target.path}"


def _find_line(file: Path, text: str) -> int | None:
	if not text or not file.is_file():
		return None
	lines = file.read_text(errors="replace").splitlines()
	return next((number for number, line in enumerate(lines, 1) if text in line), None)


def _check_name(app: str) -> None:
	try:
		inputs.app(app)
	except ValueError as error:
		why, _, remedy = str(error).partition("; ")
		raise InputError("apps", app, why, remedy) from None


def _forbid_changes() -> None:
	sys.dont_write_bytecode = True
	site_engine().sessions.forbid_changes(frappe.db)
