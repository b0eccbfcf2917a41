"""Asking over HTTP: each way in which a server fails has its name, and none of them raises or hangs."""

import gzip
import socket
import threading
import time

import pytest

from press_deploy.engine.bench.answer import (
	BROKEN,
	CLIENT_ERROR,
	GOOD,
	MAINTENANCE,
	REFUSED,
	SERVER_ERROR,
	TIMEOUT,
)
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.web import Web, fetch

from .support import HANG_SECONDS, SITE, make_bench, make_spec, nobody_listening, reply, serve


@pytest.mark.parametrize(
	"status,kind",
	[
		(200, GOOD),
		(204, GOOD),
		(302, GOOD),
		(403, CLIENT_ERROR),
		(404, CLIENT_ERROR),
		(500, SERVER_ERROR),
		(502, SERVER_ERROR),
		(503, MAINTENANCE),
	],
)
def test_a_status_has_a_kind(status, kind):
	with serve(reply(status, b"" if status == 204 else b"pong")) as server:
		answer = fetch(server.address)
	assert (answer.status, answer.kind) == (status, kind) and answer.latency_ms > 0


def test_a_redirect_is_not_followed():
	with serve(reply(302, b"", Location="http://127.0.0.1:1/evil")) as server:
		assert fetch(server.address).status == 302
		assert len(server.requests) == 1


def test_the_environment_s_proxy_is_not_asked(monkeypatch):
	for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
		monkeypatch.setenv(name, "http://127.0.0.1:1")
	with serve(reply(200)) as server:
		assert fetch(server.address).kind == GOOD


def cut_off(handler):
	reply(200, b"x" * 10, Content_Length="1000")(handler)


def hang_up(handler):
	handler.close_connection = True
	handler.connection.shutdown(socket.SHUT_RDWR)


def no_http(handler):
	handler.wfile.write(b"rubbish\r\n\r\n")


def bad_gzip(handler):
	reply(200, b"no gzip at all", Content_Encoding="gzip")(handler)


@pytest.mark.parametrize("answer", [cut_off, hang_up, no_http, bad_gzip])
def test_half_an_answer_is_none(answer):
	with serve(answer) as server:
		found = fetch(server.address)
	assert (found.status, found.kind, found.text) == (None, BROKEN, "") and found.why


def test_nobody_listening_is_told_from_a_broken_connection():
	with nobody_listening() as address:
		assert fetch(address).kind == REFUSED
	assert fetch("http://host.invalid/").kind == BROKEN


def test_silence_ends_in_time():
	with socket.create_server(("127.0.0.1", 0)) as listener:
		answer = fetch(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
	assert (answer.status, answer.kind) == (None, TIMEOUT)


def test_a_body_that_drips_ends_in_time():
	over = threading.Event()

	def drip(handler):
		handler.send_response(200)
		handler.end_headers()
		while not over.wait(0.05):
			handler.wfile.write(b"x")

	with serve(drip) as server:
		begun = time.monotonic()
		answer = fetch(server.address, timeout=0.5)
		over.set()
	assert (answer.status, answer.kind) == (None, TIMEOUT) and time.monotonic() - begun < HANG_SECONDS


def test_a_compressed_body_is_read():
	def pack(handler):
		body = gzip.compress(b"pong" * 9)
		handler.send_response(200)
		handler.send_header("Content-Encoding", "gzip")
		handler.send_header("Content-Length", str(len(body)))
		handler.end_headers()
		handler.wfile.write(body)

	with serve(pack) as server:
		assert fetch(server.address).text == "pong" * 9


def test_a_huge_body_is_not_read_whole():
	with serve(reply(200, b"x" * 5_000_000)) as server:
		assert 1_000_000 <= len(fetch(server.address).text) < 5_000_000


@pytest.mark.parametrize("url", ["http://", "no address", "http://[", "ftp://host/"])
def test_what_is_no_address_does_not_raise(url):
	assert fetch(url).kind == BROKEN


@pytest.mark.parametrize("value", ["é", " x", "\ud800"])
def test_a_header_that_cannot_be_sent_does_not_raise(value):
	with serve(reply(200)) as server:
		assert fetch(server.address, headers={"X-A": value}).kind in (BROKEN, GOOD)


def test_each_address_is_asked_for_the_right_site(tmp_path):
	bench = Bench(make_bench(tmp_path / "bench"))
	with serve(reply(200)) as own, serve(reply(200)) as public, serve(reply(200)) as preview:
		bench.common_config.write_text(f'{{"webserver_port": {own.server_port}}}')
		web = Web(
			bench, make_spec(sites=[{"name": SITE, "public_url": public.address}, {"name": "b.example"}])
		)
		web.ask(SITE, "/a", headers={"Accept": "x"}, method="POST")
		web.ask("b.example", "/b", public=True)
		web.ask(SITE, "/c", public=True)
		web.ask(SITE, "/d", address=preview.address)
		asked = {
			name: [
				(method, path, headers["Host"], headers.get("X-Frappe-Site-Name"))
				for method, path, headers in server.requests
			]
			for name, server in (("own", own), ("public", public), ("preview", preview))
		}
	assert asked == {
		"own": [("POST", "/a", SITE, SITE), ("GET", "/b", "b.example", "b.example")],
		"public": [("GET", "/c", public.address.removeprefix("http://"), None)],
		"preview": [("GET", "/d", SITE, SITE)],
	}
