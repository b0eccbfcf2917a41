"""Columns that a migration added, dropped or renamed, and what users wrote there since."""

import pytest

from press_deploy.engine.databases.losses.added_columns import find_filled
from press_deploy.engine.databases.losses.model import Named
from press_deploy.engine.databases.losses.queries import Pair

TASK = "CREATE TABLE `tabTask` (name VARCHAR(140) PRIMARY KEY, title VARCHAR(140), modified VARCHAR(30))"
ITEM = "CREATE TABLE `tabItem` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parenttype VARCHAR(140))"
ADD = "ALTER TABLE `tabTask` ADD COLUMN added {}"


@pytest.fixture
def tasks(databases):
	databases.both(TASK)
	for database in (databases.before, databases.after):
		databases.insert(database, "tabTask", [(name, "title", "2024") for name in ("A", "B", "C")])
	return databases


def changed(*names):
	return {"Task": {"changed": Named(len(names), names)}}


@pytest.mark.parametrize(
	("kind", "value"),
	[
		("TEXT", "'written'"),
		("TEXT", "''"),
		("INT NOT NULL DEFAULT 0", "1"),
		("INT DEFAULT 7", "NULL"),
		("INT DEFAULT -1", "1"),
		("DECIMAL(21,9) NOT NULL DEFAULT 0.000000000", "0.5"),
		("VARCHAR(140) DEFAULT 'O''pen'", "'o''pen'"),
		("VARCHAR(140) DEFAULT 'Open'", "'Open '"),
		("VARCHAR(140) DEFAULT ''", "NULL"),
		("BLOB", "x'ff'"),
	],
)
def test_what_was_written_to_an_added_column_is_lost(tasks, kind, value):
	"""Without `modified`, as `db_set` and SQL write. The default that the migration filled in is nobody's."""
	tasks.execute(tasks.after, ADD.format(kind))
	assert tasks.find().is_empty
	tasks.execute(tasks.after, f"UPDATE `tabTask` SET added = {value} WHERE name = 'B'")
	found = tasks.find()
	assert found.documents == changed("B") and found.total == 1


def test_what_was_written_to_a_renamed_column_is_lost(databases):
	"""Even if the table has one document only, so that all rows share what was written."""
	databases.both(TASK)
	for database in (databases.before, databases.after):
		databases.insert(database, "tabTask", [("T1", "a", "2024")])
	databases.execute(
		databases.after,
		"ALTER TABLE `tabTask` RENAME COLUMN title TO subject",
		"UPDATE `tabTask` SET subject = 'written by a user'",
	)
	assert databases.find().documents == {"Task": {"changed": Named(1, ("T1",))}}


def test_one_value_in_all_rows_is_counted_and_hides_no_other_change(tasks):
	"""As a patch fills it in; a user may have done so, too, which is why it isn't nothing."""
	tasks.execute(
		tasks.after,
		ADD.format("VARCHAR(140)"),
		"UPDATE `tabTask` SET added = 'filled in'",
		"UPDATE `tabTask` SET title = 'edited' WHERE name = 'B'",
		"INSERT INTO `tabTask` (name, added) VALUES ('new', 'of its own')",
	)
	found = tasks.find()
	assert found.documents == {"Task": {"created": Named(1, ("new",)), "changed": Named(1, ("B",))}}
	assert found.other_tables == {"tabTask": 3}
	tasks.execute(tasks.after, "UPDATE `tabTask` SET added = 'filled out'")
	assert tasks.find().sha256 != found.sha256


def test_several_values_name_every_document(tasks):
	tasks.execute(tasks.after, ADD.format("TEXT"), "UPDATE `tabTask` SET added = name WHERE name <> 'C'")
	found = tasks.find()
	assert found.documents == changed("A", "B") and not found.other_tables


def test_a_filled_column_is_no_excuse_for_another(tasks):
	tasks.execute(
		tasks.after,
		ADD.format("TEXT"),
		ADD.format("INT").replace("added", "other"),
		"UPDATE `tabTask` SET added = 'x', other = NULL",
		"UPDATE `tabTask` SET other = 1 WHERE name = 'A'",
	)
	found = tasks.find()
	assert found.documents == changed("A") and found.other_tables == {"tabTask": 3}


def test_a_dropped_column_loses_nothing(tasks):
	tasks.execute(tasks.before, ADD.format("TEXT"), "UPDATE `tabTask` SET added = name")
	assert tasks.find().is_empty


def test_a_look_is_no_change_in_an_added_column_either(tasks):
	tasks.execute(
		tasks.after, ADD.format("TEXT").replace("added", "_seen"), "UPDATE `tabTask` SET _seen = name"
	)
	assert tasks.find().is_empty


def test_an_added_column_of_a_child_row_changes_its_document(tasks):
	tasks.both(ITEM, "INSERT INTO `tabItem` VALUES ('1', 'A', 'Task'), ('2', 'B', 'Task')")
	tasks.execute(
		tasks.after,
		"ALTER TABLE `tabItem` ADD COLUMN added INT",
		"UPDATE `tabItem` SET added = 1 WHERE name = '2'",
	)
	found = tasks.find()
	assert found.documents == changed("B") and not found.other_tables


@pytest.mark.parametrize("key", ["", " PRIMARY KEY"])
def test_an_added_column_of_a_table_without_documents(databases, key):
	databases.both(f"CREATE TABLE plain (a INT{key})", "INSERT INTO plain VALUES (1), (2), (3)")
	databases.execute(databases.after, "ALTER TABLE plain ADD COLUMN added INT DEFAULT 5")
	assert databases.find().is_empty
	databases.execute(databases.after, "UPDATE plain SET added = NULL WHERE a = 2")
	assert databases.find().other_tables == {"plain": 1}


def test_a_table_that_shares_no_column(databases):
	databases.execute(databases.before, "CREATE TABLE plain (a INT)", "INSERT INTO plain VALUES (1)")
	databases.execute(databases.after, "CREATE TABLE plain (b INT)", "INSERT INTO plain VALUES (1)")
	assert databases.find().other_tables == {"plain": 1}


@pytest.mark.parametrize(
	("kind", "is_named"),
	[
		("DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)", False),
		("UUID DEFAULT UUID()", True),
		("INT NOT NULL", False),
		("INT NOT NULL AUTO_INCREMENT UNIQUE", True),
	],
)
def test_a_default_that_is_no_constant_is_not_taken_for_nobodys(mariadb, kind, is_named):
	mariadb.both(TASK)
	for database in (mariadb.before, mariadb.after):
		mariadb.insert(database, "tabTask", [(name, "", "") for name in "AB"])
	mariadb.execute(mariadb.after, ADD.format(kind))
	found = mariadb.find()
	assert found.documents == (changed("A", "B") if is_named else {})
	assert found.other_tables == ({} if is_named else {"tabTask": 2})


def test_a_computed_column_is_no_users(tasks):
	tasks.execute(tasks.after, ADD.format("INT GENERATED ALWAYS AS (LENGTH(title)) VIRTUAL"))
	assert tasks.find().is_empty


def test_a_column_that_was_computed_and_is_now_written(tasks):
	tasks.execute(tasks.before, ADD.format("INT GENERATED ALWAYS AS (LENGTH(title)) VIRTUAL"))
	tasks.execute(tasks.after, ADD.format("INT DEFAULT 5"), "UPDATE `tabTask` SET added = 6 WHERE name = 'A'")
	assert "A" in tasks.find().documents["Task"]["changed"].names


@pytest.mark.parametrize("default", ["'a''b'", '"dq"', "x'00ff'", "+1.5e3", "TRUE"])
def test_sqlites_ways_to_write_a_default(sqlite, default):
	sqlite.both(TASK)
	for database in (sqlite.before, sqlite.after):
		sqlite.insert(database, "tabTask", [(name, "", "") for name in "ABC"])
	sqlite.execute(sqlite.after, ADD.format(f"DEFAULT {default}"))
	found = sqlite.find()
	# In double quotes it may be a column's name, too: what isn't certain to be a constant is counted.
	assert found.other_tables == ({"tabTask": 3} if default == '"dq"' else {})
	sqlite.execute(sqlite.after, "UPDATE `tabTask` SET added = 'x' WHERE name = 'B'")
	assert "B" in sqlite.find().documents["Task"]["changed"].names


def test_a_value_larger_than_a_packet_is_not_taken_for_what_all_others_hold(mariadb):
	"""MIN and MAX would pass over it if it had no digest."""
	mariadb.both(TASK)
	for database in (mariadb.before, mariadb.after):
		mariadb.insert(database, "tabTask", [(name, "", "") for name in "ABC"])
	mariadb.execute(
		mariadb.after,
		ADD.format("LONGTEXT CHARACTER SET latin1"),
		"UPDATE `tabTask` SET added = 'filled in'",
		"UPDATE `tabTask` SET added = REPEAT('x', 5000) WHERE name = 'B'",
	)
	with mariadb.open() as reader:
		(size,) = reader.one("SELECT @@GLOBAL.max_allowed_packet")
	mariadb.execute("mysql", "SET GLOBAL max_allowed_packet = 4096")
	try:
		with mariadb.open() as reader:
			live, kept = (reader.tables(database)["tabTask"] for database in (mariadb.after, mariadb.before))
			places = (reader.place(database, "tabTask") for database in (mariadb.before, mariadb.after))
			pair = Pair("tabTask", kept, live, *places)
			digest = reader.digest([reader.token("live", live.columns["added"])])
			unknown = f"SELECT COUNT(*) - COUNT({digest}) FROM {pair.live_place} AS live"
			assert reader.one(unknown) == (0,)
			assert reader.one(f"SELECT SUM(BINARY added IS NULL) FROM {pair.live_place}") == (1,), "it fits"
			assert find_filled(reader, pair) == {}
	finally:
		mariadb.execute("mysql", f"SET GLOBAL max_allowed_packet = {size}")
	with mariadb.open() as reader:
		assert find_filled(reader, pair) == {}
