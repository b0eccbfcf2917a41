"""Cloud providers on loopback: real HTTP, answers and refusals as the published API documents say.

Each request is checked against the documented method, path, headers and body; what does not fit is answered with
400 and noted in `wrong`, which the fixtures assert to be empty. Faults are put before a real answer, or after the
request took effect, and count how often they fired.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests


class FakeTime:
	"""A clock that only sleeping moves; `after` lets something happen while somebody sleeps."""

	def __init__(self) -> None:
		self.now, self.slept = 0.0, []
		self._due: list[tuple[float, Callable[[], Any]]] = []

	def clock(self) -> float:
		return self.now

	def sleep(self, seconds: float) -> None:
		assert seconds > 0
		self.slept.append(seconds)
		self.now += seconds
		due = [act for moment, act in self._due if moment <= self.now]
		self._due = [entry for entry in self._due if entry[0] > self.now]
		for act in due:
			act()

	def after(self, seconds: float, act: Callable[[], Any]) -> None:
		self._due.append((self.now + seconds, act))

	@property
	def ports(self) -> dict[str, Any]:
		return {"clock": self.clock, "sleep": self.sleep, "jitter": lambda: 0.0}


@dataclass
class Fault:
	"""What goes wrong with the requests whose `METHOD path` matches; `times` None: each of them."""

	match: str
	status: int | None = None
	headers: dict[str, str] = field(default_factory=dict)
	body: bytes = b"{}"
	takes_effect: bool = False
	times: int | None = 1
	fired: int = 0

	def fits(self, request: str) -> bool:
		return (self.times is None or self.fired < self.times) and bool(re.search(self.match, request))


@dataclass
class Answer:
	status: int
	body: Any = None
	headers: dict[str, str] = field(default_factory=dict)

	def encode(self) -> bytes:
		return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Question:
	method: str
	path: str
	query: dict[str, str]
	headers: Any
	content: bytes

	@property
	def json(self) -> Any:
		return json.loads(self.content)


class Refusal(Exception):
	"""An answer that is a refusal, from deep within."""

	def __init__(self, answer: Answer):
		self.answer = answer


class LoopbackServer:
	"""An HTTP server on a free loopback port, with faults. Subclasses answer in `answer`."""

	def __init__(self) -> None:
		self.faults: list[Fault] = []
		self.questions: list[str] = []
		self.wrong: list[str] = []
		self.lock = threading.Lock()
		self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
		self._server.daemon_threads = True
		self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
		self._thread.start()

	@property
	def url(self) -> str:
		return f"http://127.0.0.1:{self._server.server_address[1]}"

	def close(self) -> None:
		self._server.shutdown()
		self._server.server_close()
		self._thread.join()

	def break_with(self, match: str, status: int | None = None, **more: Any) -> Fault:
		"""The next requests that match get this status, or (None) their connection cut."""
		self.faults.append(Fault(match, status, **more))
		return self.faults[-1]

	def count(self, match: str) -> int:
		return sum(bool(re.search(match, question)) for question in self.questions)

	def handle(self, question: Question) -> Answer | None:
		"""The answer, or None to cut the connection."""
		named = f"{question.method} {question.path}"
		with self.lock:
			self.questions.append(named)
			fault = next((fault for fault in self.faults if fault.fits(named)), None)
			if fault:
				fault.fired += 1
			if fault is None or fault.takes_effect:
				answer = self.answer_or_refuse(question)
			if fault is None:
				return answer
			return (fault.status and Answer(fault.status, fault.body.decode(), fault.headers)) or None

	def answer_or_refuse(self, question: Question) -> Answer:
		try:
			return self.answer(question)
		except Refusal as refusal:
			if refusal.answer.status == 400:
				self.wrong.append(f"{question.method} {question.path}: {refusal.answer.body}")
			return refusal.answer

	def answer(self, question: Question) -> Answer:
		raise NotImplementedError

	def demand(self, fits: object, why: str) -> None:
		"""What the documented schema demands of a request."""
		if not fits:
			raise Refusal(Answer(400, self.error_body(400, why)))

	def error_body(self, status: int, message: str) -> Any:
		return {"message": message}

	def demand_fields(self, body: Any, required: dict[str, type], optional: dict[str, type]) -> None:
		self.demand(isinstance(body, dict), "the body is no JSON object")
		known = {**required, **optional}
		for name, value in body.items():
			self.demand(name in known and type(value) is known[name], f"field {name}: {value!r}")
		self.demand(all(name in body for name in required), f"one of {list(required)} is missing")


def _handler_for(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
	class Handler(BaseHTTPRequestHandler):
		protocol_version = "HTTP/1.1"

		def do_GET(self) -> None:
			parts = urlsplit(self.path)
			query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
			content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
			answer = server.handle(Question(self.command, parts.path, query, self.headers, content))
			self.close_connection = True
			if answer is None:
				# In the middle of an answer that was promised to be longer.
				self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
				self.wfile.flush()
				self.connection.shutdown(socket.SHUT_RDWR)
				return
			data = answer.encode()
			self.send_response(answer.status)
			for name, value in {
				"Content-Length": str(len(data)),
				"Connection": "close",
				**answer.headers,
			}.items():
				self.send_header(name, value)
			self.end_headers()
			self.wfile.write(data)

		do_POST = do_PUT = do_DELETE = do_GET

		def log_message(self, *arguments: Any) -> None:
			pass

	return Handler


class FaultProxy(LoopbackServer):
	"""Hands each request on to another server over HTTP, with faults: for a provider that is itself a stand-in.

	For EC2's protocol: what faults match is the action, such as `POST CreateSnapshot`.
	"""

	def __init__(self, target: str) -> None:
		super().__init__()
		self.target = target

	def handle(self, question: Question) -> Answer | None:
		action = re.search(rb"(?:^|&)Action=(\w+)", question.content)
		named = Question(
			question.method,
			action.group(1).decode() if action else question.path,
			question.query,
			question.headers,
			question.content,
		)
		return super().handle(named)

	def answer(self, question: Question) -> Answer:
		kept = {
			name: value
			for name, value in question.headers.items()
			if name.lower() not in ("host", "connection")
		}
		with requests.Session() as session:
			session.trust_env = False
			response = session.request(
				question.method, f"{self.target}/", headers=kept, data=question.content, timeout=20
			)
		return Answer(
			response.status_code, response.text, {"Content-Type": response.headers.get("Content-Type", "")}
		)


class AwsMetadata(LoopbackServer):
	"""The instance metadata service of EC2, version 2 only."""

	def __init__(self, values: dict[str, str]) -> None:
		super().__init__()
		self.values = values
		self.token = "AQAEAtoken=="

	def answer(self, question: Question) -> Answer:
		if question.path == "/latest/api/token":
			self.demand(question.method == "PUT", "a token is asked for with PUT")
			lifetime = question.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
			self.demand(lifetime.isdecimal() and 1 <= int(lifetime) <= 21_600, "a lifetime in seconds")
			return Answer(200, self.token)
		if question.headers.get("X-aws-ec2-metadata-token") != self.token:
			return Answer(401, "")
		value = self.values.get(question.path.removeprefix("/latest/meta-data/"))
		return Answer(404, "") if value is None else Answer(200, value)
