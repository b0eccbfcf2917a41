"""The site process: one task, on one site, inside Frappe, in a short-lived process with fresh code.

Invariant: the answer is written whole or not at all, and the exit status is 0 only with a value in it.

Started as `<bench>/env/bin/python -m press_deploy.site.process` in the sites directory. Reads one JSON
object {"task", "site", "arguments", "answer"} from standard input; writes {"value": …} or
{"error": message} to the open descriptor `answer`. With "sites" instead of "site" the task is done on one after the
other, as `bench --site all` does it, and the value is {site: value}.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from typing import Any

import frappe

from press_deploy.engine.bench.site_answer import write_answer
from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import DeployError, InputError, SiteProcessFailed
from press_deploy.site.failures import describe, locate
from press_deploy.site.tasks import TASKS, load_task


def main() -> int:
	request = json.load(sys.stdin)
	try:
		value = _perform_all(request)
		write_answer(request["answer"], {"value": value})
		return 0
	except BaseException as error:
		traceback.print_exc()
		write_answer(request["answer"], {"error": explain(error)})
		return 1


def _perform_all(request: dict[str, Any]) -> Any:
	task, arguments = request["task"], request.get("arguments") or {}
	if "sites" not in request:
		return perform(task, request["site"], arguments)
	values = {}
	for site in request["sites"]:
		try:
			values[site] = perform(task, site, arguments)
		except Exception as error:
			doing = f"Doing {task} on"
			# Where the log is, whoever started this process adds.
			raise SiteProcessFailed(doing, site, explain(error)) from error
	return values


def perform(task: str, site: str, arguments: dict[str, Any]) -> Any:
	"""Do one task on one site; its value is plain JSON data. Raises `InputError`, and what the task raises."""
	function = _find_task(task, arguments)
	_check_site(site)
	try:
		frappe.init(site)
		frappe.connect()
		return function(**arguments)
	finally:
		frappe.destroy()


def explain(error: BaseException) -> str:
	"""An error in one paragraph for an admin; the traceback is in the step's log."""
	if isinstance(error, DeployError):
		return str(error)
	if isinstance(error, SystemExit):
		return f"the task ended the process itself, with exit status {error.code}"
	place = locate(error)
	return f"{describe(error)} ({place})" if place else describe(error)


def _find_task(task: str, arguments: dict[str, Any]):
	if task not in TASKS:
		raise InputError("task", task, "it is unknown", f"use one of {', '.join(sorted(TASKS))}")
	function = load_task(task)
	try:
		inspect.signature(function).bind(**arguments)
	except TypeError as error:
		signature = f"{task}{inspect.signature(function)}"
		raise InputError("arguments", sorted(arguments), str(error), f"call {signature}") from None
	return function


def _check_site(site: str) -> None:
	try:
		inputs.site(site)
	except ValueError as error:
		why, _, remedy = str(error).partition("; ")
		raise InputError("site", site, why, remedy) from None
	if not os.path.isfile(os.path.join(site, "site_config.json")):
		raise InputError("site", site, "the bench has no such site", "see the directories in sites/")


if __name__ == "__main__":
	sys.exit(main())
