"""The table of tasks: each is there, and a site process imports no more than its own needs."""

from __future__ import annotations


def test_every_task_is_there(site):
	code = "from press_deploy.site.tasks import TASKS, load_task\nresult = [callable(load_task(name)) for name in TASKS]"
	found = site.execute(code)
	assert found and all(found)


def test_what_a_site_waits_for_behind_closed_doors_is_imported_alone(site):
	code = """
import subprocess, sys
look = "import sys; from press_deploy.site import process, tasks; tasks.load_task({!r}); print(*sys.modules)"
def modules_of(task):
	return subprocess.check_output([sys.executable, "-c", look.format(task)], text=True).split()
result = {task: [name for name in modules_of(task) if name.startswith("press_deploy.site.")] for task in ("drain", "clear_cache")}
"""
	found = site.execute(code)
	common = {f"press_deploy.site.{name}" for name in ("process", "tasks", "failures")}
	draining = {f"press_deploy.site.{name}" for name in ("drain", "queue", "workers", "error_log")}
	assert set(found["drain"]) == common | draining
	assert set(found["clear_cache"]) == common | {"press_deploy.site.caches"}
