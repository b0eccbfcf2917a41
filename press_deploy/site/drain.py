"""The drain: what must have come to its end before a closed site's database stands still."""

from __future__ import annotations

import traceback

import frappe

from press_deploy.site.error_log import insert_waiting_errors
from press_deploy.site.queue import RUNNING, find_busy_jobs
from press_deploy.site.workers import hold_workers


def drain(run: str, sites: list[str] | None = None, seconds: float = 0.0) -> dict:
	"""Hold the workers for this run, wait for the jobs at work, and insert the errors that Frappe keeps in Redis.

	`sites` share this site's queues; without them it is this site alone. Waits at most `seconds`. Returns {"jobs": as
	`find_busy_jobs` gives them, "held": whether the workers are held by this run, and not by somebody else}.
	"""
	held = hold_workers(run)
	found = find_busy_jobs(sites, seconds, states=(RUNNING,))
	for site in sites or [frappe.local.site]:
		_insert_errors(site)
	return {**found, "held": held}


def _insert_errors(site: str) -> None:
	if site != frappe.local.site:
		frappe.destroy()
		frappe.init(site)
		frappe.connect()
	try:
		insert_waiting_errors()
	except Exception:
		# It stands in the step's log. What was not inserted may count against the release, which is no reason to end here.
		traceback.print_exc()
