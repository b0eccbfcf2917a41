"""A physical backup of a real MariaDB, loaded beside it: every table, every object, at one instant."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.databases.mariadb import physical, physical_check, physical_import
from press_deploy.engine.databases.mariadb.comparison import TableState, are_equal
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.sleeping_events import call_awake
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.physical.conftest import LIVE, STANDBY
from tests.integration.physical.schema import LOGICAL
from tests.support.databases import RestartableServer, execute, make_database, read_content, read_stored


def test_the_loaded_copy_equals_the_database(
	server: Server, backup: Path, standby: str, tmp_path: Path
) -> None:
	seen: list[tuple[int, int | None]] = []
	done = physical.load(backup, server, LIVE, standby, tmp_path, lambda *each: seen.append(each))
	live, copied = read_content(server, LIVE), read_content(server, standby)
	assert_equal(copied, live)
	assert copied["written"].counter == live["written"].counter == 5000
	assert call_awake(read_stored(server, standby)) == read_stored(server, LIVE)
	assert done == {"imported": len(live) - len(LOGICAL), "logical": LOGICAL, "left_out": []}
	assert seen[-1] == (backup.stat().st_size, backup.stat().st_size)
	assert not list(tmp_path.iterdir())


def assert_equal(copied: dict[str, TableState], live: dict[str, TableState]) -> None:
	"""By definition and rows. A running server's next automatic number is ahead of the one in its files."""
	different = [
		name for name in copied.keys() | live.keys() if not are_equal(copied.get(name), live.get(name))
	]
	assert not different


def test_what_was_loaded_can_be_used(server: Server, backup: Path, standby: str, tmp_path: Path) -> None:
	physical.load(backup, server, LIVE, standby, tmp_path)
	found = execute(
		server, standby, "SELECT name FROM __global_search WHERE MATCH (content) AGAINST ('hello')"
	)
	assert len(found) == 200
	# Of the hundred that the server had taken, none is given out again.
	assert execute(server, standby, "SELECT NEXTVAL(web_id_seq)") == [(101,)]
	execute(server, standby, "INSERT INTO `tabSales Invoice` (who) VALUES ('user-1')")
	assert execute(server, standby, "SELECT MAX(name) FROM `tabSales Invoice`") == [(301,)]
	execute(server, standby, "INSERT INTO tabUser (name) VALUES ('new')")
	assert execute(server, standby, "SELECT name FROM written") == [("new",)]
	assert execute(server, standby, "SELECT COUNT(*) FROM versioned FOR SYSTEM_TIME ALL") == [(2,)]


def test_the_temporary_tables_of_other_servers_are_left_alone(
	server: Server, backup: Path, standby: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""A starting server clears its directory for them of whatever looks like one of its own."""
	shared = Path(tempfile.mkdtemp(dir="/tmp"))
	of_another = shared / "#sql-temptable-396c-d20-2257.MAI"
	of_another.touch()
	monkeypatch.setenv("TMPDIR", str(shared))
	monkeypatch.setattr("tempfile.tempdir", None)
	physical.back_up(server, LIVE, tmp_path / "again.mbstream")
	physical.load(backup, server, LIVE, standby, tmp_path / "work")
	assert [path.name for path in shared.iterdir()] == [of_another.name]
	shutil.rmtree(shared)


def test_copied_within_one_disk_files_belong_to_the_server(
	running: RestartableServer, backup: Path, standby: str
) -> None:
	physical.load(backup, running.server, LIVE, standby, running.directory / "work")
	with running.server.session() as cursor:
		directory = physical_check.find_directory(cursor, standby)
	owner = directory.stat()
	files = list(directory.iterdir())
	assert {(file.stat().st_uid, file.stat().st_gid) for file in files} == {(owner.st_uid, owner.st_gid)}
	assert not [file for file in files if file.suffix in (".cfg", physical_import.COPY_SUFFIX)]
	assert_equal(read_content(running.server, standby), read_content(running.server, LIVE))


def test_writes_during_the_backup_are_in_it_whole_or_not_at_all(
	server: Server, standby: str, tmp_path: Path
) -> None:
	name, target = "busy", tmp_path / "busy.mbstream"
	make_database(server, name, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
	stopped, written = threading.Event(), [0]
	writer = threading.Thread(target=write_pairs, args=(server, name, stopped, written))
	writer.start()
	try:
		physical.back_up(server, name, target, lambda *_: None)
		during = written[0]
	finally:
		stopped.set()
		writer.join()
	physical.load(target, server, name, standby, tmp_path)
	a, b = (execute(server, standby, f"SELECT id FROM {table} ORDER BY id") for table in "ab")
	assert a == b
	assert [row[0] for row in a] == list(range(1, len(a) + 1)), "a row is missing"
	assert 0 < len(a) <= during + 1 < written[0] + 2


def write_pairs(server: Server, database: str, stopped: threading.Event, written: list[int]) -> None:
	with server.session(database) as cursor:
		while not stopped.is_set():
			number = written[0] + 1
			cursor.execute("BEGIN")
			cursor.execute(f"INSERT INTO a VALUES ({number})")
			cursor.execute(f"INSERT INTO b VALUES ({number})")
			cursor.execute("COMMIT")
			written[0] = number


def test_the_file_is_private_and_says_what_it_is(server: Server, backup: Path) -> None:
	assert stat.S_IMODE(backup.stat().st_mode) == 0o600
	assert [file.name for file in backup.parent.iterdir()] == [backup.name]
	facts = physical.check_whole(backup)
	assert facts["database"] == LIVE
	assert facts["bytes"] == backup.stat().st_size
	assert facts["tables"] == len(execute(server, LIVE, "SHOW TABLES"))


def test_a_table_that_the_server_refuses_is_loaded_as_sql(
	server: Server, backup: Path, standby: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	damaged = damage_once(monkeypatch, "migrated.ibd")
	done = physical.load(backup, server, LIVE, standby, tmp_path)
	assert damaged == ["migrated.ibd"]
	assert done["logical"] == sorted([*LOGICAL, "migrated"])
	assert_equal(read_content(server, standby), read_content(server, LIVE))


def damage_once(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
	"""The server finds a page that is not what its checksum says."""
	damaged: list[str] = []
	move = physical_import._move

	def move_damaged(source: Path, target: Path, owner: Any) -> None:
		if source.name == name and not damaged:
			content = bytearray(source.read_bytes())
			content[3 * 16384 + 200] ^= 0xFF
			source.write_bytes(content)
			damaged.append(name)
		move(source, target, owner)

	monkeypatch.setattr(physical_import, "_move", move_damaged)
	return damaged


def test_a_backup_of_another_database_is_refused(
	server: Server, backup: Path, standby: str, tmp_path: Path
) -> None:
	with pytest.raises(StepFailed, match="it is a backup of database _shop-1 é, not of other"):
		physical.load(backup, server, "other", standby, tmp_path)
	assert read_content(server, STANDBY) == {}


def test_no_password_is_among_the_arguments(server: Server, tmp_path: Path) -> None:
	execute(
		server, None, "CREATE USER copier IDENTIFIED BY 'geheim-7'",
		"GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, CREATE, DROP, ALTER, INSERT, SELECT, SHOW VIEW, "
		"TRIGGER, EVENT ON *.* TO copier",
		"CREATE DATABASE small", "CREATE TABLE small.t (id int)",
	)  # fmt: skip
	copier = server.as_user("copier", "geheim-7")
	assert physical.why_not(copier, "small") is None
	target = tmp_path / "small.mbstream"
	seen: set[str] = set()
	physical.back_up(copier, "small", target, lambda *_: seen.update(read_arguments()))
	assert any("--backup" in arguments for arguments in seen), "the program was not seen at work"
	assert not [arguments for arguments in seen if "geheim" in arguments]
	assert physical.check_whole(target)["tables"] == 1
	assert "geheim" not in json.dumps(physical.check_whole(target))


def read_arguments() -> list[str]:
	found = []
	for file in Path("/proc").glob("[0-9]*/cmdline"):
		try:
			found.append(file.read_text(errors="replace").replace("\0", " "))
		except OSError:
			continue
	return [arguments for arguments in found if arguments.startswith("mariadb-backup ")]
