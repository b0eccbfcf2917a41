"""Values that look alike to a careless comparison, in tables with and without a key."""

from contextlib import closing

import pytest

from press_deploy.engine.databases.losses.model import Named
from press_deploy.engine.ground.errors import StepFailed

from .conftest import MariaDBDatabases, run_private_server

PLAIN = "CREATE TABLE plain (k INT, v {})"
CHANGED = {"B": {"changed": Named(1, ("1",))}}


@pytest.mark.parametrize(
	("kind", "before", "after"),
	[
		("VARBINARY(50)", "0xFF01", "0xFE01"),
		("BLOB", "0xFD", "0xFE"),
		("BIT(9)", "b'011111111'", "b'011111110'"),
		("POINT", "POINT(1, 2)", "POINT(1, 3)"),
		("FLOAT", "0.1", "0.10000001"),
		("DOUBLE", "0.3", "0.1 + 0.2e0"),
		("VARCHAR(9) CHARSET latin1", "'é'", "'e'"),
		("UUID", "'00000000-0000-0000-0000-0000000000fe'", "'00000000-0000-0000-0000-0000000000ff'"),
		("VARCHAR(9)", "''", "'NULL'"),
	],
)
def test_rows_without_a_key_are_compared_to_the_byte(mariadb, kind, before, after):
	mariadb.both(PLAIN.format(kind), "INSERT INTO plain VALUES (2, NULL)")
	mariadb.execute(mariadb.before, f"INSERT INTO plain VALUES (1, {before}), (1, {before})")
	mariadb.execute(mariadb.after, f"INSERT INTO plain VALUES (1, {before}), (1, {after})")
	assert mariadb.find().other_tables == {"plain": 1}


@pytest.mark.parametrize(
	("kind", "before", "after"),
	[
		("BLOB", "x'ff'", "x'fe'"),
		("TEXT", "CAST(x'61ff' AS TEXT)", "CAST(x'61fe' AS TEXT)"),
		("TEXT", "'a' || char(0) || 'b'", "'a' || char(0) || 'c'"),
		("TEXT", "'NULL'", "NULL"),
		("BLOB", "x'61'", "'a'"),
		("BLOB", "1", "'1'"),
		("REAL", "0.3", "0.1 + 0.2"),
	],
)
@pytest.mark.parametrize("table", ["plain", "tabB"])
def test_sqlite_values_are_compared_to_the_byte(sqlite, table, kind, before, after):
	name = "name TEXT PRIMARY KEY" if table == "tabB" else "name TEXT"
	sqlite.both(f"CREATE TABLE {table} ({name}, v {kind})")
	sqlite.execute(sqlite.before, f"INSERT INTO {table} VALUES ('1', {before})")
	sqlite.execute(sqlite.after, f"INSERT INTO {table} VALUES ('1', {after})")
	found = sqlite.find()
	assert found.documents == (CHANGED if table == "tabB" else {}) and found.total == 1


def test_the_same_number_in_another_type_is_no_change(sqlite):
	sqlite.execute(sqlite.before, "CREATE TABLE plain (v INTEGER)", "INSERT INTO plain VALUES (1), (NULL)")
	sqlite.execute(sqlite.after, "CREATE TABLE plain (v REAL)", "INSERT INTO plain VALUES (1), (NULL)")
	assert sqlite.find().is_empty


@pytest.mark.parametrize(
	("old", "new", "before", "after", "changed"),
	[
		("INTEGER", "TEXT", "7", "'7'", False),
		("INTEGER", "TEXT", "7", "'007'", True),
		("TEXT", "INTEGER", "'007'", "7", True),
		("INTEGER", "REAL", "7", "7.0", False),
		("REAL", "FLOAT", "0.3", "0.1 + 0.2", True),
		("VARCHAR(140)", "TEXT", "'a'", "'A'", True),
		("TEXT", "BLOB", "NULL", "''", True),
	],
)
def test_sqlite_types_that_a_migration_changed(sqlite, old, new, before, after, changed):
	table = "CREATE TABLE tabB (name TEXT PRIMARY KEY, v {})"
	sqlite.execute(sqlite.before, table.format(old), f"INSERT INTO tabB VALUES ('1', {before})")
	sqlite.execute(sqlite.after, table.format(new), f"INSERT INTO tabB VALUES ('1', {after})")
	assert sqlite.find().documents == (CHANGED if changed else {})


def test_the_hour_that_comes_twice(monkeypatch):
	"""As words, the two moments are the same."""
	monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
	with run_private_server() as server, closing(MariaDBDatabases(server)) as databases:
		databases.both(PLAIN.format("TIMESTAMP"))
		for database, hour in ((databases.before, 0), (databases.after, 1)):
			databases.execute(
				database,
				"SET time_zone = '+00:00'",
				f"INSERT INTO plain VALUES (1, '2024-10-27 0{hour}:30:00')",
			)
		databases.execute(databases.after, "SET time_zone = 'SYSTEM'", "CREATE TABLE words (at VARCHAR(30))")
		databases.execute(databases.after, "INSERT INTO words SELECT v FROM plain")
		with databases.open() as reader:
			(words,) = reader.one(f"SELECT at FROM {reader.place(databases.after, 'words')}")
		assert words == "2024-10-27 02:30:00", "the server isn't where summer time ends"
		assert databases.find().other_tables == {"plain": 1, "words": 1}


def test_bytes_that_became_text_are_compared_as_bytes(mariadb):
	table = "CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY, v {})"
	mariadb.execute(
		mariadb.before, table.format("VARBINARY(9)"), "INSERT INTO tabB VALUES ('1', 0xFF), ('2', 'é')"
	)
	mariadb.execute(
		mariadb.after, table.format("VARCHAR(9)"), "INSERT INTO tabB VALUES ('1', '?'), ('2', 'é')"
	)
	assert mariadb.find().documents == CHANGED


def test_a_table_of_many_columns(databases):
	columns = ", ".join(f"c{number} INT" for number in range(300))
	databases.both(
		f"CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY, {columns})", f"CREATE TABLE wide ({columns})"
	)
	for value, database in enumerate((databases.before, databases.after)):
		databases.execute(
			database, "INSERT INTO tabB (name, c0) VALUES ('1', 0)", f"UPDATE tabB SET c299 = {value}"
		)
		databases.execute(database, f"INSERT INTO wide (c0) VALUES ({value})")
	found = databases.find()
	assert found.documents == CHANGED and found.other_tables == {"wide": 1}


def test_a_digest_that_the_server_can_not_take_is_an_error(mariadb):
	"""It would be NULL for every row, and all rows would look the same."""
	columns = ", ".join(f"c{number} INT DEFAULT 1" for number in range(30))
	mariadb.both(f"CREATE TABLE wide ({columns})")
	mariadb.execute(mariadb.after, "INSERT INTO wide (c0) VALUES (7)")
	with mariadb.open() as reader:
		(size,) = reader.one("SELECT @@GLOBAL.max_allowed_packet")
	mariadb.execute("mysql", "SET GLOBAL max_allowed_packet = 1024")
	try:
		with pytest.raises(StepFailed, match="digest of a row") as caught:
			mariadb.find()
	finally:
		mariadb.execute("mysql", f"SET GLOBAL max_allowed_packet = {size}")
	assert "max_allowed_packet" in caught.value.remedy


def test_a_table_that_nobody_writes(mariadb):
	"""All that is in it is passed over, its key included; created and deleted rows still count."""
	mariadb.both("CREATE TABLE `tabSeen` (_seen INT PRIMARY KEY)", "INSERT INTO `tabSeen` VALUES (1), (2)")
	assert mariadb.find().is_empty
	mariadb.execute(
		mariadb.after, "INSERT INTO `tabSeen` VALUES (3)", "DELETE FROM `tabSeen` WHERE _seen = 1"
	)
	assert mariadb.find().other_tables == {"tabSeen": 2}


@pytest.mark.parametrize("before", ["TEXT", "LONGTEXT CHARSET latin1", "LONGBLOB"])
def test_values_larger_than_a_packet_are_compared(mariadb, before):
	"""Cast, each would be NULL, and all of them the same."""
	table = "CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY, v {})"
	mariadb.execute(mariadb.before, table.format(before))
	mariadb.execute(mariadb.after, table.format("LONGTEXT"))
	for name, letter in (("1", "y"), ("2", "x")):
		mariadb.execute(mariadb.before, f"INSERT INTO tabB VALUES ('{name}', REPEAT('x', 5000))")
		mariadb.execute(mariadb.after, f"INSERT INTO tabB VALUES ('{name}', REPEAT('{letter}', 5000))")
	with mariadb.open() as reader:
		(size,) = reader.one("SELECT @@GLOBAL.max_allowed_packet")
	mariadb.execute("mysql", "SET GLOBAL max_allowed_packet = 4096")
	try:
		with mariadb.open() as reader:
			statement = f"SELECT SUM(BINARY v IS NULL) FROM {reader.place(mariadb.after, 'tabB')}"
			assert reader.one(statement) == (2,), "they fit into a packet"
		assert mariadb.find().documents == CHANGED
	finally:
		mariadb.execute("mysql", f"SET GLOBAL max_allowed_packet = {size}")


def test_a_default_of_null_is_no_excuse_for_a_value_larger_than_a_packet(mariadb):
	table = "CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY)"
	mariadb.both(table, "INSERT INTO tabB VALUES ('1'), ('2')")
	mariadb.execute(
		mariadb.after,
		"ALTER TABLE tabB ADD COLUMN v LONGTEXT DEFAULT NULL",
		"UPDATE tabB SET v = REPEAT('x', 5000) WHERE name = '1'",
	)
	with mariadb.open() as reader:
		(size,) = reader.one("SELECT @@GLOBAL.max_allowed_packet")
	mariadb.execute("mysql", "SET GLOBAL max_allowed_packet = 4096")
	try:
		assert mariadb.find().documents == CHANGED
	finally:
		mariadb.execute("mysql", f"SET GLOBAL max_allowed_packet = {size}")


@pytest.mark.parametrize(
	("kind", "value"), [("UUID", "123e4567-e89b-12d3-a456-426655440000"), ("INET6", "2001:db8::ff00:42")]
)
@pytest.mark.parametrize("key", ["", " PRIMARY KEY"])
def test_words_that_became_a_type_of_their_own_are_no_change(mariadb, kind, value, key):
	table = "CREATE TABLE {} ({} {} {}, v {})"
	for name in ("tabB", "plain"):
		mariadb.execute(mariadb.before, table.format(name, "name", "VARCHAR(140)", key, "VARCHAR(140)"))
		mariadb.execute(mariadb.after, table.format(name, "name", kind, key, kind))
		for database in (mariadb.before, mariadb.after):
			mariadb.execute(database, f"INSERT INTO {name} VALUES ('{value}', '{value}')")
	assert mariadb.find().is_empty
	other = value[:-1] + "1"
	mariadb.execute(mariadb.after, f"UPDATE tabB SET v = '{other}'", f"UPDATE plain SET v = '{other}'")
	assert mariadb.find().total == 2


@pytest.mark.parametrize(
	"columns",
	[
		"",
		", a TIMESTAMP(6) GENERATED ALWAYS AS ROW START, b TIMESTAMP(6) GENERATED ALWAYS AS ROW END, "
		"PERIOD FOR SYSTEM_TIME (a, b)",
	],
)
@pytest.mark.parametrize("versioned", ["live", "both"])
def test_tables_that_keep_their_history_are_compared_as_they_are_now(mariadb, columns, versioned):
	table = "CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY, v TEXT{})"
	history = table.format(columns) + " WITH SYSTEM VERSIONING"
	mariadb.execute(mariadb.before, history if versioned == "both" else table.format(""))
	mariadb.execute(mariadb.after, history, history.replace("tabB", "tabNew"))
	for database in (mariadb.before, mariadb.after):
		mariadb.execute(database, "INSERT INTO tabB (name, v) VALUES ('0', 'a'), ('1', 'b')")
	assert mariadb.find().is_empty
	mariadb.execute(
		mariadb.after,
		"UPDATE tabB SET v = 'c' WHERE name = '1'",
		"UPDATE tabB SET v = 'x' WHERE name = '0'",
		"UPDATE tabB SET v = 'a' WHERE name = '0'",
		"INSERT INTO tabNew (name) VALUES ('n')",
	)
	assert mariadb.find().documents == {**CHANGED, "New": {"created": Named(1, ("n",))}}


@pytest.mark.parametrize("extra", ["", ", prefix='2'"])
def test_a_full_text_search_that_keeps_its_words_itself(sqlite, extra):
	sqlite.both(f"CREATE VIRTUAL TABLE found USING fts5(a{extra})", "INSERT INTO found VALUES ('x')")
	assert sqlite.find().is_empty
	sqlite.execute(sqlite.after, "UPDATE found SET a = 'y'")
	assert sqlite.find().other_tables == {"found": 1}
