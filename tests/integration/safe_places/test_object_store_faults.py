"""Faults of an object store and of the way to it: each fires, is told in its own words and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.plan.safe_places import S3Place
from press_deploy.engine.safe_places import s3_client
from tests.support import object_store as faults
from tests.support.object_store import BELOW, LARGE, FaultyStore, failure, key, open_store, stored_bytes
from tests.support.practice_bench import wait_until

REFUSALS = [
	(403, "AccessDenied", "access is denied"),
	(403, "RequestTimeTooSkewed", "clock"),
	(403, "InvalidAccessKeyId", "credentials are not accepted"),
	(400, "ExpiredToken", "expired"),
	(503, "SlowDown", "busy"),
	(400, "BadDigest", "other bytes than were sent"),
	(507, "XMinioStorageFull", "no space"),
	(418, "Unheard", "the store answers Unheard: injected"),
]


@pytest.mark.parametrize("status,code,words", REFUSALS)
def test_a_refused_part_has_its_own_message(store: FaultyStore, spec, make_file, status, code, words):
	file = make_file(size=LARGE)
	rule = store.break_with(
		faults.refuse(status, code), lambda request: request.query.get("partNumber") == ["2"]
	)
	assert words in failure(spec, [file]).why
	assert rule.fired
	assert store.uploads(spec.bucket) == [] and file.path.stat().st_size == file.size


def test_access_that_is_denied_to_everything(store: FaultyStore, spec, make_file):
	rule = store.break_with(faults.refuse(403, "AccessDenied"), lambda request: True)
	error = failure(spec, [make_file()])
	assert rule.fired and "access is denied" in error.why and "s3:PutObject" in error.remedy


@pytest.mark.parametrize("fault", [faults.cut, faults.refuse(503, "SlowDown")])
def test_one_short_failure_is_survived(store: FaultyStore, spec, make_file, fault):
	file = make_file(size=LARGE)
	rule = store.break_with(fault, lambda request: request.is_part, times=1)
	open_store(spec).store([file], BELOW)
	assert rule.fired == 1 and stored_bytes(store, spec, file) == file.path.read_bytes()


def test_a_connection_cut_in_every_part(store: FaultyStore, spec, make_file):
	rule = store.break_with(faults.cut, lambda request: request.query.get("partNumber") == ["2"])
	assert "connection was cut" in failure(spec, [make_file(size=LARGE)]).why
	assert rule.fired == 2 and store.uploads(spec.bucket) == []


def test_a_store_that_goes_away_leaves_parts_and_says_so(store: FaultyStore, spec, make_file):
	file = make_file(size=LARGE)
	parts = []

	def is_after_the_first_part(request):
		parts.extend([request] if request.is_part else [])
		return len(parts) > 1

	rule = store.break_with(faults.cut, is_after_the_first_part)
	assert "the next attempt removes them" in failure(spec, [file]).remedy
	assert rule.fired and store.uploads(spec.bucket) == [key(spec, file)]
	rule.times = 0
	open_store(spec).store([file], BELOW)
	assert store.uploads(spec.bucket) == [] and stored_bytes(store, spec, file) == file.path.read_bytes()


def test_a_store_that_says_nothing(store: FaultyStore, spec, make_file, monkeypatch):
	monkeypatch.setattr(s3_client, "READ_SECONDS", 0.3)
	released = threading.Event()
	rule = store.break_with(faults.say_nothing(released), lambda request: request.is_part)
	try:
		assert "said nothing for too long" in failure(spec, [make_file(size=LARGE)]).why
	finally:
		released.set()
	# Twice for the part that fails first; the other one is not tried again after that, or was before.
	assert 2 <= rule.fired <= 4 and store.uploads(spec.bucket) == []


@pytest.mark.parametrize("size", [1000, LARGE])
def test_bytes_altered_on_the_way_are_found_by_a_store_that_checks(store: FaultyStore, spec, make_file, size):
	rule = store.break_with(
		faults.alter_request_checked, lambda request: bool(request.body) and request.method == "PUT"
	)
	assert "other bytes than were sent" in failure(spec, [make_file(size=size)]).why
	assert rule.fired and store.uploads(spec.bucket) == []
	assert "Contents" not in store.client().list_objects_v2(Bucket=spec.bucket)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_bytes_altered_on_the_way_are_found_by_reading_back(store: FaultyStore, spec, make_file, size):
	file = make_file(size=size)
	rule = store.break_with(
		faults.alter_request, lambda request: bool(request.body) and request.method == "PUT"
	)
	assert "differs from the backup" in failure(spec, [file]).why
	assert rule.fired
	rule.times = 0
	assert open_store(spec).store([file], BELOW)[0]["sent"]


def test_bytes_altered_on_the_way_back_are_found(store: FaultyStore, spec, make_file):
	rule = store.break_with(faults.alter_answer, lambda request: request.is_read)
	assert "differs from the backup" in failure(spec, [make_file(size=LARGE)]).why
	assert rule.fired


def test_an_answer_that_is_cut_is_read_once_more(store: FaultyStore, spec, make_file):
	file = make_file(size=LARGE)
	rule = store.break_with(faults.cut_answer, lambda request: request.is_read, times=1)
	open_store(spec).store([file], BELOW)
	assert rule.fired == 1
	rule.times = None
	assert "connection was cut" in failure(spec, [file]).why


@pytest.mark.parametrize("size", [1000, LARGE])
def test_an_object_that_is_lost_after_it_was_taken(store: FaultyStore, spec, make_file, size):
	file = make_file(size=size)

	def lose(request):
		answer = request.forward()
		store.client().delete_object(Bucket=spec.bucket, Key=key(spec, file))
		return answer

	last = "POST" if size == LARGE else "PUT"
	rule = store.break_with(lose, lambda request: request.method == last and "uploads" not in request.query)
	assert "not there, though" in failure(spec, [file]).why
	assert rule.fired


def test_an_answer_to_the_last_request_that_is_lost(store: FaultyStore, spec, make_file):
	file = make_file(size=LARGE)

	def lose_answer(request):
		request.forward()
		raise faults.Cut

	rule = store.break_with(
		lose_answer, lambda request: "uploadId" in request.query and request.method == "POST", 1
	)
	open_store(spec).store([file], BELOW)
	assert rule.fired and stored_bytes(store, spec, file) == file.path.read_bytes()


def test_a_beginning_that_is_repeated_leaves_no_second_upload(store: FaultyStore, spec, make_file):
	def lose_answer(request):
		request.forward()
		raise faults.Cut

	rule = store.break_with(
		lose_answer, lambda request: "uploads" in request.query and request.method == "POST", 1
	)
	open_store(spec).store([make_file(size=LARGE)], BELOW)
	assert rule.fired and store.uploads(spec.bucket) == []


def test_somebody_who_wants_to_stop_leaves_nothing_half_made(store: FaultyStore, spec, make_file):
	file, stopped = make_file(size=LARGE), []

	def stop(done):
		stopped.append(done)
		raise KeyboardInterrupt

	with pytest.raises(KeyboardInterrupt):
		open_store(spec).store([file], BELOW, stop)
	assert stopped[0] in (1 << 20, 5 << 20, LARGE) and store.uploads(spec.bucket) == []
	rule = store.break_with(faults.cut, lambda request: len(stopped) == 2)
	with pytest.raises(KeyboardInterrupt):
		open_store(spec).store([file], BELOW, stop)
	assert rule.fired and store.uploads(spec.bucket) == [key(spec, file)]


UPLOADER = """
import sys
from pathlib import Path
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.plan.safe_places import S3Place
from press_deploy.engine.safe_places import open_place, s3_transfer
from press_deploy.engine.safe_places.base import StoredFile
s3_transfer.PART_BYTES = 5 << 20
spec = S3Place.model_validate_json(sys.argv[1])
files = [StoredFile(Path(path), name, int(size), sha256)
	for path, name, size, sha256 in zip(*[iter(sys.argv[3:])] * 4)]
open_place(spec, Path("/"), Programs()).store(files, sys.argv[2])
"""


def test_kill_9_between_two_parts_and_once_more(store: FaultyStore, spec: S3Place, make_file):
	files = [make_file("a"), make_file("b", LARGE)]
	released = threading.Event()
	rule = store.break_with(
		faults.say_nothing(released), lambda request: request.query.get("partNumber") == ["2"]
	)
	fields = [str(field) for file in files for field in (file.path, file.name, file.size, file.sha256)]
	command = [sys.executable, "-c", UPLOADER, spec.model_dump_json(), BELOW, *fields]
	process = subprocess.Popen(command, env=dict(os.environ))
	try:
		wait_until(lambda: rule.fired or process.poll() is not None, "the second part")
		assert rule.fired == 1
	finally:
		process.kill()
		released.set()
	assert process.wait() == -signal.SIGKILL
	assert store.uploads(spec.bucket) == [key(spec, files[1])]
	rule.times = 0
	assert not open_store(spec).holds(files, BELOW).done
	again = open_store(spec).store(files, BELOW)
	assert [entry["sent"] for entry in again] == [False, True]
	assert store.uploads(spec.bucket) == []
	assert all(stored_bytes(store, spec, file) == file.path.read_bytes() for file in files)


def test_every_failure_is_one_of_ours(store: FaultyStore, spec, make_file):
	"""Whatever request is refused, and however, boto3's own errors stay inside."""
	file = make_file(size=LARGE)
	open_store(spec).store([file], BELOW)
	count = len(store.seen)
	for number in range(count):
		store.client().delete_object(Bucket=spec.bucket, Key=key(spec, file))
		start = len(store.seen)
		rule = store.break_with(
			faults.refuse(409, "Odd"), lambda request, at=start + number + 1: len(store.seen) == at, times=1
		)
		with pytest.raises(DeployError, match=r"Odd|409"):
			open_store(spec).store([file], BELOW)
		assert rule.fired and store.uploads(spec.bucket) == []
	assert count > 8
