"""Physical backups that are damaged, cut off, killed or without room: refused, each with its own words."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import zstandard

from press_deploy.engine.bench.programs import RUN_VARIABLE
from press_deploy.engine.databases.mariadb import physical, physical_check, physical_program
from press_deploy.engine.databases.mariadb.physical_stream import END, MAGIC, read_stream
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.physical.conftest import LIVE, STANDBY
from tests.integration.physical.test_round_trip import assert_equal
from tests.support.databases import RestartableServer, execute, make_database, private_directory, read_content

Damage = Callable[[bytes], bytes]


def repacked(change: Damage) -> Damage:
	"""The change is made inside; the packing around it is right, so that it can't be what tells."""

	def damage(content: bytes) -> bytes:
		unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(content)
		return zstandard.ZstdCompressor(write_checksum=True).compress(change(unpacked))

	return damage


def flip(content: bytes, place: int) -> bytes:
	return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


def drop_piece(content: bytes) -> bytes:
	"""Without the end of the first file that ended."""
	at = content.index(MAGIC + b"\0" + END)
	return content[:at] + content[content.index(MAGIC, at + 1) :]


@pytest.mark.parametrize(
	("damage", "words"),
	[
		(lambda content: b"", "the file is empty"),
		(lambda content: b"-- MariaDB dump\n" * 50, "it is not a physical backup"),
		(repacked(lambda content: b"-- MariaDB dump\n" * 50), "it is not a physical backup"),
		(lambda content: content[: len(content) // 2], "its packed data has no end; the file was cut off"),
		(lambda content: content[:-2], "its packed data has no end; the file was cut off"),
		(lambda content: content + b"\0", "something follows after its end"),
		(lambda content: flip(content, len(content) // 2), "the file is damaged"),
		(repacked(lambda content: flip(content, 5000)), "the checksum of .* is wrong; the file is damaged"),
		(repacked(lambda content: flip(content, 2)), "it is not a physical backup"),
		(repacked(lambda content: content[:-3]), "it ends within a piece of a file"),
		(repacked(lambda content: content[: content.rindex(MAGIC)]), "it ends before the end of press_deploy.json"),
		(repacked(lambda content: content[: content.index(b"press_deploy.json") - 14]), "it ends before press_deploy"),
		(repacked(lambda content: content[: content.index(b"xtrabackup_info") - 14]), "it ends before xtrabackup_info"),
		(repacked(drop_piece), "it ends before the end of|out of place"),
		(repacked(lambda content: content.replace(b"aria_log_control", b"../../etc/passwd")), "which no backup has"),
	],
)  # fmt: skip
def test_a_damaged_file_is_refused(backup: Path, tmp_path: Path, damage: Damage, words: str) -> None:
	content = backup.read_bytes()
	damaged = tmp_path / "damaged.mbstream"
	damaged.write_bytes(damage(content))
	assert damaged.read_bytes() != content
	with pytest.raises(StepFailed, match=words):
		physical.check_whole(damaged)


def test_a_damaged_file_is_not_loaded(server: Server, backup: Path, standby: str, tmp_path: Path) -> None:
	damaged = tmp_path / "damaged.mbstream"
	damaged.write_bytes(repacked(lambda content: flip(content, 5000))(backup.read_bytes()))
	with pytest.raises(StepFailed, match=r"the checksum of .* is wrong"):
		physical.load(damaged, server, LIVE, standby, tmp_path / "work")
	assert read_content(server, standby) == {}
	assert not list((tmp_path / "work").iterdir())


def test_a_copy_that_cannot_be_prepared_is_not_loaded(
	server: Server, backup: Path, standby: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""Every file is what the program wrote; only the log that makes them one is not of this copy."""
	spoilt = []

	def read_and_spoil(path: Path, directory: Path, progress: object) -> object:
		content = read_stream(path, directory)
		(directory / "ib_logfile0").write_bytes(b"\0" * 5000)
		spoilt.append(directory)
		return content

	monkeypatch.setattr("press_deploy.engine.databases.mariadb.physical_load.read_stream", read_and_spoil)
	with pytest.raises(StepFailed, match="mariadb-backup ended with exit status"):
		physical.load(backup, server, LIVE, standby, tmp_path)
	assert spoilt
	assert read_content(server, standby) == {}


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
	"""As on a full disk: a write beyond `size` bytes fails."""
	before = resource.getrlimit(resource.RLIMIT_FSIZE)
	resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
	try:
		yield
	finally:
		resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_backup(server: Server, backup: Path, tmp_path: Path) -> None:
	target = tmp_path / "full.mbstream"
	assert backup.stat().st_size > 100_000
	with no_file_larger_than(100_000), pytest.raises(StepFailed, match=r"full\.mbstream.* the disk is full"):
		physical.back_up(server, LIVE, target)
	assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_load(server: Server, backup: Path, standby: str, tmp_path: Path) -> None:
	with (
		no_file_larger_than(100_000),
		pytest.raises(StepFailed, match=r"can't be unpacked into .* File too large"),
	):
		physical.load(backup, server, LIVE, standby, tmp_path)
	assert read_content(server, standby) == {}
	assert not list(tmp_path.iterdir())


def test_a_table_dropped_from_the_copy_is_missed(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""The program copies no table at all, without a word, when it doesn't know the database's name."""
	monkeypatch.setattr(physical, "encode_name", lambda cursor, name: "unknown")
	with pytest.raises(StepFailed, match="left out"):
		physical.back_up(server, LIVE, tmp_path / "none.mbstream")
	assert not list(tmp_path.iterdir())


def test_the_programs_failure_is_told_in_its_own_words(server: Server, tmp_path: Path) -> None:
	execute(server, None, "CREATE USER weak", "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON *.* TO weak")
	with pytest.raises(StepFailed, match=r"(?i)privilege|access denied|rights"):
		physical.back_up(server.as_user("weak", ""), LIVE, tmp_path / "none.mbstream")
	assert not list(tmp_path.iterdir())


# What is executed up to the moment at which it is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
from press_deploy.engine.databases.mariadb import physical, physical_import, physical_load
from press_deploy.engine.databases.mariadb.server import Server
moment, socket, live, standby, file, work = sys.argv[1:]
server = Server(os.environ["USER_OF_SERVER"], socket=socket)
def die(*_):
	os.kill(os.getpid(), signal.SIGKILL)
if moment == "backing up":
	physical.back_up(server, live, Path(file), die)
if moment == "preparing":
	physical_load.prepare_backup = die
if moment == "unpacking":
	work_on = physical_load._prepare
	physical.load(Path(file), server, live, standby, Path(work), die)
if moment == "importing":
	move, moved = physical_import._move, []
	def move_some(*arguments):
		move(*arguments)
		moved.append(arguments)
		if len(moved) == 7:
			die()
	physical_import._move = move_some
if moment == "copying":
	def copy_some(source, target):
		Path(target).write_bytes(Path(source).read_bytes()[:100])
		die()
	physical_import._is_on_another_disk = lambda source, owner: True
	physical_import.shutil.copyfile = copy_some
if moment == "reading the rest":
	physical_load.load_dump = die
physical.load(Path(file), server, live, standby, Path(work))
"""


def execute_until_killed(moment: str, server: Server, file: Path, work: Path) -> None:
	run = f"killed-{os.getpid()}"
	environment = {**os.environ, RUN_VARIABLE: run, "USER_OF_SERVER": server.user}
	arguments = [moment, server.socket or "", LIVE, STANDBY, str(file), str(work)]
	done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, timeout=120)
	assert done.returncode == -signal.SIGKILL, "it was to be killed"
	# As a resumed run does with what the dead one left.
	for process in psutil.process_iter():
		try:
			if process.environ().get(RUN_VARIABLE) == run:
				process.kill()
				process.wait()
		except psutil.Error:
			continue


def test_killed_while_backing_up_leaves_no_file_of_that_name(server: Server, tmp_path: Path) -> None:
	target = tmp_path / "shop.mbstream"
	execute_until_killed("backing up", server, target, tmp_path)
	assert [file.name for file in tmp_path.iterdir()] == ["shop.mbstream.part"]
	physical.back_up(server, LIVE, target)
	assert [file.name for file in tmp_path.iterdir()] == ["shop.mbstream"]
	physical.check_whole(target)


@pytest.mark.parametrize("moment", ["unpacking", "preparing", "copying", "importing", "reading the rest"])
def test_killed_while_loading_and_begun_anew(
	server: Server, backup: Path, standby: str, tmp_path: Path, moment: str
) -> None:
	execute_until_killed(moment, server, backup, tmp_path)
	assert list(tmp_path.iterdir()), "it was not at work"
	make_database(server, standby)
	physical.load(backup, server, LIVE, standby, tmp_path)
	assert_equal(read_content(server, standby), read_content(server, LIVE))
	assert not list(tmp_path.iterdir())


def test_a_server_killed_while_loading_goes_on_afterwards(backup: Path, tmp_path: Path) -> None:
	with private_directory() as directory:
		running = RestartableServer(directory)
		try:
			make_database(running.server, STANDBY)
			with pytest.MonkeyPatch.context() as patch, pytest.raises(StepFailed, match="was lost"):
				patch.setattr(
					"press_deploy.engine.databases.mariadb.physical_import._move", lambda *_: running.kill()
				)
				physical.load(backup, running.server, LIVE, STANDBY, tmp_path)
			assert running.scratch.process.poll() is not None
			running.start()
			make_database(running.server, STANDBY)
			physical.load(backup, running.server, LIVE, STANDBY, tmp_path)
			assert len(read_content(running.server, STANDBY)) == physical.check_whole(backup)["tables"] - 2
		finally:
			running.kill()


def test_reasons_against_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
	make_database(server, "other", "CREATE TABLE t (id int) ENGINE=MEMORY")
	make_database(server, "empty")
	assert physical.why_not(server, LIVE) is None
	assert physical.why_not(server, "empty") == "empty has no tables"
	assert physical.why_not(server, "other") == "table t is kept by MEMORY"
	assert "is not on this machine" in str(physical.why_not(server, "nowhere"))
	assert "can't be asked" in str(physical.why_not(Server("x", socket="/nowhere"), LIVE))
	execute(server, None, "CREATE OR REPLACE USER site_only", f"GRANT ALL ON `{LIVE}`.* TO site_only")
	assert str(physical.why_not(server.as_user("site_only", ""), LIVE)).startswith(
		"site_only lacks RELOAD, PROCESS"
	)
	monkeypatch.setattr(physical_program, "read_version", lambda: "10.3.1")
	assert str(physical.why_not(server, LIVE)).startswith(
		"mariadb-backup is of version 10.3.1, the server of "
	)
	monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
	assert str(physical.why_not(server, LIVE)).startswith("the server is on another machine")
	monkeypatch.setattr(physical_program, "PROGRAM", "no-such-program")
	assert physical.why_not(server, LIVE) == "no-such-program is not installed"


def test_tables_without_files_of_their_own_are_a_reason(server: Server) -> None:
	execute(server, None, "SET GLOBAL innodb_file_per_table = 0")
	try:
		make_database(server, "shared", "CREATE TABLE t (id int)")
		assert str(physical.why_not(server, "shared")).startswith("innodb_file_per_table is off")
	finally:
		execute(server, None, "SET GLOBAL innodb_file_per_table = 1")
	assert str(physical.why_not(server, "shared")).startswith("table t has no file of its own")


def test_another_users_server_is_a_reason(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
	with server.session() as cursor:
		owner = physical_check.find_directory(cursor, LIVE).stat().st_uid
	monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
	assert "belongs to another user" in str(physical.why_not(server, LIVE))
