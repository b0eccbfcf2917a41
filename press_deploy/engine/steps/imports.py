"""See that the release can be imported before anything is migrated; what could not be before is no fault of it.

Invariant: what can't be imported under the new code stops the run before migrate, unless it could not be imported
before either and migrate won't delete it for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases import inventory
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.deploy import SwitchCode
from press_deploy.engine.steps.run import Run

IMPORT_SECONDS = 600
SHOWN_FAILURES = 3
# For these, Frappe's migrate takes a DocType for an orphan.
_DEADLY = ("ImportError:", "ModuleNotFoundError:")


@dataclass(eq=False)
class PresentImports(Step):
	"""What of the present code can't be imported: an optional library that is missing, a module that is broken."""

	site_processes: SiteProcesses

	name, title, phase = "present-imports", "Imports of the present code", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		if run.state.was_announced(SwitchCode.name):
			return "the code was switched already, by a version that did not look"
		return _why_not_needed(run)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		checked, failures = look(run, self.site_processes)
		for failure in failures:
			run.log(describe(failure))
		found = f"{checked} modules and hooks, {len(failures)} of which can't be imported today either"
		return {
			"failed": [key_of(failure) for failure in failures],
			"found": found if failures else f"{checked} modules and hooks, all can be imported",
		}


@dataclass(eq=False)
class ReleaseImports(Step):
	"""Import what the release consists of, in a fresh process. It only looks, so there is nothing to undo.

	Done for a release that is not migrated as well: a controller or a hook that nobody calls in these minutes is
	found by no smoke test, and looking takes about a second.
	"""

	site_processes: SiteProcesses

	name, title, phase = "release-imports", "Imports of the release", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_needed(run)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		migrates = run.state.needs("migrate")["needed"]
		if migrates:
			for site in run.spec.site_names:
				require_apps(run, site)
		checked, failures = look(run, self.site_processes)
		for failure in failures:
			run.log(describe(failure))
		former = set(run.state.result(PresentImports.name).get("failed", ()))
		doomed = _doctypes_there(run) if migrates and failures else set()
		new = [each for each in failures if key_of(each) not in former or _is_doomed(each, doomed)]
		if new:
			self._refuse(run, new, migrates)
		if failures:
			run.note(f"Not imported before the release either: {show(failures)}")
		more = f"; {len(failures)} can't be imported, as before" if failures else ", all can be imported"
		return {"found": f"{checked} modules and hooks{more}"}

	def _refuse(self, run: Run, failures: list[dict[str, Any]], migrates: bool) -> None:
		deadly = [each for each in failures if migrates and each["error"].startswith(_DEADLY)]
		lost = [each["name"] for each in deadly if each["kind"] == "DocType"]
		lost += [f"all of {each['app']}" for each in deadly if each["kind"] == "app"]
		follows = (
			f". Migrate would take for orphans, and delete, these DocTypes: {', '.join(lost[:5])}"
			if lost
			else ""
		)
		apps = ", ".join(sorted({failure["app"] for failure in failures}))
		log = run.directory.step_log(self.name)
		raise StepFailed(
			"Importing",
			f"the release of {apps}",
			f"{show(failures)}{follows}. Nothing was migrated",
			f"mend {apps}, then deploy the mended commit; the whole list: less {log}",
		)


def look(run: Run, site_processes: SiteProcesses) -> tuple[int, list[dict[str, Any]]]:
	"""Import under the code that is there now: how much was, and what could not be. Raises `StepFailed`."""
	site, apps = run.spec.site_names[0], [app.name for app in run.spec.apps]
	migrates = run.state.needs("migrate")["needed"]
	try:
		found = site_processes.call(
			"check_imports",
			site,
			timeout=IMPORT_SECONDS,
			apps=apps,
			# Migrate deletes the DocTypes of any app whose controllers can't be imported.
			others=sorted(_installed_apps(run) - set(apps)) if migrates else [],
			executed=_executed_everywhere(run) if migrates else None,
		)
	except DeployError as error:
		# Where not even Frappe can be started, nothing of it could say more.
		why = f"Frappe can't be started with {', '.join(apps) or 'this code'} on {site}: {error.why}"
		raise StepFailed("Importing", "what is on the bench", why, error.remedy) from error
	return found["checked"], found["failures"]


def require_apps(run: Run, site: str) -> None:
	"""An installed app that is not on the bench: migrate would delete its DocTypes. Raises `StepFailed`."""
	there = {app for app in run.bench.apps() if run.bench.app(app).is_dir()}
	missing = sorted(set(inventory.list_apps(run.bench, site) or ()) - there)
	if not missing:
		return
	found = inventory.take_inventory(run.bench, site)
	lost = [
		name
		for name, each in found["doctypes"].items()
		if not each["custom"] and found["modules"].get(each["module"]) in missing
	]
	if lost:
		apps, listed = ", ".join(missing), run.bench.sites_directory / "apps.txt"
		why = (
			f"{apps} is installed on {site}, but not on the bench (no directory in apps, or no line in {listed}). "
			f"Migrate would delete {_count(lost, 'DocType')}: {', '.join(lost[:5])}. Nothing was migrated"
		)
		again = f"bring it back (bench get-app), or take it off the site: bench --site {site} remove-from-installed-apps {missing[0]}"
		raise StepFailed("Migrating", site, why, again)


def describe(failure: dict[str, Any]) -> str:
	"""One failure: what, of which app, where, and why."""
	line = f", line {failure['line']}" if failure["line"] else ""
	return f"{failure['kind']} {failure['name']} of {failure['app']}: {failure['file']}{line}: {failure['error']}"


def show(failures: list[dict[str, Any]]) -> str:
	"""Failures in a sentence; what fails for the same reason at the same line is told once."""
	causes: dict[tuple, list[dict[str, Any]]] = {}
	for failure in failures:
		causes.setdefault((failure["file"], failure["line"], failure["error"]), []).append(failure)
	told = []
	for alike in list(causes.values())[:SHOWN_FAILURES]:
		others = f" (and {len(alike) - 1} more for the same reason)" if len(alike) > 1 else ""
		told.append(f"{describe(alike[0])}{others}")
	more = len(causes) - len(told)
	return "; ".join(told) + (f"; and {more} other reason{'s' if more > 1 else ''}" if more else "")


def key_of(failure: dict[str, Any]) -> str:
	"""By what a failure of the former code is known again; what it says may have changed."""
	return f"{failure['kind']} {failure['name']} of {failure['app']}"


def _is_doomed(failure: dict[str, Any], there: set[str]) -> bool:
	"""Whether migrate would delete a DocType for it, however long it has been so."""
	dies = failure["error"].startswith(_DEADLY)
	return failure["kind"] == "DocType" and failure["name"] in there and dies


def _doctypes_there(run: Run) -> set[str]:
	sites = [inventory.take_inventory(run.bench, site) for site in run.spec.site_names]
	return {name for found in sites for name in found["doctypes"]}


def _installed_apps(run: Run) -> set[str]:
	"""Those of the plan's sites, as far as they are on the bench."""
	sites = run.spec.site_names
	installed = {app for site in sites for app in inventory.list_apps(run.bench, site) or ()}
	return {app for app in installed if run.bench.app(app).is_dir()}


def _executed_everywhere(run: Run) -> list[str]:
	executed = [inventory.list_executed_patches(run.bench, site) for site in run.spec.site_names]
	return sorted(set.intersection(*executed))


def _why_not_needed(run: Run) -> str | None:
	if run.spec.apps or run.state.needs("migrate")["needed"]:
		return None
	return "the plan changes configuration only"


def _count(names: list[str], what: str) -> str:
	return f"the {what}" if len(names) == 1 else f"{len(names)} {what}s"
