"""The practice bench's site process: one task, on one site, in a short-lived process with fresh code.

Invariant: the protocol is that of `press_deploy.site.process`. One JSON object {"task", "site",
"arguments", "answer"} comes on standard input, or with "sites" instead of "site"; {"value": …} or {"error":
message} goes whole to the open descriptor `answer`; the exit status is 0 only with a value in it.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from press_deploy.demo import framework
from press_deploy.demo.checks import check_tests, console, run_tests
from press_deploy.demo.copies import backup, restore
from press_deploy.demo.tasks import (
	build,
	check_imports,
	clear_cache,
	clear_maintenance_errors,
	describe,
	drain,
	migrate,
	notify,
	project,
	project_all,
	release_workers,
	repair_tests,
)
from press_deploy.engine.errors import DeployError
from press_deploy.engine.site_answer import write_answer

_FUNCTIONS = (
	*(describe, backup, restore, drain, release_workers, check_imports, migrate, build, clear_cache),
	*(clear_maintenance_errors, check_tests, run_tests, repair_tests, console),
	*(project, project_all, notify),
)
# Every task takes the site and the arguments that the one of the same name takes inside Frappe.
TASKS = {function.__name__: function for function in _FUNCTIONS}


def main() -> int:
	"""Do the task on standard input; return the exit status."""
	request = json.load(sys.stdin)
	try:
		write_answer(request["answer"], {"value": _perform_all(**request)})
		return 0
	except Exception as error:
		traceback.print_exc()
		said = str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
		write_answer(request["answer"], {"error": said})
		return 1


def _perform_all(
	task: str, arguments: dict[str, Any], site: str = "", sites: Sequence[str] = (), **_more: Any
):
	if not sites:
		return perform(task, site, arguments)
	return {each: perform(task, each, arguments) for each in sites}


def perform(task: str, site: str, arguments: dict[str, Any]) -> Any:
	"""Do one task on one site; its value is plain JSON data."""
	if task not in TASKS:
		raise ValueError(f"the task {task} is unknown; use one of {', '.join(TASKS)}")
	if site not in framework.list_sites():
		raise ValueError(f"the site {site} is unknown; use one of {', '.join(framework.list_sites())}")
	return TASKS[task](site, **arguments)


if __name__ == "__main__":
	sys.exit(main())
