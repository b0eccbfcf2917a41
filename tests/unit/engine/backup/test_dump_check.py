"""Rung 2 of one dump: each way in which it can be broken has a message of its own."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from press_deploy.engine.databases.dumps import dump_file
from press_deploy.engine.databases.dumps.dump_check import UNCHECKED_DOUBT, check_dump
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.facts import Expectation, is_newer
from press_deploy.engine.databases.dumps.heads import read_head
from press_deploy.engine.databases.mariadb.dump_format import NO_ROWS_DOUBT
from press_deploy.engine.databases.sqlite.file_check import WAL_DOUBT
from tests.support.dumps import PACKINGS, Broken, flip, make_broken, pack_gzip, pack_zstd, write_dump

EXPECTED = Expectation(database="shop", server_version="10.11.6-MariaDB", frappe_version="15.2.0")
DUMP = write_dump(frappe_version="15.2.0")
BROKEN = {
	f"{packing}, {name}": broken
	for packing, pack in PACKINGS.items()
	for name, broken in make_broken(DUMP, pack, packing).items()
}


def put(tmp_path: Path, content: bytes, name: str = "dump") -> Path:
	path = tmp_path / name
	path.write_bytes(content)
	return path


def refuse(path: Path, expected: Expectation = EXPECTED) -> DamagedFile:
	with pytest.raises(DamagedFile) as caught:
		check_dump(path, expected)
	return caught.value


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_whole_dump_is_counted_and_hashed_in_one_reading(tmp_path: Path, packing: str) -> None:
	path, seen = put(tmp_path, PACKINGS[packing](DUMP)), []
	facts = check_dump(path, EXPECTED, progress=lambda done, expected: seen.append((done, expected)))
	assert facts.tables == {"tabOrder": 3000, "tabNote": 0}
	assert (facts.kind, facts.database, facts.frappe_version) == ("mariadb", "shop", "15.2.0")
	assert facts.compression == (None if packing == "plain" else packing)
	assert (facts.bytes, facts.read_bytes) == (path.stat().st_size, len(DUMP))
	assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
	assert seen[-1] == (path.stat().st_size, path.stat().st_size)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_dump_is_refused_in_its_own_words(tmp_path: Path, broken: Broken) -> None:
	error = refuse(put(tmp_path, broken.content))
	assert error.check == broken.check
	assert broken.words in str(error)


@pytest.mark.parametrize("packing", PACKINGS)
def test_no_two_ways_of_breaking_it_are_told_in_the_same_words(tmp_path: Path, packing: str) -> None:
	ways = make_broken(DUMP, PACKINGS[packing], packing)
	said = {name: str(refuse(put(tmp_path, broken.content))) for name, broken in ways.items()}
	# Where the cut is seen the same way, the words may be the same.
	alike = {
		"cut off in the checksum",
		"cut off inside its closing line",
		"NUL bytes behind it",
		"a changed byte in the checksum",
	}
	different = [words for name, words in said.items() if name not in alike]
	assert len(set(different)) == len(different)


def test_the_twenty_bytes_that_gzip_makes_of_nothing(tmp_path: Path) -> None:
	path = put(tmp_path, gzip.compress(b"", mtime=0))
	assert path.stat().st_size == 20
	assert "nothing" in str(refuse(path))


def test_several_packed_streams_in_a_row_are_one_dump_as_frappe_writes_it(tmp_path: Path) -> None:
	cut = DUMP.index(b"/*M!")
	for pack in (pack_gzip, pack_zstd):
		facts = check_dump(put(tmp_path, pack(DUMP[:cut]) + pack(DUMP[cut:])), EXPECTED)
		assert facts.frappe_version == "15.2.0" and facts.tables["tabOrder"] == 3000


SKIPPED = b"\x5d\x2a\x4d\x18\x04\0\0\0abcd"


@pytest.mark.parametrize("piece", [1, 3, 1 << 16])
@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_frames_of_zstd_that_hold_nothing_are_skipped(
	tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, piece: int
) -> None:
	"""As pzstd and programs for seeking write them."""
	monkeypatch.setattr(dump_file, "PACKED_CHUNK_BYTES", piece)
	frames = [pack_zstd(DUMP[:9000]), pack_zstd(DUMP[9000:])]
	frames.insert({"first": 0, "between": 1, "last": 2}[place], SKIPPED)
	facts = check_dump(put(tmp_path, b"".join(frames)), EXPECTED)
	assert (facts.compression, facts.tables["tabOrder"], facts.doubts) == ("zstd", 3000, [])
	for cut in (2, 6, 10):
		content = b"".join(frames) + SKIPPED[:cut]
		assert "ends too early" in str(refuse(put(tmp_path, content)))


def is_taken(tmp_path: Path, content: bytes) -> bool:
	try:
		return bool(check_dump(put(tmp_path, content)))
	except DamagedFile:
		return False


@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_a_zstd_stream_without_a_checksum_is_said_to_have_none(
	tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
	"""A value that was changed in it passes."""
	monkeypatch.setattr(dump_file, "PACKED_CHUNK_BYTES", piece)
	dump = write_dump({"tabOrder": 1})
	pack = zstandard.ZstdCompressor(level=1, write_checksum=False).compress
	passed = [place for place in range(400, len(pack(dump))) if is_taken(tmp_path, flip(pack(dump), place))]
	assert passed
	assert check_dump(put(tmp_path, flip(pack(dump), passed[0]))).doubts == [UNCHECKED_DOUBT]
	# One of several is enough.
	cut = dump.index(b"\n/*!40101")
	assert check_dump(put(tmp_path, pack_zstd(dump[:cut]) + pack(dump[cut:]))).doubts == [UNCHECKED_DOUBT]
	assert check_dump(put(tmp_path, pack_zstd(dump))).doubts == []


def test_what_is_read_only_once_is_no_file(tmp_path: Path) -> None:
	os.mkfifo(tmp_path / "pipe")
	for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
		error = refuse(path)
		assert error.check == "kind" and "copy it to a file" in str(error)
		with pytest.raises(DamagedFile, match="copy it to a file"):
			read_head(path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_hole_of_nul_bytes_is_seen(tmp_path: Path, packing: str) -> None:
	"""From one string into another one, so that the rest makes sense: what a crash leaves of a file."""
	begin, end = DUMP.index(b"(7919)"), DUMP.rindex(b"(9"[:1] + b"5")
	content = DUMP[:begin] + bytes(end - begin) + DUMP[end:]
	error = refuse(put(tmp_path, PACKINGS[packing](content)))
	assert error.check == "content" and f"line {DUMP.count(10, 0, begin) + 1}: NUL bytes" in str(error)


@pytest.mark.parametrize(
	"names,words",
	[
		("utf8mb4 */;", None),
		("binary */;", None),
		("utf8 */;", "is utf8: "),
		("latin1 */;", "is latin1: "),
		("", "is not named in it: "),
	],
)
def test_a_character_set_that_loses_characters_is_told(tmp_path: Path, names: str, words: str | None) -> None:
	line = f"/*!40101 SET NAMES {names}\n" if names else ""
	dump = DUMP.replace(b"/*!40101 SET NAMES utf8mb4 */;\n", line.encode())
	doubts = check_dump(put(tmp_path, dump)).doubts
	assert len(doubts) == bool(words) and (not words or words in doubts[0])


def test_a_dump_without_any_row_is_told(tmp_path: Path) -> None:
	assert check_dump(put(tmp_path, write_dump({"tabNote": 0}))).doubts == [NO_ROWS_DOUBT]
	assert check_dump(put(tmp_path, write_dump({"tabNote": 0, "tabOrder": 1}))).doubts == []


@pytest.mark.parametrize("size", [1000, 3 << 20])
def test_the_longest_statement_is_measured(tmp_path: Path, size: int) -> None:
	insert = f"INSERT INTO `tabNote` VALUES (1,'{'x' * size}')"
	facts = check_dump(put(tmp_path, write_dump({"tabNote": 1}, extra=f"{insert};\n")))
	assert facts.longest_statement == len(insert)


def test_a_dump_of_less_than_half_the_last_one_is_refused(tmp_path: Path) -> None:
	path = put(tmp_path, pack_gzip(DUMP))
	size = path.stat().st_size
	assert check_dump(path, Expectation(previous_size=2 * size)).bytes == size
	error = refuse(path, Expectation(previous_size=2 * size + 2))
	assert error.check == "size" and "less than half" in str(error)


def test_an_older_server_and_another_patch_level_are_taken(tmp_path: Path) -> None:
	path = put(tmp_path, DUMP)
	for version in ("10.11.1-MariaDB", "11.4.2-MariaDB"):
		assert check_dump(path, Expectation(server_version=version))


@pytest.mark.parametrize(
	"version,than,parts,newer",
	[
		("10.11.6-MariaDB", "10.11.2-MariaDB", 2, False),
		("10.11.6-MariaDB", "10.6.20-MariaDB", 2, True),
		("11.0.1", "10.11.9", 2, True),
		("16.0.0-dev", "16.0.0-dev", 3, False),
		("15.10.0", "15.9.3", 3, True),
		(None, "15.9.3", 3, False),
		("15.9.3", None, 3, False),
	],
)
def test_versions_are_compared_as_numbers(version: str, than: str, parts: int, newer: bool) -> None:
	assert is_newer(version, than, parts) is newer


def test_the_head_says_what_a_dump_is(tmp_path: Path) -> None:
	old = b"-- Backup generated by Frappe 13.1.0 on branch version-13\n-- \n" + write_dump()
	assert read_head(put(tmp_path, pack_gzip(old))).frappe_version == "13.1.0"
	odd = read_head(put(tmp_path, write_dump(database="we`ird -nä`me")))
	assert (odd.kind, odd.database, odd.server_version) == (
		"mariadb", "we`ird -nä`me", "10.11.6-MariaDB-0+deb12u1",
	)  # fmt: skip
	assert read_head(put(tmp_path, b"PGDMP\x01")).kind == "postgresql"


def test_what_a_row_says_is_not_taken_for_the_head(tmp_path: Path) -> None:
	row = b"INSERT INTO `a` VALUES ('x\n-- MariaDB dump 10.19\n');\n"
	assert read_head(put(tmp_path, b"\n" + row)).kind == "unknown"


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_dump_of_no_table_is_refused(tmp_path: Path, packing: str) -> None:
	error = refuse(put(tmp_path, PACKINGS[packing](write_dump({}))))
	assert error.check == "tables" and "no table at all" in str(error)


# --- SQLite ------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_content(tmp_path: Path) -> bytes:
	path = tmp_path / "site.db"
	with sqlite3.connect(path) as database:
		database.execute('CREATE TABLE "tab ""Odd" (b TEXT PRIMARY KEY)')
		database.execute("CREATE TABLE numbered (a INTEGER PRIMARY KEY AUTOINCREMENT)")
		database.executemany('INSERT INTO "tab ""Odd" VALUES (?)', [(f"{n:0500d}",) for n in range(100)])
	database.close()
	return path.read_bytes()


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_whole_sqlite_file_is_counted(tmp_path: Path, sqlite_content: bytes, packing: str) -> None:
	facts = check_dump(put(tmp_path, PACKINGS[packing](sqlite_content)))
	assert (facts.kind, facts.tables) == ("sqlite", {'tab "Odd': 100, "numbered": 0})
	assert {path.name for path in tmp_path.iterdir()} == {"dump", "site.db"}


@pytest.mark.parametrize(
	"spoil,check",
	[
		(lambda content: content[:-4096], "size"),
		(lambda content: content[:60], "size"),
		(lambda content: content[:4096] + bytes(4096) + content[8192:], "integrity"),
		(lambda content: flip(content, 100), "integrity"),
	],
	ids=["cut", "head alone", "a page of nothing", "a changed byte in a page's head"],
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_broken_sqlite_file_is_refused(
	tmp_path: Path, sqlite_content: bytes, spoil: Callable[[bytes], bytes], check: str, packing: str
) -> None:
	assert refuse(put(tmp_path, PACKINGS[packing](spoil(sqlite_content))), Expectation()).check == check


def test_a_packed_file_is_unpacked_elsewhere_where_its_place_is_read_only(
	tmp_path: Path, sqlite_content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
	path, real, refused = put(tmp_path, pack_gzip(sqlite_content)), dump_file.tempfile.NamedTemporaryFile, []

	def refuse_there(dir: Path | None = None, **options: object) -> object:
		if dir == tmp_path:
			refused.append(dir)
			raise PermissionError(13, "Permission denied")
		return real(dir=dir, **options)

	monkeypatch.setattr(dump_file.tempfile, "NamedTemporaryFile", refuse_there)
	assert check_dump(path).tables and refused == [tmp_path]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_sqlite_file_of_no_table_is_refused(tmp_path: Path, packing: str) -> None:
	path = tmp_path / "empty.db"
	with closing(sqlite3.connect(path)) as database:
		database.execute("VACUUM")
	error = refuse(put(tmp_path, PACKINGS[packing](path.read_bytes())), Expectation())
	assert error.check == "tables" and "no table at all" in str(error)


def test_a_sqlite_file_whose_rows_are_in_its_write_ahead_log_is_refused(tmp_path: Path) -> None:
	path = tmp_path / "site.db"
	with closing(sqlite3.connect(path)) as database:
		database.execute("PRAGMA journal_mode = WAL")
		database.execute("CREATE TABLE a (b)")
		database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		assert check_dump(path).tables == {"a": 0}
		database.execute("INSERT INTO a VALUES (1)")
		database.commit()
		error = refuse(path, Expectation())
		assert error.check == "journal" and "site.db-wal" in str(error) and "wal_checkpoint" in str(error)
		database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		assert check_dump(path).tables == {"a": 1}


def test_a_sqlite_file_with_an_unfinished_change_is_refused(tmp_path: Path, sqlite_content: bytes) -> None:
	path = put(tmp_path, sqlite_content)
	(tmp_path / "dump-journal").write_bytes(b"")
	assert check_dump(path).tables
	(tmp_path / "dump-journal").write_bytes(b"x")
	error = refuse(path, Expectation())
	assert error.check == "journal" and "dump-journal" in str(error) and ".backup" in str(error)


def test_a_journal_that_is_over_is_no_unfinished_change(tmp_path: Path, sqlite_content: bytes) -> None:
	path = put(tmp_path, sqlite_content)
	with closing(sqlite3.connect(path)) as database:
		database.execute("PRAGMA journal_mode = PERSIST")
		database.execute("INSERT INTO numbered VALUES (1)")
		database.commit()
	assert (tmp_path / "dump-journal").stat().st_size
	assert check_dump(path).tables["numbered"] == 1


def test_a_link_to_a_sqlite_file_does_not_hide_its_log(tmp_path: Path) -> None:
	path, link = tmp_path / "site.db", tmp_path / "link.db"
	link.symlink_to(path.name)
	with closing(sqlite3.connect(path)) as database:
		database.execute("PRAGMA journal_mode = WAL")
		database.execute("CREATE TABLE a (b)")
		assert refuse(link, Expectation()).check == "journal"
		database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		assert check_dump(link).doubts == []


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_copy_without_the_log_that_it_is_used_with_is_told(tmp_path: Path, packing: str) -> None:
	"""As `bench backup` of Frappe 16 makes it: it packs the file alone."""
	with closing(sqlite3.connect(tmp_path / "site.db")) as database:
		database.execute("PRAGMA journal_mode = WAL")
		database.execute("CREATE TABLE a (b)")
		database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		database.execute("INSERT INTO a VALUES (1)")
		database.commit()
		copy = put(tmp_path, PACKINGS[packing]((tmp_path / "site.db").read_bytes()))
		facts = check_dump(copy)
	assert (facts.tables, facts.doubts) == ({"a": 0}, [WAL_DOUBT])


# --- PostgreSQL --------------------------------------------------------------------------------

POSTGRES = b"--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE a (b int);\n" + b"-- x\n" * 3000
POSTGRES_END = b"--\n-- PostgreSQL database dump complete\n--\n\n"


def test_a_postgresql_dump_is_whole_with_its_closing_line(tmp_path: Path) -> None:
	assert check_dump(put(tmp_path, POSTGRES + POSTGRES_END)).kind == "postgresql"
	assert refuse(put(tmp_path, POSTGRES)).check == "closing line"
	assert refuse(put(tmp_path, POSTGRES + POSTGRES_END + POSTGRES)).check == "closing line"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("expected", [EXPECTED, Expectation()])
def test_a_dump_with_the_lines_of_windows_is_told_so(
	tmp_path: Path, packing: str, expected: Expectation
) -> None:
	"""And neither taken for another site's, nor for one that was cut off."""
	error = refuse(put(tmp_path, PACKINGS[packing](DUMP.replace(b"\n", b"\r\n"))), expected)
	assert error.check == "line ends" and "end with CR LF" in str(error) and "--result-file" in str(error)


def test_a_line_break_of_windows_in_a_value_is_no_line_of_the_dump(tmp_path: Path) -> None:
	extra = "INSERT INTO `tabNote` VALUES (1,'a\r\n-- b\r\nc');\n"
	assert check_dump(put(tmp_path, write_dump(extra=extra))).tables["tabNote"] == 1
