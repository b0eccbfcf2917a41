"""The practice bench's site process: one task, on one site, in a short-lived process with fresh code.

Invariant: the protocol is that of `press_deploy.site.process`. One JSON object {"task", "site",
"arguments", "answer"} comes on standard input, or with "sites" instead of "site"; {"value": …} or {"error":
message} goes whole to the open descriptor `answer`; the exit status is 0 only with a value in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from press_deploy.demo import framework
from press_deploy.engine.bench.site_answer import write_answer
from press_deploy.engine.ground.errors import DeployError

# A run starts many site processes, and `typing` is much of what each of them would import.
TYPE_CHECKING = False
if TYPE_CHECKING:
	from typing import Any

# Task → the module that has a function of its name, which takes the site and the arguments that the task of that name
# takes inside Frappe. A run starts many of these processes, so that each imports what its own task needs.
TASKS = {
	**dict.fromkeys(("describe", "drain", "release_workers", "migrate", "clear_cache"), "tasks"),
	**dict.fromkeys(("repair_tests", "project", "project_all", "notify"), "tasks"),
	**dict.fromkeys(("backup", "restore"), "copies"),
	**dict.fromkeys(("check_tests", "run_tests", "console"), "checks"),
	"check_imports": "imports",
	"build": "assets",
	"clear_maintenance_errors": "error_log",
}


def main() -> int:
	"""Do the task on standard input; return the exit status."""
	request = json.load(sys.stdin)
	try:
		write_answer(request["answer"], {"value": _perform_all(**request)})
		return 0
	except Exception as error:
		# Here, because most processes have no use for it.
		import traceback

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
	return load_task(task)(site, **arguments)


def load_task(name: str) -> Callable[..., Any]:
	"""The function of a task. Raises `KeyError` for an unknown name."""
	return getattr(import_module(f"press_deploy.demo.{TASKS[name]}"), name)


if __name__ == "__main__":
	framework.leave(main())
