"""Access logs: every line of the described format is read once, whatever becomes of the file; others are counted."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.watching.access_logs import (
	LINE_LIMIT_BYTES,
	OTHER_ROUTES,
	AccessLog,
	Hit,
	read_format,
	route_of,
)
from press_deploy.engine.watching.nginx import COMBINED, find_access_logs

MOMENT = datetime.fromisoformat("2026-01-31T22:00:00+00:00").timestamp()
TIMED = f"{COMBINED} $host $request_time"
LINE = '192.0.2.1 - - [31/Jan/2026:22:00:00 +0000] "GET {} HTTP/1.1" {} 18 "-" "Mozilla/5.0 (X11)"'


def line(path: str = "/app", status: int = 200, rest: str = "") -> bytes:
	return (LINE.format(path, status) + rest).encode()


class TestFormats:
	def test_the_usual_one(self) -> None:
		usual = read_format(COMBINED)
		assert not usual.has_duration and not usual.has_host
		assert usual.read(line("/app/order?x=1", 502)) == Hit(MOMENT, "/app", 502, None)

	def test_one_with_duration_and_site(self) -> None:
		timed = read_format(TIMED)
		assert timed.has_duration and timed.has_host
		hit = timed.read(line(rest=" shop.example 0.125"))
		assert hit == Hit(MOMENT, "/app", 200, 125.0, "shop.example")

	@pytest.mark.parametrize(
		("description", "text"),
		[
			("$msec $request_uri $status", "1769896800.000 /app 200"),
			(
				"${time_iso8601}|$request_method|$request_uri|$status",
				"2026-01-31T22:00:00+00:00|GET|/app?a|200",
			),
			('[$time_local] $status "$request"', '[31/Jan/2026:22:00:00 +0000] 200 "GET /app HTTP/2.0"'),
			('{"t":$msec,"u":"$request_uri","s":$status}', '{"t":1769896800.000,"u":"/app","s":200}'),
		],
	)
	def test_others(self, description: str, text: str) -> None:
		assert read_format(description).read(text.encode()) == Hit(MOMENT, "/app", 200, None)

	@pytest.mark.parametrize(
		("description", "missing"),
		[
			("$remote_addr", "$time_local"),
			('[$time_local] "$request"', "$status"),
			("[$time_local] $status", "$request"),
			("", "$status"),
		],
	)
	def test_one_that_says_too_little_is_refused(self, description: str, missing: str) -> None:
		with pytest.raises(InputError, match=missing.replace("$", r"\$")):
			read_format(description)

	@pytest.mark.parametrize(
		"text",
		[
			b"",
			b"\xff\xfe\0" * 50,
			b"INFO fine",
			line()[:60],
			line().replace(b"31/Jan", b"99/Foo"),
			line().replace(b"GET /app HTTP/1.1", b"-"),
			line().replace(b"GET /app HTTP/1.1", rb"\x16\x03\x01"),
			line(status=200) + b" more than is described",
		],
	)
	def test_what_is_not_made_up_so_is_no_answer(self, text: bytes) -> None:
		assert read_format(COMBINED).read(text) is None

	def test_a_long_line_is_given_up_soon(self) -> None:
		assert read_format(TIMED).read(b'"' * 60_000) is None


@pytest.mark.parametrize(
	("address", "route"),
	[
		("/", "/"),
		("", "/"),
		("/?x=1", "/"),
		("/app/sales-order/SO-1", "/app"),
		("/api/method/frappe.client.get_list?doctype=X", "/api/method/frappe.client.get_list"),
		("/api/resource/Sales%20Order/SO-1", "/api/resource/Sales Order"),
		("/api/v2/document/Sales%20Order/SO-1", "/api/v2/document/Sales Order"),
		("/api", "/api"),
		("/?cmd=login", "/api/method/login"),
		("/assets/frappe/dist/js/a.js", "/assets"),
		("/?cmd=" + "x" * 500, OTHER_ROUTES),
		("/<script>/x", OTHER_ROUTES),
		("/" + "a" * 5000, OTHER_ROUTES),
		("/%00%ff", OTHER_ROUTES),
	],
)
def test_a_route_is_what_answers(address: str, route: str) -> None:
	assert route_of(address) == route


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
	file = tmp_path / "access.log"
	file.write_bytes(line("/before") + b"\n")
	found = AccessLog(file, read_format(COMBINED))
	found.skip_to_end()
	return found


def append(log: AccessLog, *lines: bytes) -> None:
	with log.file.open("ab") as output:
		output.write(b"".join(lines))


def routes(log: AccessLog) -> list[str]:
	return [hit.route for hit in log.read()]


class TestReading:
	def test_only_what_is_new_and_that_once(self, log: AccessLog) -> None:
		assert routes(log) == []
		append(log, line("/a"), b"\n", line("/b"), b"\n")
		assert routes(log) == ["/a", "/b"]
		assert routes(log) == []

	def test_a_line_is_read_when_it_is_whole(self, log: AccessLog) -> None:
		append(log, line("/a")[:40])
		assert routes(log) == [] and log.unread == 0
		append(log, line("/a")[40:], b"\n")
		assert routes(log) == ["/a"]

	def test_renamed(self, log: AccessLog) -> None:
		append(log, line("/a"), b"\n")
		assert routes(log) == ["/a"]
		append(log, line("/b"), b"\n")
		log.file.rename(log.file.with_name("access.log.1"))
		append(log, line("/c"), b"\n")
		assert routes(log) == ["/b", "/c"]
		assert routes(log) == []

	def test_truncated(self, log: AccessLog) -> None:
		append(log, *[line("/a"), b"\n"] * 3)
		assert routes(log) == ["/a"] * 3
		os.truncate(log.file, 0)
		append(log, line("/b"), b"\n")
		assert routes(log) == ["/b"]

	def test_what_is_no_answer_is_counted(self, log: AccessLog) -> None:
		append(log, b"nothing\n\n", line("/socket.io/?EIO=4"), b"\n", line("/a"), b"\r\n")
		assert routes(log) == ["/a"] and log.unread == 1

	def test_a_line_without_end_takes_no_memory(self, log: AccessLog) -> None:
		append(log, b"x" * (20 * LINE_LIMIT_BYTES))
		assert routes(log) == []
		append(log, b"\n", line("/a"), b"\n")
		assert routes(log) == ["/a"] and log.unread == 1

	def test_one_that_is_gone_is_told(self, log: AccessLog) -> None:
		log.file.unlink()
		with pytest.raises(OSError):
			routes(log)


CONFIGURATION = """
http {{
	log_format main '$remote_addr [$time_local] ' '"$request" $status';
	access_log {logs}/all.log;
	include {directory}/conf.d/*.conf;
	server {{ server_name other.example; access_log {logs}/other.log main; }}
}}
"""
SERVERS = """
server {{ listen 80; server_name shop.example second.example; access_log {logs}/shop.log main buffer=4k; }}
server {{ server_name quiet.example; access_log off; }}
server {{ server_name plain.example; location / {{ return 200; }} }}
server {{ server_name odd.example; access_log {logs}/odd.log unknown; access_log syslog:server=192.0.2.1; }}
server {{ server_name varied.example; access_log {logs}/$host.log main; }}
"""


class TestConfiguration:
	@pytest.fixture
	def file(self, tmp_path: Path) -> Path:
		(tmp_path / "conf.d").mkdir()
		(tmp_path / "conf.d" / "bench.conf").write_text(SERVERS.format(logs=tmp_path))
		file = tmp_path / "nginx.conf"
		file.write_text(CONFIGURATION.format(logs=tmp_path, directory=tmp_path))
		return file

	def test_each_log_once_with_its_sites(self, file: Path) -> None:
		(found,) = find_access_logs(["shop.example", "second.example"], file)
		assert found.sites == ("shop.example", "second.example") and found.file.name == "shop.log"
		assert found.description == '$remote_addr [$time_local] "$request" $status'
		assert read_format(found.description)

	@pytest.mark.parametrize(
		("site", "name", "description"),
		[("plain.example", "all.log", COMBINED), ("odd.example", "odd.log", None)],
	)
	def test_what_is_inherited_and_what_nobody_describes(
		self, file: Path, site: str, name: str, description: str | None
	) -> None:
		(found,) = find_access_logs([site], file)
		assert (found.file.name, found.description) == (name, description)
		assert found.line_to_add.startswith(f"access_log {found.file} ")

	@pytest.mark.parametrize("site", ["quiet.example", "varied.example", "nobody.example"])
	def test_no_log(self, file: Path, site: str) -> None:
		assert find_access_logs([site], file) == []

	def test_no_nginx(self, tmp_path: Path) -> None:
		assert find_access_logs(["shop.example"], tmp_path / "nginx.conf") == []

	def test_one_that_can_t_be_read_whole(self, file: Path) -> None:
		(file.parent / "conf.d" / "bench.conf").write_text("server { ")
		assert find_access_logs(["shop.example"], file) == []
		assert len(find_access_logs(["other.example"], file)) == 1
