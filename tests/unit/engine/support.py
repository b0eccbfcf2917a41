"""What the engine's tests share: a bench of plain files, a plan, a web server that says what it is told."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from press_deploy.engine.plan.spec import PlanSpec, read_plan

HANG_SECONDS = 20.0
# Runs are known by their name in the environment of processes; two sessions of tests must not meet.
OWN = f"test-{os.getpid()}"
SITE = "shop.example"
SHA256 = "0" * 64
# No test of a field accepts any of these for a name, a path, a ref or a key.
HOSTILE_TEXT = [
	"",
	"../../x",
	"..",
	"; rm -rf /",
	"a; rm",
	"$(id)",
	"`id`",
	"--upload-pack=x",
	"-x",
	"a\0b",
	"a\nb",
	"a\r\nb",
	"a b",
	" a",
	"a|b",
	"a&b",
	"a*",
	"a'b",
	'a"b',
	"a\\b",
	"\u2028a",
	"x" * 10_000,
]
WRONG_TYPES = [None, True, 1, 1.5, ["a"], {"a": "b"}]

MINIMAL: dict[str, Any] = {
	"title": "Release",
	"approved_by": "ada",
	"sites": [{"name": SITE}],
	"apps": [{"name": "shop", "ref": "main"}],
}


def make_spec(**overrides: Any) -> PlanSpec:
	return read_plan({**MINIMAL, **overrides})


def make_bench(path: Path, *sites: str) -> Path:
	"""The directories and files that make a bench."""
	for name in ("apps", "config", "logs", "sites", "env"):
		(path / name).mkdir(parents=True)
	(path / "sites" / "common_site_config.json").write_text("{}")
	(path / "sites" / "apps.txt").write_text("shop\n")
	for site in sites or (SITE,):
		(path / "sites" / site / "logs").mkdir(parents=True)
		(path / "sites" / site / "site_config.json").write_text(json.dumps({"db_name": "x"}))
	return path


def put_python(bench: Path) -> None:
	"""An environment that has what is installed here."""
	python = bench / "env" / "bin" / "python"
	python.parent.mkdir(parents=True, exist_ok=True)
	python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
	python.chmod(0o755)


def wait_until(look: Callable[[], Any], what: str, seconds: float = HANG_SECONDS) -> Any:
	"""Look until there is something, and return it; fail the test when there never is."""
	deadline = time.monotonic() + seconds
	while time.monotonic() < deadline:
		if found := look():
			return found
		time.sleep(0.01)
	raise AssertionError(f"not within {seconds:g} s: {what}")


def git(directory: Path, *arguments: str) -> str:
	"""Run git as somebody with a name and no configuration of his own."""
	identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
	command = ["git", "-C", str(directory), *identity, *arguments]
	return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_file(directory: Path, name: str, content: str) -> str:
	"""Commit one file; return the commit."""
	(directory / name).parent.mkdir(parents=True, exist_ok=True)
	(directory / name).write_text(content)
	git(directory, "add", "--", name)
	git(directory, "commit", "--quiet", "-m", f"Change {name}")
	return git(directory, "rev-parse", "HEAD")


class Server(ThreadingHTTPServer):
	"""Answers every request with what `answer(handler)` writes, and keeps their headers."""

	daemon_threads = True

	def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]):
		server = self
		self.answer, self.requests = answer, []

		class Handler(BaseHTTPRequestHandler):
			def do_GET(self) -> None:
				server.requests.append((self.command, self.path, dict(self.headers)))
				server.answer(self)

			do_POST = do_HEAD = do_GET

			def log_message(self, *_arguments: Any) -> None:
				pass

		super().__init__(("127.0.0.1", 0), Handler)

	@property
	def address(self) -> str:
		return f"http://127.0.0.1:{self.server_port}"

	def handle_error(self, *_arguments: Any) -> None:
		"""A client that hangs up is none of the server's affairs."""


@contextmanager
def serve(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Server]:
	with Server(answer) as server:
		thread = threading.Thread(target=server.serve_forever, args=(0.02,))
		thread.start()
		try:
			yield server
		finally:
			server.shutdown()
			thread.join()


@contextmanager
def nobody_listening() -> Iterator[str]:
	"""An address that refuses, and that nobody else can take meanwhile: a port that is bound and not listened on."""
	with socket.socket() as held:
		held.bind(("127.0.0.1", 0))
		yield f"http://127.0.0.1:{held.getsockname()[1]}"


def reply(status: int, body: bytes = b"pong", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
	"""An answer with a status, a body and headers."""

	def answer(handler: BaseHTTPRequestHandler) -> None:
		handler.send_response(status)
		named = {name.replace("_", "-"): value for name, value in headers.items()}
		for name, value in {"Content-Length": str(len(body)), **named}.items():
			handler.send_header(name, value)
		handler.end_headers()
		handler.wfile.write(body)

	return answer
