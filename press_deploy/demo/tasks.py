"""The small tasks of the practice bench's site process. Each returns what its namesake inside Frappe does."""

from __future__ import annotations

import json
import time

from press_deploy.demo import framework
from press_deploy.engine.ground.errors import StepFailed

# A run starts many site processes, and these are much of what each of them would import.
TYPE_CHECKING = False
if TYPE_CHECKING:
	import sqlite3
	from typing import Any

APP = "shop"
POLL_SECONDS = 0.1


def describe(site: str) -> dict[str, Any]:
	"""What the site is, as it stands in preflight."""
	apps = (framework.sites_directory() / "apps.txt").read_text().split()
	paused = bool(framework.read_config(site).get("pause_scheduler"))
	return {"framework": "practice bench", "apps": apps, "scheduler_disabled": paused}


def drain(site: str, run: str, sites: list[str] | None = None, seconds: float = 0.0) -> dict[str, Any]:
	"""Hold the worker for this run, and wait for the job that it is at on one of these sites, at most so long."""
	deadline = time.monotonic() + seconds
	if not framework.held_by():
		framework.hold_file().write_text(run)
	while _is_at_work(jobs := _find_jobs(sites or [site])) and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
	return {"jobs": jobs, "held": framework.held_by() == run}


def _is_at_work(jobs: list[dict[str, Any]]) -> bool:
	return any(job["state"] == "running" for job in jobs)


def release_workers(site: str, run: str) -> dict[str, Any]:
	"""Let the worker go on, if it is this run that holds it."""
	released = framework.held_by() == run
	if released:
		framework.hold_file().unlink()
	return {"released": released}


def _find_jobs(sites: list[str]) -> list[dict[str, Any]]:
	found, states = [], {"queued": "waiting", "running": "running"}
	for site in sites:
		with framework.connect(site) as database:
			rows = database.execute(
				"SELECT id, function, status FROM jobs WHERE status IN ('queued', 'running') ORDER BY id"
			).fetchall()
		found += [
			{
				"id": str(number),
				"queue": "short",
				"method": function,
				"state": states[status],
				"started": None,
			}
			for number, function, status in rows
		]
	return found


def migrate(site: str) -> dict[str, Any]:
	"""Apply those of the app's patches that the site has not had yet, each whole or not at all."""
	import sqlite3

	package = framework.bench_directory() / "apps" / APP / APP
	with framework.connect(site) as database:
		for name in (package / "patches.txt").read_text().split():
			if not database.execute("SELECT 1 FROM `tabPatch Log` WHERE patch = ?", (name,)).fetchone():
				file = package / "patches" / f"{name}.sql"
				try:
					_apply(database, name, file.read_text())
				except (OSError, sqlite3.Error) as error:
					place = file.relative_to(framework.bench_directory())
					why = f"app {APP}, patch {name}, {place}, line 1: {type(error).__name__}: {error}"
					raise StepFailed("Migrating", site, why) from error
	return {}


def clear_cache(site: str) -> dict[str, Any]:
	"""There is no cache outside the processes."""
	return {}


def repair_tests(site: str, **_arguments: Any) -> dict[str, Any]:
	"""Tests change no setting here, so that there is none to put back."""
	return {"repaired": False}


def project(site: str, run_path: str) -> dict[str, Any]:
	"""There are no records to keep here."""
	return {}


def project_all(site: str, **_arguments: Any) -> dict[str, Any]:
	"""There are no records to keep here."""
	return {}


def notify(
	site: str, recipients: list[str], subject: str, message: str, at_once: bool = False
) -> dict[str, Any]:
	"""Write the message into logs/notifications.log, where a mail server would send it."""
	with (framework.bench_directory() / "logs" / "notifications.log").open("a") as log:
		log.write(
			json.dumps(
				{"site": site, "to": recipients, "subject": subject, "message": message, "at_once": at_once}
			)
			+ "\n"
		)
	return {"sent": len(recipients)}


def _apply(database: sqlite3.Connection, name: str, statement: str) -> None:
	# By hand, because SQLite undoes a change of the schema too, but this module would commit before it.
	database.isolation_level = None
	database.execute("BEGIN IMMEDIATE")
	try:
		database.execute(statement)
		database.execute("INSERT INTO `tabPatch Log` (patch) VALUES (?)", (name,))
		database.execute("COMMIT")
	except BaseException:
		database.execute("ROLLBACK")
		raise
