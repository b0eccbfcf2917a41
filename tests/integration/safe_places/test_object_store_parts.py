"""Parts of one upload that are on their way at once: in any order, never too many, and none after the end."""

from __future__ import annotations

import threading
import time

import pytest

from press_deploy.engine.safe_places import s3_client, s3_parts
from tests.support import object_store as faults
from tests.support.object_store import BELOW, LARGE, FaultyStore, Request, failure, open_store, stored_bytes

# Four parts, the last of them a short one.
FOUR_PARTS = 16 << 20


def test_a_part_does_not_wait_for_the_one_before(store: FaultyStore, spec, make_file):
	file, second_arrived = make_file(size=LARGE), threading.Event()

	def hold_the_first_back(request: Request) -> faults.Answer:
		if request.query["partNumber"] == ["1"]:
			assert second_arrived.wait(20), "the second part was not sent before the first had arrived"
			return request.forward()
		answer = request.forward()
		second_arrived.set()
		return answer

	rule = store.break_with(hold_the_first_back, lambda request: request.is_part)
	told: list[int] = []
	assert open_store(spec).store([file], BELOW, told.append)[0]["sent"]
	assert rule.fired == 2 and stored_bytes(store, spec, file) == file.path.read_bytes()
	assert told == sorted(told) and told[-1] == file.size


def test_no_more_parts_are_on_their_way_than_memory_allows(store: FaultyStore, spec, make_file, monkeypatch):
	monkeypatch.setattr(s3_parts, "MEMORY_BYTES", 10 << 20)
	file, under_way, most, lock = make_file(size=FOUR_PARTS), 0, 0, threading.Lock()

	def count(request: Request) -> faults.Answer:
		nonlocal under_way, most
		with lock:
			under_way += 1
			most = max(most, under_way)
		time.sleep(0.2)
		try:
			return request.forward()
		finally:
			with lock:
				under_way -= 1

	rule = store.break_with(count, lambda request: request.is_part)
	open_store(spec).store([file], BELOW)
	assert (rule.fired, most) == (4, 2) and stored_bytes(store, spec, file) == file.path.read_bytes()


@pytest.mark.parametrize("number", ["1", "3", "4"])
def test_a_part_that_fails_ends_the_others(store: FaultyStore, spec, make_file, number):
	rule = store.break_with(
		faults.refuse(403, "AccessDenied"), lambda request: request.query.get("partNumber") == [number]
	)
	assert "access is denied" in failure(spec, [make_file(size=FOUR_PARTS)]).why
	assert rule.fired == 1 and store.uploads(spec.bucket) == []
	assert not [thread for thread in threading.enumerate() if thread.name.startswith("part")]


def test_a_stop_is_heeded_while_no_part_arrives(store: FaultyStore, spec, make_file, monkeypatch):
	"""And no part is sent again for it, though it did not arrive."""
	monkeypatch.setattr(s3_client, "READ_SECONDS", 0.5)
	monkeypatch.setattr(s3_parts, "TELL_SECONDS", 0.05)
	released, file = threading.Event(), make_file(size=LARGE)
	rule = store.break_with(faults.say_nothing(released), lambda request: request.is_part)

	def stop(done: int) -> None:
		if rule.fired == 2:
			raise KeyboardInterrupt

	try:
		with pytest.raises(KeyboardInterrupt):
			open_store(spec).store([file], BELOW, stop)
	finally:
		released.set()
	assert rule.fired == 2 and store.uploads(spec.bucket) == []
