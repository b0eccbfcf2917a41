"""What a drain waits for, asked of real queues: jobs at work, and jobs that wait for a worker; and held workers.

The jobs go into a queue of the tests' own, which no worker of the bench serves, so that they stay where they are.
"""

from __future__ import annotations

import pytest

PREPARE = """
import os, signal, time
from unittest import mock
from frappe.utils import background_jobs
from rq import Worker
from press_deploy.site import queue

NAME = "press-deploy-test"
mock.patch.object(background_jobs, "get_queues_timeout", lambda: {NAME: 300}).start()
tested, redis = background_jobs.get_queue(NAME), background_jobs.get_redis_conn()
# What the bench's own workers are at is not the tests' affair.
own_workers = lambda: [each for each in Worker.all(redis) if tested.name in each.queue_names()]
mock.patch.object(queue, "get_workers", own_workers).start()

def find():
	return [(job["method"], job["state"], job["queue"]) for job in queue.find_busy_jobs()["jobs"] if job["queue"] == NAME]

def enqueue(method="frappe.utils.background_jobs.test_job", **more):
	arguments = {"s": 0} if method.endswith("test_job") else {}
	return background_jobs.enqueue(method, queue=NAME, **arguments, **more)

def start_worker():
	worker = os.fork()
	if not worker:
		try:
			redis.connection_pool.reset()
			Worker([tested], connection=redis).work(burst=True, logging_level="ERROR")
		finally:
			os._exit(0)
	return worker

def remove_all():
	for each in (tested, tested.scheduled_job_registry, tested.deferred_job_registry):
		for name in each.get_job_ids():
			redis.delete(f"rq:job:{name}")
	tested.delete(delete_jobs=True)
	for key in redis.scan_iter("rq:job:*"):
		# A job that a test lost is in no list.
		if redis.type(key) == b"hash" and redis.hget(key, "origin") == tested.name.encode():
			redis.delete(key)
	for key in redis.keys(f"rq:*:{tested.name}"):
		redis.delete(key)
	redis.srem("rq:queues", tested.key)

remove_all()
"""


@pytest.fixture
def in_site(site):
	"""Runs lines in the site, with a queue that is empty before and gone afterwards."""

	def run(code: str):
		body = "\n".join(f"\t{line}" for line in code.strip().splitlines())
		return site.execute(f"{PREPARE}\ntry:\n{body}\nfinally:\n\tremove_all()")

	return run


JOB = ["frappe.utils.background_jobs.test_job", "waiting", "press-deploy-test"]


def test_jobs_that_wait_for_a_worker_count(in_site):
	assert in_site("enqueue()\nenqueue()\nresult = find()") == [JOB, JOB]


def test_the_scheduler_s_jobs_go_by_what_they_call(in_site):
	found = in_site("""
run = "frappe.core.doctype.scheduled_job_type.scheduled_job_type.run_scheduled_job"
for method in ("shop.tasks.bill", "press_deploy.jobs.repair_records"):
	enqueue(run, job_type=method, scheduled_job_type=method)
result = find()
""")
	assert found == [["shop.tasks.bill", *JOB[1:]]]


def test_what_press_deploy_itself_has_queued_keeps_no_drain_waiting(in_site):
	assert in_site("enqueue('press_deploy.jobs.repair_records')\nenqueue()\nresult = find()") == [JOB]


def test_jobs_for_later_of_other_sites_and_of_nobody(in_site):
	found = in_site("""
from datetime import timedelta
execute = "frappe.utils.background_jobs.execute_job"
mine = {"site": frappe.local.site, "method": "shop.tasks.bill", "kwargs": {}}
tested.enqueue_in(timedelta(hours=1), execute, kwargs=mine)
first = enqueue()
tested.enqueue_call(execute, kwargs=mine, depends_on=first)
tested.enqueue_call(execute, kwargs={**mine, "site": "other.localhost"})
gone = tested.enqueue_call(execute, kwargs=mine)
redis.delete(gone.key)
unreadable = tested.enqueue_call(execute, kwargs=mine)
redis.hset(unreadable.key, "data", b"rubbish")
assert len(tested.scheduled_job_registry.get_job_ids()) == len(tested.deferred_job_registry.get_job_ids()) == 1
result = find()
""")
	assert found == [JOB, ["unknown", *JOB[1:]]], "the last might be this site's"


def test_a_backlog_is_drained_only_when_every_job_is_done(in_site):
	found = in_site("""
jobs = [enqueue() for number in range(5)]
worker = start_worker()
seen, finished = set(), []
deadline = time.monotonic() + 60
while time.monotonic() < deadline and (looked := find()):
	seen.update(state for method, state, name in looked)
	finished.append(sum(job.get_status() == "finished" for job in jobs))
result = [sorted(seen), finished[0] < 5, sum(job.get_status() == "finished" for job in jobs)]
os.waitpid(worker, 0)
""")
	assert found[0][-1] == "waiting" and found[1:] == [True, 5]


def test_a_job_on_its_way_to_a_worker_is_seen(in_site):
	found = in_site("""
job = enqueue()
worker = Worker([tested], connection=redis, name="press-deploy-test")
worker.register_birth()
assert redis.lpop(tested.key).decode() == job.id
looks = []
def take_up(seconds):
	looks.append(seconds)
	worker.set_current_job_id(job.id)
try:
	with mock.patch.object(queue.time, "sleep", take_up):
		result = [find(), looks]
finally:
	worker.set_current_job_id(None)
	worker.register_death()
	redis.delete(worker.key)
""")
	assert found == [[[JOB[0], "running", JOB[2]]], [1.0]]


def test_nobody_waits_where_no_job_is_on_its_way(in_site):
	found = in_site("""
looks = []
def find_own():
	return {name for name in find_queued() if redis.hget(f"rq:job:{name}", "origin") == tested.name.encode()}
find_queued = queue._find_queued
with mock.patch.object(queue, "_find_queued", find_own), mock.patch.object(queue.time, "sleep", looks.append):
	done = enqueue()
	result = [find_own() == {done.id}, find() != []]
	tested.remove(done.id)
	done.set_status("finished")
	result += [list(find_own()), find(), looks]
""")
	assert found == [True, True, [], [], []]


def test_a_job_that_was_lost_on_its_way_is_not_waited_for_for_ever(in_site):
	found = in_site("""
job = enqueue()
redis.lpop(tested.key)
looks = []
with mock.patch.object(queue.time, "sleep", looks.append):
	result = [job.id in queue._find_queued(), find(), looks]
""")
	assert found == [True, [], [1.0]]


def test_a_user_of_redis_who_may_not_list_keys_looks_twice(in_site):
	found = in_site("""
from redis.exceptions import ResponseError
class Limited:
	def __getattr__(self, name): return getattr(redis, name)
	def dbsize(self): raise ResponseError("NOPERM this user has no permissions to run the 'dbsize' command")
looks = []
with mock.patch.object(queue, "get_redis_conn", Limited), mock.patch.object(queue.time, "sleep", looks.append):
	result = [queue._find_queued(), find(), looks]
""")
	assert found == [None, [], [1.0]]


def test_jobs_of_several_sites_are_asked_for_at_once_and_their_end_is_waited_for(in_site):
	found = in_site("""
execute = "frappe.utils.background_jobs.execute_job"
for name in ("a.localhost", "b.localhost", "c.localhost"):
	tested.enqueue_call(execute, kwargs={"site": name, "method": name, "kwargs": {}})
def ask(**more):
	jobs = queue.find_busy_jobs(["a.localhost", "b.localhost"], **more)["jobs"]
	return [job["method"] for job in jobs if job["queue"] == NAME]
def work_off(seconds):
	if looks.append(seconds) or len(looks) == 3:
		tested.empty()
first, looks = ask(), []
with mock.patch.object(queue.time, "sleep", work_off):
	result = [first, ask(seconds=60), looks]
""")
	assert found[:2] == [["a.localhost", "b.localhost"], []] and len(found[2]) >= 3


def test_a_worker_that_was_killed_is_at_no_job(in_site):
	found = in_site("""
job = enqueue()
redis.lpop(tested.key)
child = os.fork()
if not child:
	worker = Worker([tested], connection=redis, name="press-deploy-test")
	worker.register_birth()
	worker.set_current_job_id(job.id)
	os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
left = [worker for worker in Worker.all(redis) if worker.name == "press-deploy-test"]
result = [left[0].get_current_job_id() == job.id, find()]
redis.srem("rq:workers", left[0].key)
redis.delete(left[0].key)
""")
	assert found == [True, []]


def test_held_workers_take_no_job_until_they_are_released(in_site):
	found = in_site("""
from press_deploy.site.drain import drain
from press_deploy.site.workers import HELD_SECONDS, WORKERS_SUSPENDED, release_workers
job = enqueue()
try:
	asked = time.monotonic()
	answer = drain("a-run", seconds=300)
	mine = [each["state"] for each in answer["jobs"] if each["queue"] == NAME]
	os.waitpid(start_worker(), 0)
	result = [answer["held"], mine, time.monotonic() - asked < 250, job.get_status().value]
	result += [0 < redis.ttl(WORKERS_SUSPENDED) <= HELD_SECONDS]
	result += [release_workers("another"), release_workers("a-run"), release_workers("a-run")]
	os.waitpid(start_worker(), 0)
	result += [job.get_status().value]
finally:
	release_workers("a-run")
""")
	released = [{"released": False}, {"released": True}, {"released": False}]
	assert found == [True, ["waiting"], True, "queued", True, *released, "finished"]


def test_workers_that_a_run_left_held_are_taken_over(in_site):
	found = in_site("""
from press_deploy.site.workers import hold_workers, release_workers
try:
	result = [hold_workers("a-run"), hold_workers("a-run"), hold_workers("another"), release_workers("a-run")]
	result += [release_workers("another")]
finally:
	release_workers("another")
""")
	assert found == [True, True, True, {"released": False}, {"released": True}]


def test_workers_that_an_admin_has_suspended_are_left_to_him(in_site):
	found = in_site("""
from press_deploy.site.workers import WORKERS_SUSPENDED, hold_workers, release_workers
redis.set(WORKERS_SUSPENDED, 1)
try:
	result = [hold_workers("a-run"), release_workers("a-run"), redis.ttl(WORKERS_SUSPENDED)]
finally:
	redis.delete(WORKERS_SUSPENDED)
""")
	assert found == [False, {"released": False}, -1]
