"""The background jobs of this site that a drain waits for: those at work, and those that wait for a worker.

Invariant: between two jobs a worker is idle, and on its way to a worker a job is in no queue; neither instant is
taken for the end of the work.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import frappe
import psutil
from frappe.utils.background_jobs import get_queues, get_redis_conn, get_workers
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.worker import Worker

RUNNING, WAITING = "running", "waiting"
SECOND_LOOK_SECONDS = 1.0
OWN = "press_deploy."


def find_busy_jobs() -> dict:
	"""Return {"jobs": [{"id", "queue", "method", "state" (running or waiting), "started" (ISO 8601, UTC)}]}.

	They are this site's; a job whose content can't be read might be, so it counts. Jobs that are scheduled for later
	or deferred don't count. Takes a second where there is none.
	"""
	jobs = _look()
	if not jobs:
		# A worker takes a job off its queue a moment before it says that it is at work on it.
		time.sleep(SECOND_LOOK_SECONDS)
		jobs = _look()
	return {"jobs": jobs}


def _look() -> list[dict[str, Any]]:
	# The queues first: from there a job goes to a worker.
	waiting, running = _find_waiting(), _find_running()
	at_work = {job.id for job in running}
	return [
		*(_describe(job, RUNNING) for job in running),
		*(_describe(job, WAITING) for job in waiting if job.id not in at_work),
	]


def _find_running() -> list[Job]:
	found = [_current_job(worker) for worker in get_workers() if _is_alive(worker)]
	return [job for job in found if job and _may_be_of_this_site(job)]


def _find_waiting() -> list[Job]:
	"""Without our own: such a job may wait for the very run that drains, and the records follow the disk later."""
	names = [name for queue in get_queues() for name in queue.get_job_ids()]
	found = Job.fetch_many(names, connection=get_redis_conn()) if names else []
	return [job for job in found if job and _may_be_of_this_site(job) and not _method(job).startswith(OWN)]


def _is_alive(worker: Worker) -> bool:
	# A killed worker stays registered for minutes, with the job it was killed in.
	return worker.hostname != socket.gethostname() or psutil.pid_exists(worker.pid or 0)


def _current_job(worker: Worker) -> Job | None:
	try:
		return worker.get_current_job()
	except NoSuchJobError:
		return None


def _content(job: Job) -> dict:
	try:
		return job.kwargs or {}
	except DeserializationError:
		return {}


def _may_be_of_this_site(job: Job) -> bool:
	return _content(job).get("site") in (frappe.local.site, None)


def _method(job: Job) -> str:
	"""What is called in the end: all jobs of the scheduler go through one function, which is told the other."""
	content = _content(job)
	method = content.get("method") or "unknown"
	if not isinstance(method, str):
		method = f"{method.__module__}.{method.__qualname__}"
	if method.endswith(".run_scheduled_job"):
		method = (content.get("kwargs") or {}).get("job_type") or method
	return str(method)


def _describe(job: Job, state: str) -> dict[str, Any]:
	return {
		"id": job.id,
		# Frappe puts the bench before the queue.
		"queue": job.origin.rpartition(":")[2],
		"method": _method(job),
		"state": state,
		"started": job.started_at.isoformat(timespec="seconds") if job.started_at else None,
	}
