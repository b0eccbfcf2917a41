"""A dump and its restoration, with a real server; and every way in which either may end badly."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.mariadb import disk_watch, sql_dump, sql_load
from press_deploy.engine.databases.mariadb.scratch_server import ScratchServer, start_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.errors import CommandFailed, InputError, StepFailed
from tests.integration.backup.conftest import MakeDatabase, own_temporary_files, short_directory
from tests.integration.backup.schema import EVERYTHING, OBJECTS, TABLES, read_checksums
from tests.support.dumps import pack_gzip, pack_zstd, write_dump

ODD_NAMES = ["we`ird -nä`me", "-e x", "a b.c", "数据库", "50%'\"$(id)"]


def unpack(path: Path) -> bytes:
	return zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read()


def dump_everything(server: Server, make_database: MakeDatabase, tmp_path: Path) -> tuple[str, Path]:
	database, path = make_database(*EVERYTHING), tmp_path / "dump.sql.zst"
	dump_database(server, database, path)
	return database, path


def test_what_is_dumped_and_loaded_is_the_same(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	database, path, seen = make_database(*EVERYTHING), tmp_path / "dump.sql.zst", []
	made = dump_database(server, database, path, progress=lambda done, expected: seen.append(done))
	facts = check_dump(path)
	assert (made["bytes"], made["read_bytes"]) == (path.stat().st_size, facts.read_bytes) and seen[
		-1
	] == facts.read_bytes
	assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [each.name for each in tmp_path.iterdir()] == [
		path.name
	]
	assert (facts.tables, facts.objects, facts.database) == (TABLES, OBJECTS, database)
	copy, seen = make_database(), []
	loaded = load_dump(path, server, copy, progress=lambda done, expected: seen.append((done, expected)))
	assert loaded == made and seen[-1] == (made["bytes"], made["bytes"])
	assert read_checksums(server, copy) == read_checksums(server, database)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_needs_quoting(
	server: Server, make_database: MakeDatabase, tmp_path: Path, name: str
) -> None:
	table = quote(f"tab {name}")
	make_database(f"CREATE TABLE {table} (a int)", f"INSERT INTO {table} VALUES (1), (2)", name=name)
	dump_database(server, name, tmp_path / "dump.sql.zst")
	facts = check_dump(tmp_path / "dump.sql.zst")
	assert (facts.database, facts.tables) == (name, {f"tab {name}": 2})
	load_dump(tmp_path / "dump.sql.zst", server, make_database(name=f"{name}2"))
	assert read_checksums(server, f"{name}2") == read_checksums(server, name)


def test_some_tables_alone(server: Server, make_database: MakeDatabase, tmp_path: Path) -> None:
	dump_database(
		server, make_database(*EVERYTHING), tmp_path / "a", tables=["tabDocType", "tab Order (old)"]
	)
	facts = check_dump(tmp_path / "a")
	assert facts.tables == {name: TABLES[name] for name in ("tabDocType", "tab Order (old)")}
	assert facts.objects == {"triggers": ["on_doctype"]}
	with pytest.raises(InputError, match="names no table"):
		dump_database(server, "x", tmp_path / "b", tables=[])


@pytest.mark.parametrize("pack", [pack_gzip, pack_zstd, bytes])
def test_every_packing_is_loaded(server: Server, make_database: MakeDatabase, tmp_path: Path, pack) -> None:
	content = write_dump({"tabOrder": 50})
	(tmp_path / "dump").write_bytes(pack(content))
	database = make_database()
	assert load_dump(tmp_path / "dump", server, database)["read_bytes"] == len(content)
	with server.session(database) as cursor:
		cursor.execute("SELECT COUNT(*), MAX(text) FROM tabOrder")
		assert cursor.fetchone()[0] == 50


def test_a_line_of_a_dump_is_no_command_to_the_client(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	mark = tmp_path / "mark"
	(tmp_path / "dump").write_bytes(f"SELECT 1;\n\\! touch {mark}\n".encode())
	with pytest.raises(StepFailed):
		load_dump(tmp_path / "dump", server, make_database())
	assert not mark.exists()


def test_no_password_is_among_the_arguments_or_in_the_environment(
	server: Server, make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	database, started = make_database("CREATE TABLE a (b int)"), []
	with server.session() as cursor:
		cursor.execute(f"GRANT ALL ON {quote(database)}.* TO 'shop'@'localhost' IDENTIFIED BY 'ge\"hei\\\\m'")
	real = subprocess.Popen

	def record(command: list[str], **options: object) -> subprocess.Popen:
		started.append((command, dict(options["env"])))
		return real(command, **options)

	monkeypatch.setattr(subprocess, "Popen", record)
	account = server.as_user("shop", 'ge"hei\\m')
	dump_database(account, database, tmp_path / "a")
	load_dump(tmp_path / "a", account, database)
	assert len(started) == 2 and "ge" + '"hei' not in repr(started)


# --- what may go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
	"user,password,database,words",
	[
		("nobody", "wrong-geheim", "mysql", "user name or password is refused"),
		(None, "", "no such database", "the database does not exist"),
	],
)
def test_what_the_server_refuses_is_said(
	server: Server, tmp_path: Path, user: str | None, password: str, database: str, words: str
) -> None:
	account = server.as_user(user, password) if user else server
	(tmp_path / "dump").write_bytes(write_dump())
	for attempt in (
		lambda: dump_database(account, database, tmp_path / "a.sql.zst"),
		lambda: load_dump(tmp_path / "dump", account, database),
	):
		with pytest.raises(StepFailed) as caught:
			attempt()
		assert words in caught.value.why and caught.value.remedy and "geheim" not in str(caught.value)
	assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_a_server_that_is_not_there(server: Server, tmp_path: Path) -> None:
	gone = replace(server, socket=str(tmp_path / "no-socket"))
	with pytest.raises(StepFailed, match="can't be reached"):
		dump_database(gone, "a", tmp_path / "a", progress=lambda done, expected: None)


def test_a_client_that_is_not_installed(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	monkeypatch.setenv("PATH", str(tmp_path))
	(tmp_path / "dump").write_bytes(write_dump())
	with pytest.raises(CommandFailed, match="mariadb-dump"):
		dump_database(server, "a", tmp_path / "a")
	with pytest.raises(CommandFailed, match="Starting mariadb"):
		load_dump(tmp_path / "dump", server, "a")
	assert [path.name for path in tmp_path.iterdir()] == ["dump"]


@pytest.fixture
def limited_files():
	"""No file of this process grows beyond 64 kB: writing on ends as on a full disk."""
	previous = resource.getrlimit(resource.RLIMIT_FSIZE)
	resource.setrlimit(resource.RLIMIT_FSIZE, (65536, previous[1]))
	try:
		yield
	finally:
		resource.setrlimit(resource.RLIMIT_FSIZE, previous)


def fill(make_database: MakeDatabase, rows: int = 3000) -> str:
	"""A database whose rows don't pack well."""
	return make_database(
		"CREATE TABLE tabOrder (name bigint PRIMARY KEY, content longblob)",
		f"INSERT INTO tabOrder SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_{rows}",
	)


def test_a_disk_that_is_full_while_dumping(
	server: Server, make_database: MakeDatabase, tmp_path: Path, limited_files: None
) -> None:
	database, target = fill(make_database), tmp_path / "a.sql.zst"
	target.write_bytes(b"the dump of yesterday")
	with pytest.raises(StepFailed, match="the disk is full") as caught:
		dump_database(server, database, target)
	assert str(tmp_path) in caught.value.remedy
	assert target.read_bytes() == b"the dump of yesterday" and len(list(tmp_path.iterdir())) == 1


def test_a_real_disk_that_is_full_while_dumping(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	if os.geteuid() or subprocess.run(
		["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True
	).returncode:  # fmt: skip
		pytest.skip("only root may mount a small disk")
	try:
		with pytest.raises(StepFailed, match="the disk is full"):
			dump_database(server, fill(make_database), tmp_path / "a.sql.zst")
		assert not list(tmp_path.iterdir())
	finally:
		subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.parametrize(
	"program,words", [("exit 3", "exit status 3"), ("kill -9 $$", "signal 9"), ("exit 0", "closing line")]
)
def test_a_dump_program_that_ends_badly_after_it_wrote(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
	fake = tmp_path / "bin" / "mariadb-dump"
	fake.parent.mkdir()
	fake.write_text(f"#!/bin/sh\necho '-- MariaDB dump'\necho 'half of it' >&2\n{program}\n")
	fake.chmod(0o755)
	monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
	with pytest.raises(StepFailed, match=words):
		dump_database(server, "shop", tmp_path / "a.sql.zst")
	assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize("module,attempt", [(sql_dump, "dump"), (sql_load, "load")])
def test_a_program_that_waits_for_ever_is_ended(
	server: Server,
	make_database: MakeDatabase,
	tmp_path: Path,
	monkeypatch: pytest.MonkeyPatch,
	module,
	attempt: str,
) -> None:
	monkeypatch.setattr(module, "STALL_SECONDS", 1)
	database = make_database("CREATE TABLE tabOrder (name int)")
	(tmp_path / "dump").write_bytes(write_dump())
	with server.session(database) as cursor:
		cursor.execute("LOCK TABLES tabOrder WRITE")
		with pytest.raises(StepFailed, match="was ended"):
			if attempt == "dump":
				dump_database(server, database, tmp_path / "a.sql.zst")
			else:
				load_dump(tmp_path / "dump", server, database)
		cursor.execute("UNLOCK TABLES")
	assert [path.name for path in tmp_path.iterdir()] == ["dump"]


@pytest.mark.parametrize("pack", [pack_gzip, pack_zstd])
def test_a_dump_that_cannot_be_unpacked_is_not_loaded_as_if_it_ended_there(
	server: Server, make_database: MakeDatabase, tmp_path: Path, pack
) -> None:
	(tmp_path / "dump").write_bytes(pack(write_dump())[:-900])
	with pytest.raises(StepFailed, match="cut off") as caught:
		load_dump(tmp_path / "dump", server, make_database())
	assert "another backup" in caught.value.remedy


def test_a_statement_that_fails_is_said_with_its_line(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	(tmp_path / "dump").write_bytes(write_dump(extra="INSERT INTO `tabMissing` VALUES (1);\n"))
	with pytest.raises(StepFailed, match=r"tabMissing.*doesn't exist"):
		load_dump(tmp_path / "dump", server, make_database())


def test_a_table_that_is_full_while_loading(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	"""The server says the same of a table in memory that has reached its limit as of a full disk."""
	path, database = tmp_path / "dump.sql.zst", fill(make_database)
	dump_database(server, database, path)
	sql = unpack(path).replace(b"longblob", b"varbinary(1000)").replace(b"ENGINE=InnoDB", b"ENGINE=MEMORY")
	path.write_bytes(pack_zstd(b"SET max_heap_table_size = 1000000;\n" + sql))
	with pytest.raises(StepFailed, match="the server's disk is full") as caught:
		load_dump(path, server, make_database())
	# The client repeats the statement, and so the rows; we don't.
	assert "free space" in caught.value.remedy and len(str(caught.value)) < 600


def test_a_load_is_stopped_before_it_fills_the_servers_disk(
	server: Server, make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""A server without space may end: here it lives on, and has room left."""
	path, database = tmp_path / "dump.sql.zst", make_database()
	dump_database(server, fill(make_database, 25_000), path)
	directory = Path(server.socket or "").parent / "data" / database
	mount = ["mount", "-t", "tmpfs", "-o", "size=16M,mode=0777", "tmpfs", str(directory)]
	if subprocess.run(mount, capture_output=True).returncode:
		pytest.skip("only root may mount a small disk")
	try:
		# Of a disk this small more than the usual share: the server writes ahead.
		monkeypatch.setattr(disk_watch, "RESERVED_SHARE", 0.5)
		with pytest.raises(StepFailed, match="before the disk is full") as caught:
			load_dump(path, server, database)
		assert str(directory) in caught.value.why and "free space" in caught.value.remedy
		with server.session() as cursor:
			cursor.execute(f"DROP TABLE IF EXISTS {quote(database)}.tabOrder")
	finally:
		subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture
def victim() -> Iterator[ScratchServer]:
	"""A server that may be killed."""
	with short_directory() as directory:
		victim = start_scratch_server(directory, environment=own_temporary_files(directory))
		yield victim
		victim.kill()


def test_a_server_that_is_killed_while_loading(victim: ScratchServer, tmp_path: Path) -> None:
	(tmp_path / "dump").write_bytes(write_dump({f"tab{number}": 3000 for number in range(60)}))
	fired = threading.Event()

	def kill(done: int, expected: int | None) -> None:
		if not fired.is_set() and done >= 2 << 20:
			victim.kill()
			fired.set()

	with victim.server.session() as cursor:
		cursor.execute("CREATE DATABASE shop")
	with pytest.raises(StepFailed, match="the server has gone away") as caught:
		load_dump(tmp_path / "dump", victim.server, "shop", progress=kill)
	assert fired.is_set() and "error log" in caught.value.remedy
