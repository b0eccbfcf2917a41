"""The wire: one JSON object in each direction, each behind a length of four bytes (big-endian).

	request   {"version": 1, "verb": str, "bench": str, "arguments": {…}}
	response  {"ok": true, "result": {…}}  |  {"ok": false, "error": {"code", "message"}}

Invariant: a peer can neither make us hold more than `MAXIMUM_BYTES` nor wait past the deadline,
whatever it sends and however slowly; anything ambiguous is refused, not interpreted.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time

from .errors import BadRequest

VERSION = 1
MAXIMUM_BYTES = 64 * 1024
LENGTH = struct.Struct(">I")
CREDENTIALS = struct.Struct("3i")


def deadline_in(seconds: float) -> float:
	"""Return the point on the monotonic clock that is `seconds` from now."""
	return time.monotonic() + seconds


def ask(connection: socket.socket, message: dict, deadline: float) -> dict:
	"""Send one message and return the one that answers it. Raises BadRequest, TimeoutError, OSError."""
	try:
		send(connection, message, deadline)
		connection.shutdown(socket.SHUT_WR)
	except (BrokenPipeError, ConnectionResetError):
		# Turned away before it was read; the reason can be read all the same.
		pass
	return receive(connection, deadline)


def send(connection: socket.socket, message: dict, deadline: float) -> None:
	"""Send one message; it counts once the sending side is closed.

	Raises BadRequest, TimeoutError, OSError.
	"""
	payload = encode(message)
	connection.settimeout(_remaining(deadline))
	connection.sendall(LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket, deadline: float) -> dict:
	"""Read the one message that the peer sends. Raises BadRequest, TimeoutError, OSError."""
	(length,) = LENGTH.unpack(_read_exactly(connection, LENGTH.size, deadline))
	if not 0 < length <= MAXIMUM_BYTES:
		raise BadRequest(f"The message is {length} bytes long; send 1 to {MAXIMUM_BYTES}.")
	payload = _read_exactly(connection, length, deadline)
	_require_end(connection, deadline)
	return decode(payload)


def read_credentials(connection: socket.socket) -> tuple[int, int]:
	"""Return process id and user id of the peer of a unix socket, as the kernel knows them."""
	packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
	pid, uid, _ = CREDENTIALS.unpack(packed)
	return pid, uid


def encode(message: dict) -> bytes:
	"""Return the JSON of a message. Raises BadRequest when it is too large or not JSON."""
	try:
		payload = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
	except (TypeError, ValueError, RecursionError) as error:
		raise BadRequest(f"The message cannot be written as JSON: {error}") from None
	if len(payload) > MAXIMUM_BYTES:
		raise BadRequest(f"The message has {len(payload)} bytes; at most {MAXIMUM_BYTES} are allowed.")
	return payload


def decode(payload: bytes) -> dict:
	"""Read one JSON object strictly: no duplicate keys, no NaN, nothing after it. Raises BadRequest."""
	try:
		message = json.loads(
			payload.decode("utf-8"),
			object_pairs_hook=_build_object,
			parse_constant=_refuse_constant,
			parse_float=_read_finite,
		)
	except (ValueError, RecursionError) as error:
		raise BadRequest(f"The message is not acceptable JSON: {error}") from None
	if not isinstance(message, dict):
		raise BadRequest("The message is JSON, but not an object; send {…}.")
	return message


def _read_exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
	received = bytearray()
	while len(received) < count:
		# The time left shrinks with every read, so a peer that drips single bytes gains nothing.
		connection.settimeout(_remaining(deadline))
		chunk = connection.recv(count - len(received))
		if not chunk:
			raise BadRequest(f"The peer closed after {len(received)} of {count} expected bytes.")
		received += chunk
	return bytes(received)


def _require_end(connection: socket.socket, deadline: float) -> None:
	connection.settimeout(_remaining(deadline))
	try:
		follows = connection.recv(1)
	except ConnectionResetError:
		# The peer answered without reading all that we sent. Its message is complete nonetheless.
		return
	if follows:
		raise BadRequest("Bytes follow the message; send one message, then close your sending side.")


def _remaining(deadline: float) -> float:
	remaining = deadline - time.monotonic()
	if remaining <= 0:
		raise TimeoutError("the peer took too long")
	return remaining


def _build_object(pairs: list) -> dict:
	built = dict(pairs)
	if len(built) != len(pairs):
		raise ValueError("an object has the same key twice")
	return built


def _refuse_constant(name: str) -> None:
	raise ValueError(f"{name} is not a JSON value")


def _read_finite(text: str) -> float:
	number = float(text)
	if not math.isfinite(number):
		raise ValueError(f"{text} is out of range")
	return number
