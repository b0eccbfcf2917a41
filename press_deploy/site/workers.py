"""The bench's workers, held while sites are closed.

RQ's own switch does it (`rq suspend`): a worker finishes what it is at and takes no other job, not even after a
restart; but one that was idle already takes the job that comes next, since RQ looks at the switch only between jobs.
A job that waits is done when the sites are open again: taken up behind closed doors it would write into a database
that stands still, and one of the scheduler's fails there and is not tried again.
"""

from __future__ import annotations

from frappe.utils.background_jobs import get_redis_conn
from rq.suspension import WORKERS_SUSPENDED

# Past this they go on by themselves, so that a run that died for good, or waits for a person, holds up nobody.
HELD_SECONDS = 3600


def hold_workers(run: str) -> bool:
	"""Whether they are held by this run, as after an earlier one that left them held; an admin keeps his own hold."""
	redis, holder = get_redis_conn(), _holder(run)
	if redis.set(WORKERS_SUSPENDED, holder, nx=True, ex=HELD_SECONDS):
		return True
	if not (redis.get(WORKERS_SUSPENDED) or b"").startswith(_holder("")):
		return False
	return bool(redis.set(WORKERS_SUSPENDED, holder, ex=HELD_SECONDS))


def release_workers(run: str) -> dict:
	"""Let the workers go on that this run holds; {"released"}: not those that somebody else holds, or nobody."""
	redis = get_redis_conn()
	is_ours = redis.get(WORKERS_SUSPENDED) == _holder(run)
	return {"released": is_ours and bool(redis.delete(WORKERS_SUSPENDED))}


def _holder(run: str) -> bytes:
	return f"press_deploy {run}".encode()
