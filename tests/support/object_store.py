"""A real S3 endpoint on loopback, and before it a proxy that breaks what it is told to break."""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.safe_places import S3Place
from press_deploy.engine.safe_places import open_place
from press_deploy.engine.safe_places.base import SafePlace, StoredFile

LOOPBACK = "127.0.0.1"
BELOW = "bench/run-1/shop.example"
# Two parts.
LARGE = 6 << 20
SECRET = "secret-of-the-environment"
# The connection is the proxy's own, and moto has no use for the other two.
_NOT_PASSED_ON = {"host", "connection", "expect"}
_HANG_SECONDS = 30


@dataclass
class Request:
	"""What a client asks, as the proxy sees it."""

	method: str
	path: str
	headers: dict[str, str]
	body: bytes
	# Set by a fault that needs to go on to the real store by itself.
	forward: Callable[[], Answer]

	@property
	def query(self) -> dict[str, list[str]]:
		return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

	@property
	def key(self) -> str:
		"""The key without the bucket, which is the first part of the path."""
		return urlsplit(self.path).path.lstrip("/").partition("/")[2]

	@property
	def is_part(self) -> bool:
		return self.method == "PUT" and "partNumber" in self.query

	@property
	def is_object(self) -> bool:
		return self.method == "PUT" and bool(self.key) and not self.query.get("partNumber")

	@property
	def is_read(self) -> bool:
		return self.method == "GET" and "range" in self.headers


@dataclass
class Answer:
	status: int
	headers: list[tuple[str, str]]
	body: bytes
	# Bytes of the body that are sent before the connection is cut.
	cut_after: int | None = None


class Cut(Exception):
	"""The proxy hangs up without a word."""


Fault = Callable[[Request], Answer]


@dataclass
class Rule:
	"""A fault, what it is for, and how often it has struck."""

	matches: Callable[[Request], bool]
	fault: Fault
	times: int | None
	fired: int = 0

	def takes(self, request: Request) -> bool:
		return (self.times is None or self.fired < self.times) and self.matches(request)


@dataclass
class FaultyStore:
	"""The address of the proxy, the rules it follows and the requests it saw."""

	url: str
	direct_url: str
	rules: list[Rule] = field(default_factory=list)
	seen: list[Request] = field(default_factory=list)
	_lock: threading.Lock = field(default_factory=threading.Lock)

	def break_with(self, fault: Fault, matches: Callable[[Request], bool], times: int | None = None) -> Rule:
		"""Let a fault strike the requests that match, for ever or so many times."""
		rule = Rule(matches, fault, times)
		self.rules.append(rule)
		return rule

	def answer(self, request: Request) -> Answer:
		with self._lock:
			self.seen.append(request)
			rule = next((rule for rule in self.rules if rule.takes(request)), None)
			if rule:
				rule.fired += 1
		return rule.fault(request) if rule else request.forward()

	def client(self) -> Any:
		"""A client of the real store, past the proxy."""
		return boto3.client(
			"s3",
			endpoint_url=self.direct_url,
			region_name="us-east-1",
			aws_access_key_id="direct",
			aws_secret_access_key="direct",
		)

	def uploads(self, bucket: str) -> list[str]:
		"""The keys of half-made uploads."""
		found = self.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
		return [upload["Key"] for upload in found]


# --- faults ------------------------------------------------------------------------------------


def refuse(status: int, code: str) -> Fault:
	"""An error of S3."""
	body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
	return lambda request: Answer(
		status, [("Content-Type", "application/xml")], b"" if request.method == "HEAD" else body
	)


def cut(request: Request) -> Answer:
	raise Cut


def cut_answer(request: Request) -> Answer:
	"""The answer begins well and ends in its middle."""
	answer = request.forward()
	answer.cut_after = len(answer.body) // 2
	return answer


def say_nothing(released: threading.Event) -> Fault:
	"""No answer, until the test releases it."""

	def fault(request: Request) -> Answer:
		released.wait(_HANG_SECONDS)
		raise Cut

	return fault


def alter_request(request: Request) -> Answer:
	"""One bit of the body changes on its way to the store, which checks nothing."""
	flipped = bytes([request.body[0] ^ 1]) + request.body[1:]
	return _forward_with(request, flipped)


def alter_request_checked(request: Request) -> Answer:
	"""As above, with a store that compares the checksum it was given, as S3 does."""
	flipped = bytes([request.body[0] ^ 1]) + request.body[1:]
	told = request.headers.get("x-amz-checksum-sha256")
	if told != base64.b64encode(hashlib.sha256(flipped).digest()).decode():
		return refuse(400, "BadDigest")(request)
	return _forward_with(request, flipped)


def alter_answer(request: Request) -> Answer:
	"""One bit changes on the way back, or on the store's disk."""
	answer = request.forward()
	answer.body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
	return answer


def _forward_with(request: Request, body: bytes) -> Answer:
	request.body = body
	return request.forward()


# --- servers -----------------------------------------------------------------------------------


@contextmanager
def running_store() -> Iterator[str]:
	"""The address of a moto server."""
	server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
	server.start()
	try:
		host, port = server.get_host_and_port()
		yield f"http://{host}:{port}"
	finally:
		server.stop()


@contextmanager
def faulty_proxy(store_url: str) -> Iterator[FaultyStore]:
	"""A proxy before a store; without rules it changes nothing."""
	server = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
	server.daemon_threads = True
	server.faulty = FaultyStore(f"http://{LOOPBACK}:{server.server_address[1]}", store_url)
	thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
	thread.start()
	try:
		yield server.faulty
	finally:
		server.shutdown()
		server.server_close()
		thread.join()


class _Handler(BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"
	# Without it an answer waits for the acknowledgement of its own head.
	disable_nagle_algorithm = True

	def _serve(self) -> None:
		headers = {name.lower(): value for name, value in self.headers.items()}
		length = int(headers.get("content-length") or 0)
		body = b""
		if self.server.faulty.rules and self._is_cut_in_its_middle(headers, length):
			return
		body = self.rfile.read(length)
		request = Request(self.command, self.path, headers, body, lambda: _forward(self, request))
		try:
			self._write(self.server.faulty.answer(request))
		except (Cut, OSError):
			self.close_connection = True

	def _is_cut_in_its_middle(self, headers: dict[str, str], length: int) -> bool:
		"""A rule with the fault `cut` strikes when half of the body has been read."""
		faulty = self.server.faulty
		request = Request(self.command, self.path, headers, b"", lambda: _forward(self, request))
		with faulty._lock:
			rule = next((rule for rule in faulty.rules if rule.fault is cut and rule.takes(request)), None)
			if rule is None:
				return False
			rule.fired += 1
			faulty.seen.append(request)
		self.rfile.read(length // 2)
		self.close_connection = True
		return True

	def _write(self, answer: Answer) -> None:
		self.send_response(answer.status)
		for name, value in answer.headers:
			if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
				self.send_header(name, value)
		if not any(name.lower() == "content-length" for name, _value in answer.headers):
			self.send_header("Content-Length", str(len(answer.body)))
		self.end_headers()
		self.wfile.write(answer.body if answer.cut_after is None else answer.body[: answer.cut_after])
		if answer.cut_after is not None:
			raise Cut

	do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

	def log_message(self, *arguments: Any) -> None:
		pass


def _forward(handler: _Handler, request: Request) -> Answer:
	place = urlsplit(handler.server.faulty.direct_url)
	connection = http.client.HTTPConnection(place.hostname, place.port, timeout=_HANG_SECONDS)
	try:
		headers = {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON}
		connection.request(request.method, request.path, request.body, headers)
		answer = connection.getresponse()
		return Answer(answer.status, answer.getheaders(), answer.read())
	finally:
		connection.close()


# --- the place that is tested ---------------------------------------------------------------


def open_store(spec: S3Place, credentials: dict[str, str] | None = None) -> SafePlace:
	return open_place(spec, Path("/"), Programs(), credentials)


def key(spec: S3Place, file: StoredFile) -> str:
	return f"{spec.prefix}/{BELOW}/{file.name}"


def stored_bytes(store: FaultyStore, spec: S3Place, file: StoredFile) -> bytes:
	return store.client().get_object(Bucket=spec.bucket, Key=key(spec, file))["Body"].read()


def failure(spec: S3Place, files: list[StoredFile]) -> StepFailed:
	"""How storing fails, which it must, with a remedy and without a secret."""
	with pytest.raises(StepFailed) as caught:
		open_store(spec).store(files, BELOW)
	assert SECRET not in str(caught.value) and caught.value.remedy
	return caught.value
