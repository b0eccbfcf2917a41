"""Background jobs that are being executed now: what a drain waits for."""

from __future__ import annotations

import socket

import frappe
import psutil
from frappe.utils.background_jobs import get_workers
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.worker import Worker


def find_busy_jobs() -> dict:
	"""Return {"jobs": [{"id", "queue", "method", "started" (ISO 8601, UTC)}]} of this site.

	A job whose content can't be read might be this site's, so it counts.
	"""
	found = [job for worker in get_workers() if _is_alive(worker) for job in [_current_job(worker)] if job]
	return {"jobs": [_describe(job) for job in found if _site_of(job) in (frappe.local.site, None)]}


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


def _site_of(job: Job) -> str | None:
	return _content(job).get("site")


def _describe(job: Job) -> dict:
	content = _content(job)
	return {
		"id": job.id,
		"queue": job.origin,
		"method": str(content.get("job_name") or content.get("method") or "unknown"),
		"started": job.started_at.isoformat(timespec="seconds") if job.started_at else None,
	}
