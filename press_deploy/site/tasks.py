"""The table of what a site process can do: name → function, by the path to it.

The engine calls these names with these arguments; a function that stands here is a contract with it.

Invariant: a site process imports what its own task needs. Together they import most of this app, which takes longer
than Frappe itself, and sites stand closed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

TASKS = {
	"describe": "description.describe",
	"backup": "backup.back_up",
	"restore": "restore.restore",
	"drain": "drain.drain",
	"release_workers": "workers.release_workers",
	"check_imports": "imports.check_imports",
	"migrate": "schema.migrate",
	"build": "assets.build",
	"clear_cache": "caches.clear_cache",
	"clear_maintenance_errors": "error_log.clear_maintenance_errors",
	"check_tests": "critical_test_targets.check_tests",
	"run_tests": "critical_tests.run_tests",
	"repair_tests": "critical_test_settings.repair_tests",
	"console": "console.check_console",
	"project": "records.project",
	"project_all": "records.project_all",
	"notify": "notifications.notify",
	"settings_secrets": "secrets.read_settings_secrets",
}


def load_task(name: str) -> Callable[..., Any]:
	"""The function of a task. Raises `KeyError` for an unknown name."""
	module, _, function = TASKS[name].rpartition(".")
	return getattr(import_module(f"press_deploy.site.{module}"), function)
