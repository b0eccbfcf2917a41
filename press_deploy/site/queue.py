"""The background jobs that a drain waits for: those at work, and those that wait for a worker.

Invariant: between two jobs a worker is idle, and on its way to a worker a job is in no queue; neither instant is
taken for the end of the work. On its way a job still says of itself that it is queued: where there is one like that
the queues are asked again a moment later, for it may as well be one that was lost long ago.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import frappe
import psutil
from frappe.utils.background_jobs import get_queues, get_redis_conn, get_workers
from redis.exceptions import ResponseError
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.worker import Worker

RUNNING, WAITING = "running", "waiting"
SECOND_LOOK_SECONDS = 1.0
POLL_SECONDS = 0.2
# With more in Redis than this, to wait a second is quicker than to ask each job.
MAXIMUM_KEYS = 20_000
BATCH = 1000
OWN = "press_deploy."


def find_busy_jobs(
	sites: list[str] | None = None, seconds: float = 0.0, states: tuple[str, ...] = (RUNNING, WAITING)
) -> dict:
	"""Return {"jobs": [{"id", "queue", "method", "state" (running or waiting), "started" (ISO 8601, UTC)}]}.

	They are those of `sites`, which share this site's queues (without it, of this site); a job whose content can't be
	read might be, so it counts. Jobs that are scheduled for later or deferred don't count. While there are some
	in one of these `states`, it waits for their end, at most `seconds`.
	"""
	wanted, deadline = {*(sites or [frappe.local.site])}, time.monotonic() + seconds
	while _has(states, jobs := _find(wanted, states)) and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
	return {"jobs": jobs}


def _has(states: tuple[str, ...], jobs: list[dict[str, Any]]) -> bool:
	return any(job["state"] in states for job in jobs)


def _find(sites: set[str], states: tuple[str, ...]) -> list[dict[str, Any]]:
	# Before the queues, and they before the workers: that is the way of a job.
	queued = _find_queued()
	jobs, seen = _look(sites)
	if not _has(states, jobs) and (queued is None or queued - seen):
		time.sleep(SECOND_LOOK_SECONDS)
		jobs, _seen = _look(sites)
	return jobs


def _look(sites: set[str]) -> tuple[list[dict[str, Any]], set[str]]:
	"""The jobs of these sites; and the names of all jobs that are in a queue or with a worker."""
	waiting = [name for queue in get_queues() for name in queue.get_job_ids()]
	running = _find_running()
	at_work = {job.id for job in running}
	jobs = [
		*(_describe(job, RUNNING) for job in running if _may_be_of(job, sites)),
		*(_describe(job, WAITING) for job in _fetch_waiting(waiting, sites) if job.id not in at_work),
	]
	return jobs, {*waiting, *at_work}


def _find_queued() -> set[str] | None:
	"""The names of all jobs that say that they are queued; None where that can't be asked, or takes too long."""
	redis = get_redis_conn()
	try:
		if redis.dbsize() > MAXIMUM_KEYS:
			return None
		keys = list(redis.scan_iter(match=f"{Job.redis_job_namespace_prefix}*", count=BATCH))
	except ResponseError:
		# A user of Redis who may not list its keys.
		return None
	found = set()
	for start in range(0, len(keys), BATCH):
		batch = keys[start : start + BATCH]
		with redis.pipeline(transaction=False) as pipeline:
			for key in batch:
				pipeline.hget(key, "status")
			# What is no job answers with an error.
			states = pipeline.execute(raise_on_error=False)
		found |= {_name_of(key) for key, state in zip(batch, states, strict=True) if _is_queued(state)}
	return found


def _is_queued(state: object) -> bool:
	return isinstance(state, bytes) and state.decode("utf-8", "replace") == JobStatus.QUEUED.value


def _name_of(key: bytes) -> str:
	return key.decode("utf-8", "replace").removeprefix(Job.redis_job_namespace_prefix)


def _find_running() -> list[Job]:
	found = [_current_job(worker) for worker in get_workers() if _is_alive(worker)]
	return [job for job in found if job]


def _fetch_waiting(names: list[str], sites: set[str]) -> list[Job]:
	"""Without our own: such a job may wait for the very run that drains, and the records follow the disk later."""
	found = Job.fetch_many(names, connection=get_redis_conn()) if names else []
	return [job for job in found if job and _may_be_of(job, sites) and not _method(job).startswith(OWN)]


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


def _may_be_of(job: Job, sites: set[str]) -> bool:
	return (site := _content(job).get("site")) is None or site in sites


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
