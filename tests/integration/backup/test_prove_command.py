"""`press-deploy prove FILE`, as an admin types it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from press_deploy.cli.prove import URL_VARIABLE, prove
from press_deploy.engine.databases.mariadb.server import Server
from tests.support.dumps import PACKINGS, Broken, make_broken, write_dump

DUMP = write_dump(frappe_version="15.2.0")
# A single file is not measured against a site, a server or a release.
NEEDS_EXPECTATION = {"another site's", "of a newer server", "of a newer Frappe"}
BROKEN = {
	f"{packing}, {name}": broken
	for packing, pack in PACKINGS.items()
	for name, broken in make_broken(DUMP, pack, packing).items()
	if name not in NEEDS_EXPECTATION
}


@pytest.fixture(autouse=True)
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
	monkeypatch.delenv(URL_VARIABLE, raising=False)


def call(*arguments: object, **environment: str) -> Result:
	return CliRunner().invoke(prove, [str(argument) for argument in arguments], env=environment)


def put(tmp_path: Path, content: bytes = DUMP, name: str = "dump.sql") -> Path:
	path = tmp_path / name
	path.write_bytes(content)
	return path


def url_of(server: Server) -> str:
	return f"mysql://{server.user}@/?socket={quote(server.socket or '', safe='')}"


@pytest.mark.parametrize("packing", PACKINGS)
def test_rung_2_needs_nothing_but_the_file(tmp_path: Path, packing: str) -> None:
	result = call(put(tmp_path, PACKINGS[packing](DUMP)))
	assert result.exit_code == 0, result.output
	assert "✓ rung 2 (whole): read to its end, 2 tables, 3000 rows" in result.output
	assert "of database shop" in result.output and "Frappe 15.2.0" in result.output
	assert ("has no checksum" in result.output) == (packing == "plain")


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_says_which_check_failed_and_why(tmp_path: Path, broken: Broken) -> None:
	path = put(tmp_path, broken.content)
	result = call(path)
	assert result.exit_code == 1
	assert f"✗ rung 2 (whole): {broken.check}: " in result.output and broken.words in result.output
	assert "reached: rung 1 (made)" in result.output
	data = json.loads(call(path, "--json").stdout)
	assert (data["asked"], data["reached"], data["enough"]) == (2, 1, False)
	assert data["rungs"]["2"]["check"] == broken.check


def test_rung_4_restores_it(tmp_path: Path, server: Server) -> None:
	path = put(tmp_path)
	for result in (
		call(path, "--rung", 4, "--database-url", url_of(server)),
		call(path, "--rung", 4, **{URL_VARIABLE: url_of(server)}),
	):
		assert result.exit_code == 0, result.output
		assert "– rung 3 (safe): not asked of a single file" in result.output
		assert "✓ rung 4 (restorable): restored, 2 tables, 3000 rows are the same" in result.output
	data = json.loads(call(path, "--rung", 4, "--json", "--database-url", url_of(server)).stdout)
	assert (data["reached"], data["enough"], data["not_asked"]) == (4, True, [3])


def test_a_newer_dump_reaches_rung_2_and_not_4(tmp_path: Path, server: Server) -> None:
	result = call(
		put(tmp_path, write_dump(server_version="99.1-MariaDB")),
		"--rung",
		4,
		"--database-url",
		url_of(server),
	)
	assert result.exit_code == 1 and "reached: rung 2 (whole)" in result.output
	assert "✗ rung 4 (restorable): server version: " in result.output


def test_a_sqlite_file_needs_no_server(tmp_path: Path) -> None:
	path = tmp_path / "site.db"
	with sqlite3.connect(path) as database:
		database.execute("CREATE TABLE a (b)")
	database.close()
	for content in (path.read_bytes(), PACKINGS["gzip"](path.read_bytes())):
		result = call(put(tmp_path, content, "copy.db"), "--rung", 4)
		assert result.exit_code == 0 and "✓ rung 4" in result.output, result.output


@pytest.mark.parametrize(
	"arguments,words",
	[
		(["--rung", "4"], "no server is named"),
		(["--rung", "3"], "'3' is not one of '2', '4'"),
		(["--rung", "4", "--database-url", "postgres://a@b/"], "not the address of a MariaDB server"),
		(["--rung", "4", "--database-url", "mysql://a:geheim@b:x/"], "port"),
		(["--nonsense"], "No such option"),
	],
)
def test_bad_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
	result = call(put(tmp_path), *arguments)
	assert result.exit_code == 2 and words in result.output and "geheim" not in result.output
	assert call().exit_code == 2


@pytest.mark.parametrize(
	("arguments", "words"),
	[
		([], "no server is named"),
		(["--database-url", "postgres://a@b/"], "not the address of a MariaDB server"),
		(["--database-url", "mysql://a:geheim@b:x/"], "port"),
	],
	ids=["no address", "another server's", "no port"],
)
def test_bad_usage_as_json(tmp_path: Path, arguments: list[str], words: str) -> None:
	result = call(put(tmp_path), "--rung", "4", "--json", *arguments)
	data = json.loads(result.stdout)
	assert result.exit_code == 2 and not result.stderr and "geheim" not in result.output
	assert data["doing"] and "database-url" in data["what"] and words in data["why"] and data["remedy"]


def make_pipe(path: Path) -> None:
	os.mkfifo(path)


def make_loop(path: Path) -> None:
	path.symlink_to(path)


def make_link_to_nothing(path: Path) -> None:
	path.symlink_to(path.with_name("nothing"))


NO_FILES = {
	"missing": lambda path: None,
	"a directory": Path.mkdir,
	"a pipe": make_pipe,
	"a loop of links": make_loop,
	"a link to nothing": make_link_to_nothing,
	"a name with bytes that are no text": lambda path: None,
}


@pytest.mark.parametrize("rung", [2, 4])
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_not_proven(tmp_path: Path, kind: str, rung: int) -> None:
	path = tmp_path / ("\udce9" if "bytes" in kind else "dump.sql")
	NO_FILES[kind](path)
	result = call(path, "--rung", rung)
	assert result.exit_code == 1 and "reached: rung" in result.output, result.output
	result = call(path, "--rung", rung, "--json")
	data = json.loads(result.stdout)
	assert (result.exit_code, data["enough"]) == (1, False) and data["reached"] < 2 and data["why_not"]


def test_a_broken_file_needs_no_server_to_be_refused(tmp_path: Path) -> None:
	result = call(put(tmp_path, PACKINGS["gzip"](b"")), "--rung", 4)
	assert result.exit_code == 1 and "reached: rung 1" in result.output


def test_the_address_is_not_inherited_by_programs(tmp_path: Path, server: Server) -> None:
	"""In a process of its own, as typed; its clients are asked for their environment."""
	fake, seen = tmp_path / "bin" / "mariadb", tmp_path / "seen"
	fake.parent.mkdir()
	fake.write_text(f"#!/bin/sh\nenv > {seen}\necho told >&2\nexit 1\n")
	fake.chmod(0o755)
	environment = {**os.environ, URL_VARIABLE: url_of(server), "PATH": f"{fake.parent}:{os.environ['PATH']}"}
	script = "from press_deploy.cli.prove import prove; prove()"
	done = subprocess.run(
		[sys.executable, "-c", script, str(put(tmp_path)), "--rung", "4"],
		env=environment,
		capture_output=True,
		text=True,
	)
	assert done.returncode == 1 and "told" in done.stdout and not done.stderr
	assert "PATH=" in seen.read_text() and URL_VARIABLE not in seen.read_text()
