import json
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from press_deploy.helper import protocol
from press_deploy.helper.errors import CLASSES, BadRequest, HelperError, from_wire

from .support import HANG_SECONDS, frame

JSON = st.recursive(
	st.none()
	| st.booleans()
	| st.integers()
	| st.text(max_size=20)
	| st.floats(allow_nan=False, allow_infinity=False),
	lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
	max_leaves=12,
)


def receive_raw(raw: bytes, seconds: float = HANG_SECONDS) -> dict:
	ours, theirs = socket.socketpair()
	with ours, theirs:
		writer = threading.Thread(target=lambda: (theirs.sendall(raw), theirs.shutdown(socket.SHUT_WR)))
		writer.start()
		try:
			return protocol.receive(ours, protocol.deadline_in(seconds))
		finally:
			# Whatever was not read must not keep the writer waiting.
			ours.close()
			writer.join(HANG_SECONDS)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_what_is_sent_is_received(message):
	ours, theirs = socket.socketpair()
	with ours, theirs:
		protocol.send(theirs, message, protocol.deadline_in(HANG_SECONDS))
		theirs.shutdown(socket.SHUT_WR)
		assert protocol.receive(ours, protocol.deadline_in(HANG_SECONDS)) == message


@pytest.mark.parametrize(
	("raw", "reason"),
	[
		(b"", "0 of 4"),
		(b"\0\0", "2 of 4"),
		(struct.pack(">I", 0), "0 bytes long"),
		(struct.pack(">I", protocol.MAXIMUM_BYTES + 1), "bytes long"),
		(struct.pack(">I", 2**32 - 1), "bytes long"),
		(struct.pack(">I", 10) + b"{}", "2 of 10"),
		(frame(b"{}") + b"x", "follow"),
		(frame(b"{}") + frame(b"{}"), "follow"),
		(frame(b"[]"), "not an object"),
		(frame(b"null"), "not an object"),
		(frame(b"{} {}"), "JSON"),
		(frame(b"{'a': 1}"), "JSON"),
		(frame(b'{"a": 1, "a": 2}'), "twice"),
		(frame(b'{"x": {"a": 1, "a": 1}}'), "twice"),
		(frame(b'{"a": NaN}'), "NaN"),
		(frame(b'{"a": -Infinity}'), "Infinity"),
		(frame(b'{"a": 1e999}'), "range"),
		(frame(b'{"a": "\xff"}'), "JSON"),
		(frame(b"\xef\xbb\xbf{}"), "JSON"),
		(frame(b'{"a": ' + b"[" * 30000 + b"]" * 30000 + b"}"), "JSON"),
		(frame(b'{"a": ' + b"9" * 60000 + b"}"), "JSON"),
	],
)
def test_ambiguous_or_oversized_messages_are_refused(raw, reason):
	with pytest.raises(BadRequest, match=reason):
		receive_raw(raw)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(frame)))
def test_arbitrary_bytes_give_an_object_or_a_refusal(raw):
	try:
		assert isinstance(receive_raw(raw), dict)
	except BadRequest:
		pass


def test_a_peer_that_drips_bytes_is_cut_off_in_total():
	ours, theirs = socket.socketpair()
	stop = threading.Event()

	def drip():
		theirs.sendall(struct.pack(">I", 60000))
		while not stop.wait(0.02):
			try:
				theirs.sendall(b" ")
			except OSError:
				return

	dripping = threading.Thread(target=drip)
	dripping.start()
	started = time.monotonic()
	try:
		with ours, pytest.raises(TimeoutError):
			protocol.receive(ours, protocol.deadline_in(0.5))
	finally:
		stop.set()
		dripping.join()
		theirs.close()
	# At one byte in 20 ms the message would have taken 20 minutes; each single read was in time.
	assert time.monotonic() - started < HANG_SECONDS


def test_a_peer_that_never_closes_is_cut_off():
	ours, theirs = socket.socketpair()
	with ours, theirs:
		theirs.sendall(frame(b"{}"))
		with pytest.raises(TimeoutError):
			protocol.receive(ours, protocol.deadline_in(0.2))


@pytest.mark.parametrize(
	"message", [{"a": "x" * protocol.MAXIMUM_BYTES}, {"a": float("nan")}, {"a": object()}]
)
def test_what_cannot_be_sent_is_refused(message):
	with pytest.raises(BadRequest):
		protocol.encode(message)


@pytest.mark.parametrize("kind", CLASSES.values())
def test_errors_survive_the_wire(kind):
	error = from_wire(json.loads(json.dumps(kind("because").to_wire())))
	assert type(error) is kind
	assert str(error) == "because"


@pytest.mark.parametrize("wire", [None, 7, {}, {"code": ["x"]}, {"code": "__class__", "message": 1}])
def test_unreadable_errors_are_errors_still(wire):
	assert type(from_wire(wire)) is HelperError
