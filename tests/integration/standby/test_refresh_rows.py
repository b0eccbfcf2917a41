"""What counts as equal rows, on a real MariaDB: refresh and its proof hang on it.

Tables are compared through their sums, and beside it row by row: both must say the same.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.databases.mariadb import standby_refresh
from press_deploy.engine.databases.mariadb.comparison import are_equal, read_tables
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby.conftest import Site
from tests.support.databases import execute, make_database

# Bins whose exchange of 0 and 1502 leaves CHECKSUM TABLE as it was; found by trying a hundred.
BIN = (
	"CREATE TABLE tabBin (name VARCHAR(140) PRIMARY KEY, modified DATETIME(6), docstatus INT, qty INT)",
	"INSERT INTO tabBin VALUES ('Bin 0000', '2026-01-01', 0, 1502), ('Bin 0046', '2026-01-01', 0, 0), "
	"('Bin 0099', '2026-01-01', 0, 7)",
)
EXCHANGE = "UPDATE tabBin SET qty = IF(name = 'Bin 0000', 0, 1502) WHERE name < 'Bin 0099'"
QUANTITIES = "SELECT name, qty FROM tabBin ORDER BY name"

# --- refresh -----------------------------------------------------------------------------------


def test_stock_that_moves_between_two_bins(site: Site, tmp_path: Path):
	site.execute(*BIN)
	site.load()
	before = site.execute("CHECKSUM TABLE tabBin EXTENDED")
	assert site.execute(EXCHANGE, "CHECKSUM TABLE tabBin EXTENDED") == before, "it does tell them apart"
	live = site.execute(QUANTITIES)
	assert site.standby.refresh(tmp_path / "final")["changed"] == ["tabBin"]
	assert execute(site.server, site.standby.name, QUANTITIES) == live


def test_stock_that_moves_while_it_is_copied(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
	"""The proof at the end sees it, though CHECKSUM TABLE does not."""
	site.execute(*BIN)
	site.load()
	site.execute("UPDATE tabBin SET qty = 8 WHERE name = 'Bin 0099'")
	original, seen = standby_refresh.dump_database, []

	def exchange_then_dump(*arguments: Any, **named: Any) -> dict[str, int]:
		for statements in ((), (EXCHANGE,)):
			seen.append(site.execute(*statements, "CHECKSUM TABLE tabBin EXTENDED"))
		return original(*arguments, **named)

	monkeypatch.setattr(standby_refresh, "dump_database", exchange_then_dump)
	with pytest.raises(StepFailed, match=r"differs .* tabBin"):
		site.standby.refresh(tmp_path / "final")
	assert seen[0] == seen[1], "it does tell them apart"
	assert not site.standby.is_loaded()


# --- any rows ----------------------------------------------------------------------------------

TEXTS = (None, "", "N", ",", "N,", "1", "1,", "a", "A", "ab", "b", "bc", "é", "e\u0301", "\x00")
BYTES = (
	None,
	b"",
	b"N",
	b"a",
	b"ab",
	b"b",
	b"\xff\x01",
	b"\xfe\x01",
	b"\xff",
	b"\xc3\xa9",
	b"\x00",
	b"\x00\x00",
)
COLUMNS: dict[str, tuple[str, tuple]] = {
	"a": ("VARCHAR(20)", TEXTS),
	"b": ("TEXT COLLATE utf8mb4_bin", TEXTS),
	"latin": ("VARCHAR(20) CHARACTER SET latin1", (None, "", "é", "N", "a,")),
	"bytes": ("VARBINARY(20)", BYTES),
	"large": ("LONGBLOB", BYTES),
	"held": ("BINARY(2)", (None, b"ab", b"N\x00", b"\xff\xfe")),
	"number": ("INT", (None, 0, 1, 11, 1502)),
	"other": ("INT INVISIBLE", (None, 0, 1, 11, 1502)),
	"money": ("DECIMAL(21,9)", (None, 0, "0.000000001", "1.5")),
	"single": ("FLOAT", (None, 0, 16777215, 16777216, 0.5)),
	"fraction": ("DOUBLE", (None, 0, 0.3, 0.1 + 0.2, 5e-324, 1e308)),
	"flags": ("BIT(64)", (None, 0, 1, 2**64 - 1, 2**64 - 2)),
	"choice": ("ENUM('', 'N', 'x')", (None, "", "N", "x")),
	"choices": ("SET('N', 'x')", (None, "", "N", "x", "N,x")),
	"day": ("DATE", (None, "2026-01-01", "0001-01-01")),
	"moment": ("DATETIME(6)", (None, "2026-01-01 00:00:00", "2026-01-01 00:00:00.000001")),
	"instant": ("TIMESTAMP(6) NULL", (None, "2026-01-01 00:00:00", "2026-01-01 00:00:00.000001")),
	"u": ("UUID", (None, "00000000-0000-0000-0000-000000000001", "10000000-0000-0000-0000-000000000000")),
	"address": ("INET6", (None, "::", "::1", "1::")),
	"data": ("JSON", (None, "{}", '{"a": 1}', '{"a":1}', "[]")),
}
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def rows_database(restartable: Any) -> Iterator[tuple[Server, str]]:
	"""Two tables `one` and `other` of all the columns above."""
	columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
	make_database(
		restartable.server, "_rows",
		f"CREATE TABLE one ({columns}, computed INT AS (number + 1) VIRTUAL, kept INT AS (number + 1) STORED)",
		"CREATE TABLE other LIKE one",
	)  # fmt: skip
	yield restartable.server, "_rows"
	execute(restartable.server, None, "DROP DATABASE _rows")


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_equal_when_the_rows_are(rows_database: tuple[Server, str], seed: int):
	server, database = rows_database
	chance, verdicts = random.Random(seed), Counter[bool]()
	with server.session(database) as cursor:
		for _ in range(60):
			one = [make_row(chance) for _ in range(chance.randint(1, 3))]
			other = change_rows(chance, one)
			for table, rows in (("one", one), ("other", other)):
				fill(cursor, table, rows)
			sums = {strong(server, database, table) for table in ("one", "other")}
			is_same = Counter(one) == Counter(other)
			assert (len(sums) == 1) == is_same, (one, other)
			verdicts[is_same] += 1
	assert min(verdicts[True], verdicts[False]) > 5


def make_row(chance: random.Random) -> Row:
	return tuple(chance.choice(values) for _, values in COLUMNS.values())


def change_rows(chance: random.Random, rows: list[Row]) -> list[Row]:
	"""What users and releases do to rows, and what a weak sum takes for nothing."""
	changed = [list(row) for row in rows]
	first, second = chance.choice(changed), chance.choice(changed)
	column = chance.randrange(len(COLUMNS))
	match chance.randrange(7):
		case 0:
			# Two rows exchange a value.
			first[column], second[column] = second[column], first[column]
		case 1:
			# Two columns of one row do.
			first[0], first[1] = first[1], first[0]
			first[6], first[7] = first[7], first[6]
		case 2:
			# The boundary between two values moves.
			first[0], first[1] = f"{first[0] or ''}{(first[1] or '')[:1]}", (first[1] or "")[1:]
		case 3:
			first[column] = chance.choice(list(COLUMNS.values())[column][1])
		case 4:
			changed.append(list(first))
		case 5:
			# What cancels out when digests are XORed: a, a → b, b.
			changed += [list(second), list(second)]
			changed.remove(first)
		case 6:
			pass
	chance.shuffle(changed)
	return [tuple(row) for row in changed]


def fill(cursor: Any, table: str, rows: list[Row]) -> None:
	cursor.execute(f"DELETE FROM {table}")
	places = ", ".join(["%s"] * len(COLUMNS))
	for row in rows:
		cursor.execute(f"INSERT INTO {table} ({', '.join(COLUMNS)}) VALUES ({places})", row)


@pytest.mark.parametrize("name", COLUMNS)
def test_each_value_of_each_type_is_told_from_each_other(rows_database: tuple[Server, str], name: str):
	server, database = rows_database
	found = set()
	with server.session(database) as cursor:
		for value in COLUMNS[name][1]:
			cursor.execute("DELETE FROM one")
			cursor.execute(f"INSERT INTO one ({name}) VALUES (%s)", (value,))
			found.add(strong(server, database, "one"))
	assert len(found) == len(COLUMNS[name][1])


def strong(server: Server, database: str, table: str) -> str:
	"""The sum of the digests, without what CHECKSUM TABLE says."""
	return read_tables(server, database, [table])[table].checksum.split(" ")[2]


def test_rows_there_twice_do_not_cancel_out(rows_database: tuple[Server, str]):
	server, database = rows_database
	sums = set()
	for names in ("aabb", "aaaa", "bbbb", "abab", "ab", "aab", ""):
		execute(
			server, database, "DELETE FROM one", *(f"INSERT INTO one (a) VALUES ('{name}')" for name in names)
		)
		sums.add(strong(server, database, "one"))
	assert len(sums) == 6


def test_neighbours_among_numbers(rows_database: tuple[Server, str]):
	"""Of a FLOAT, text shows six digits."""
	server, database = rows_database
	chance = random.Random(7)
	for name, kind, pattern in (("single", "<f", "<I"), ("fraction", "<d", "<Q")):
		sums, values = set(), [abs(chance.gauss(0, 1e6)) for _ in range(20)]
		for value in values:
			bits = struct.unpack(pattern, struct.pack(kind, value))[0]
			for neighbour in (bits, bits + 1):
				number = struct.unpack(kind, struct.pack(pattern, neighbour))[0]
				execute(server, database, "DELETE FROM one", f"INSERT INTO one ({name}) VALUES ({number!r})")
				sums.add(strong(server, database, "one"))
		assert len(sums) == 40


# --- what is not like any row ------------------------------------------------------------------


@pytest.fixture
def database(server: Server, tmp_path: Path) -> Iterator[str]:
	name = f"rows {tmp_path.name[-20:]} %s"
	make_database(server, name)
	yield name
	execute(server, None, f"DROP DATABASE {quote(name)}")


@pytest.fixture
def server_settings(server: Server) -> Iterator[Any]:
	"""Sets global variables of the server; they are as they were afterwards."""
	before: dict[str, Any] = {}

	def set_all(**settings: Any) -> None:
		with server.session() as cursor:
			for name, value in settings.items():
				cursor.execute(f"SELECT @@GLOBAL.{name}")
				before.setdefault(name, cursor.fetchone()[0])
				cursor.execute(f"SET GLOBAL {name} = %s", (value,))

	yield set_all
	set_all(**dict(before))


def test_values_that_are_too_large_to_be_joined(server: Server, database: str, server_settings: Any):
	execute(
		server, database, "CREATE TABLE large (id INT, a LONGTEXT, b LONGBLOB)",
		"INSERT INTO large VALUES (1, REPEAT('a', 60000), REPEAT('b', 60000)), (2, 'short', NULL)",
	)  # fmt: skip
	server_settings(max_allowed_packet=65536)
	assert execute(server, database, "SELECT CONCAT(a, b) FROM large WHERE id = 1") == [(None,)]
	sums = {strong(server, database, "large")}
	for column in "ab":
		execute(server, database, f"UPDATE large SET {column} = INSERT({column}, 100, 1, 'x') WHERE id = 1")
		sums.add(strong(server, database, "large"))
	assert len(sums) == 3


def test_a_row_that_is_too_large_is_not_passed_over(server: Server, database: str, server_settings: Any):
	execute(
		server, database, "CREATE TABLE wide (a VARCHAR(8000), b VARCHAR(7000))",
		"INSERT INTO wide VALUES ('a', 'b'), (REPEAT('a', 8000), REPEAT('b', 7000))",
	)  # fmt: skip
	server_settings(max_allowed_packet=8192)
	with pytest.raises(StepFailed, match="max_allowed_packet"):
		read_tables(server, database)


def test_settings_of_the_server_play_no_part(server: Server, database: str, server_settings: Any):
	execute(
		server, database, "CREATE TABLE `a b` (padded CHAR(9), instant TIMESTAMP NULL, n INT(9) ZEROFILL)",
		"INSERT INTO `a b` VALUES ('a', '2026-01-01 12:00:00', 5)",
	)  # fmt: skip
	before = read_tables(server, database)
	server_settings(sql_mode="PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,PIPES_AS_CONCAT", time_zone="+05:00")
	assert execute(server, database, "SELECT LENGTH(padded), HOUR(instant) FROM `a b`") != [(1, 12)]
	assert read_tables(server, database) == before


@pytest.mark.parametrize("place", ["ST_GeomFromText('POINT(1 2)', 4326)", "NULL", "POINT(2, 1)"])
def test_places(server: Server, database: str, place: str):
	for table, value in (("one", "POINT(1, 2)"), ("other", place), ("same", "POINT(1, 2)")):
		execute(
			server, database, f"CREATE TABLE {table} (p POINT, g GEOMETRY)",
			f"INSERT INTO {table} VALUES ({value}, POINT(1, 2))",
		)  # fmt: skip
	assert strong(server, database, "one") == strong(server, database, "same")
	assert strong(server, database, "one") != strong(server, database, "other")


@pytest.mark.parametrize(
	"columns",
	[
		"id INT PRIMARY KEY, v INT",
		"id INT PRIMARY KEY, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, "
		"till TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, till)",
	],
)
def test_history_counts(server: Server, database: str, columns: str):
	execute(
		server, database, f"CREATE TABLE kept ({columns}) WITH SYSTEM VERSIONING",
		"INSERT INTO kept (id, v) VALUES (1, 1)", "UPDATE kept SET v = 2",
	)  # fmt: skip
	before = strong(server, database, "kept")
	execute(server, database, "UPDATE kept SET v = 3", "UPDATE kept SET v = 2")
	assert strong(server, database, "kept") != before


def test_tables_of_odd_kinds_have_sums(server: Server, database: str):
	execute(
		server, database, "CREATE SEQUENCE numbers", "CREATE TABLE `50%s ``x``` (`%d` INT, `q``'` TEXT)",
		"INSERT INTO `50%s ``x``` VALUES (1, 'x')", "CREATE TABLE empty (a INT)",
		"CREATE TABLE computed (a INT AS (1) VIRTUAL)", "INSERT INTO computed VALUES ()",
		"CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
		"INSERT INTO parts VALUES (1), (2), (3)",
	)  # fmt: skip
	before = read_tables(server, database)
	assert {name: state.checksum.split(" ")[1] for name, state in before.items()} == {
		"50%s `x`": "1", "computed": "1", "empty": "0", "numbers": "1", "parts": "3",
	}  # fmt: skip
	execute(
		server, database, "SELECT NEXTVAL(numbers)", "INSERT INTO computed VALUES ()", "DELETE FROM parts"
	)
	now = read_tables(server, database)
	equal = [name for name in before if are_equal(before[name], now[name])]
	assert equal == ["50%s `x`", "empty"]
