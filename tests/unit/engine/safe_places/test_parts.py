"""Sending parts from several threads, against a store that is a function."""

import hashlib
import itertools
import threading
import time

import pytest

from press_deploy.engine.safe_places import s3_parts
from press_deploy.engine.safe_places.s3_parts import PartSender, encode

PART_BYTES = 1000
CONTENTS = [bytes([number]) * PART_BYTES for number in range(10)]
DIGESTS = [hashlib.sha256(content).digest() for content in CONTENTS]


class Refused(Exception):
	pass


def ignore(sent):
	pass


def send(upload_part, part_bytes=PART_BYTES, report=ignore, contents=CONTENTS):
	return PartSender(upload_part, part_bytes, report).send(iter(contents), DIGESTS)


def test_every_part_goes_with_its_own_checksum_and_comes_back_in_order():
	def upload_part(**asked):
		content = asked["Body"].read()
		# The later ones are faster.
		time.sleep((10 - asked["PartNumber"]) / 500)
		assert asked["ChecksumSHA256"] == encode(hashlib.sha256(content).digest())
		return {"ETag": content[:1].hex()}

	told = []
	parts = send(upload_part, report=told.append)
	assert [(each["PartNumber"], each["ETag"]) for each in parts] == [
		(number, f"{number - 1:02x}") for number in range(1, 11)
	]
	assert told == sorted(told) and told[-1] == 10 * PART_BYTES


@pytest.mark.parametrize(
	("part_bytes", "at_once"), [(1000, 4), (16 << 20, 4), (20 << 20, 3), (64 << 20, 1), (500 << 20, 1)]
)
def test_large_parts_are_fewer_at_once(part_bytes, at_once):
	under_way, most, lock = set(), 0, threading.Lock()

	def upload_part(**asked):
		nonlocal most
		with lock:
			under_way.add(asked["PartNumber"])
			most = max(most, len(under_way))
		time.sleep(0.02)
		under_way.discard(asked["PartNumber"])
		return {"ETag": ""}

	send(upload_part, part_bytes)
	assert most == at_once


def test_content_is_read_only_when_a_part_of_it_can_go():
	read, arrived = itertools.count(1), []

	def contents():
		for content in CONTENTS:
			assert next(read) <= len(arrived) + s3_parts.AT_ONCE
			yield content

	def upload_part(**asked):
		time.sleep(0.005)
		arrived.append(asked["PartNumber"])
		return {"ETag": ""}

	send(upload_part, contents=contents())
	assert len(arrived) == 10


def test_the_others_end_in_their_middle_when_one_fails():
	asked_for, reading = [], threading.Barrier(s3_parts.AT_ONCE)

	def upload_part(**asked):
		asked_for.append(asked["PartNumber"])
		reading.wait(10)
		if asked["PartNumber"] == 1:
			raise Refused
		for _chunk in range(1000):
			asked["Body"].read(1)
			time.sleep(0.01)
		pytest.fail("nobody told it to give up")

	with pytest.raises(Refused):
		send(upload_part)
	assert sorted(asked_for) == [1, 2, 3, 4]


def test_whoever_wants_to_stop_is_heard_while_no_part_arrives(monkeypatch):
	monkeypatch.setattr(s3_parts, "TELL_SECONDS", 0.01)
	begun = threading.Event()

	def upload_part(**asked):
		begun.set()
		while True:
			asked["Body"].read(0)
			time.sleep(0.01)

	def stop(sent):
		if begun.is_set():
			raise KeyboardInterrupt

	with pytest.raises(KeyboardInterrupt):
		send(upload_part, report=stop)


def test_a_file_that_has_become_shorter_is_sent_as_it_is():
	assert len(send(lambda **asked: {"ETag": ""}, contents=CONTENTS[:3])) == 3
