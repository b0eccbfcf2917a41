"""Losses between two real databases: each kind of difference, and what must not count."""

import pytest

from press_deploy.engine.databases.losses.comparison import Comparison
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses, Named
from press_deploy.engine.databases.losses.queries import _compare_kept, _compare_live
from press_deploy.engine.ground.errors import StepFailed

from .conftest import SQLiteDatabases

NOTE = (
	"CREATE TABLE `tabNote` (name VARCHAR(140) PRIMARY KEY, docstatus INT NOT NULL DEFAULT 0, "
	"title VARCHAR(140), body TEXT, modified VARCHAR(30), _seen TEXT)"
)
ITEM = (
	"CREATE TABLE `tabNote Item` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parentfield VARCHAR(140), "
	"parenttype VARCHAR(140), idx INT, qty DECIMAL(18,6))"
)
SINGLES = "CREATE TABLE `tabSingles` (doctype VARCHAR(255), field VARCHAR(255), value TEXT)"


def note(name, docstatus=0, title="title", body="body", modified="2024", seen=None):
	return (name, docstatus, title, body, modified, seen)


def item(name, parent="N", qty=1, parenttype="Note"):
	return (name, parent, "items", parenttype, 1, qty)


@pytest.fixture
def notes(databases):
	databases.both(NOTE, ITEM, SINGLES)
	return databases


def fill(databases, table, before, after):
	databases.insert(databases.before, table, before)
	databases.insert(databases.after, table, after)


def documents(**actions):
	return {"Note": {action: Named(len(names), tuple(names)) for action, names in actions.items()}}


def test_equal_databases_lose_nothing(notes):
	fill(notes, "tabNote", [note("A")], [note("A")])
	found = notes.find()
	assert found == Losses() and found.is_empty and found.describe() == "nothing"


def test_every_action_is_told_apart_and_counted_once(notes):
	fill(
		notes,
		"tabNote",
		[
			note("kept"),
			note("draft"),
			note("sub", 1),
			note("edit"),
			note("gone"),
			note("back", 2),
			note("both"),
		],
		[
			*(note("kept"), note("draft", 1, "other"), note("sub", 2), note("edit", title="x"), note("new")),
			*(note("new and submitted", 1), note("back", 0), note("both", 2)),
		],
	)
	fill(
		notes,
		"tabNote Item",
		[item("1", "draft")],
		[item("1", "draft", 2), item("2", "new"), item("3", "edit")],
	)
	assert notes.find().documents == documents(
		created=["new", "new and submitted"],
		changed=["back", "edit"],
		submitted=["draft"],
		cancelled=["both", "sub"],
		deleted=["gone"],
	)


@pytest.mark.parametrize(
	("before", "after"),
	[
		(("a", "b"), ("A", "b")),
		(("a", "b"), ("a ", "b")),
		(("a", "b"), ("ä", "b")),
		((None, "b"), ("", "b")),
		(("", "b"), (None, "b")),
		(("ab", "c"), ("a", "bc")),
		(("", "abc"), ("abc", "")),
	],
	ids=["case", "space", "accent", "null", "empty", "shifted", "moved"],
)
def test_small_changes_count(notes, before, after):
	"""The last two are the same to CHECKSUM TABLE."""
	fill(notes, "tabNote", [note("A", 0, *before)], [note("A", 0, *after)])
	assert notes.find().documents == documents(changed=["A"])


def test_modified_alone_proves_nothing(notes):
	fill(notes, "tabNote", [note("A"), note("B")], [note("A", body="other"), note("B")])
	assert notes.find().documents == documents(changed=["A"])


def test_having_been_looked_at_is_no_change(notes):
	fill(notes, "tabNote", [note("A")], [note("A", seen='["ada"]')])
	assert notes.find().is_empty


@pytest.mark.parametrize(
	("before", "after"),
	[
		([], [item("1", "A")]),
		([item("1", "A")], []),
		([item("1", "A")], [item("1", "A", 2)]),
		([item("1", "A"), item("2", "A", 2)], [item("1", "A", 2), item("2", "A", 1)]),
	],
	ids=["added", "removed", "changed", "swapped"],
)
def test_a_child_row_changes_its_document(notes, before, after):
	fill(notes, "tabNote", [note("A"), note("B")], [note("A"), note("B")])
	fill(notes, "tabNote Item", before, after)
	found = notes.find()
	assert found.documents == documents(changed=["A"]) and not found.other_tables


def test_a_row_that_moves_changes_both_documents(notes):
	fill(notes, "tabNote", [note("A"), note("B")], [note("A"), note("B")])
	fill(notes, "tabNote Item", [item("1", "A")], [item("1", "B")])
	assert notes.find().documents == documents(changed=["A", "B"])


def test_child_rows_without_a_document_are_rows_of_their_table(notes):
	fill(notes, "tabNote", [note("A")], [note("A")])
	fill(
		notes, "tabNote Item", [item("1", "gone")], [item("2", "gone"), item("3", "x", parenttype="Unknown")]
	)
	found = notes.find()
	assert found.other_tables == {"tabNote Item": 3} and not found.documents


def test_settings_are_named_by_their_doctype(notes):
	fill(
		notes,
		"tabSingles",
		[
			("Kept", "a", "1"),
			("Case", "a", "x"),
			("Null", "a", None),
			("Gone", "a", "1"),
			("Twice", "a", "1"),
		],
		[
			("Kept", "a", "1"),
			("Case", "a", "X"),
			("Null", "a", ""),
			("New", "a", "1"),
			*[("Twice", "a", "1")] * 2,
		],
	)
	fill(notes, "tabNote Item", [], [item("1", "About Us", parenttype="About Us")])
	assert notes.find().singles == ("About Us", "Case", "Gone", "New", "Null", "Twice")


def test_tables_without_documents_are_counted(notes):
	notes.both(
		"CREATE TABLE `__Auth` (doctype VARCHAR(140), name VARCHAR(140), fieldname VARCHAR(140), password TEXT, "
		"PRIMARY KEY (doctype, name, fieldname))",
		"CREATE TABLE `tabSeries` (name VARCHAR(100) PRIMARY KEY, current INT)",
		"CREATE TABLE plain (a VARCHAR(10), b VARCHAR(10))",
	)
	user = ("User", "ada", "password")
	fill(
		notes,
		"__Auth",
		[(*user, "x"), ("User", "bob", "password", "y")],
		[(*user, "z"), ("User", "eve", "p", "y")],
	)
	fill(notes, "tabSeries", [("SI-", 5)], [("SI-", 6)])
	fill(
		notes, "plain", [("a", "b"), ("a", "b"), (None, "")], [("a", "b"), ("", None), ("n", "N"), ("n", "N")]
	)
	assert notes.find().other_tables == {"__Auth": 3, "plain": 3, "tabSeries": 1}


def test_noise_and_our_own_records_are_apart(notes):
	for table in ("tabVersion", "tabRollback Event", "tabError Log"):
		notes.both(f"CREATE TABLE `{table}` (name VARCHAR(140) PRIMARY KEY, error TEXT)")
	fill(notes, "tabVersion", [("a", "")], [("a", "x"), ("b", "")])
	fill(notes, "tabRollback Event", [], [("R", "")])
	fill(
		notes,
		"tabNote Item",
		[],
		[item("1", "R", parenttype="Rollback Event"), item("2", "b", parenttype="Version")],
	)
	found = notes.find()
	assert found.is_empty and found.noise == {"tabVersion": (1, 2)}


def test_tables_that_one_side_lacks(notes):
	new = "CREATE TABLE `tabNew` (name VARCHAR(140) PRIMARY KEY, docstatus INT)"
	notes.execute(notes.after, new, "INSERT INTO `tabNew` VALUES ('1', 1)", "CREATE TABLE extra (a INT)")
	notes.execute(notes.after, "INSERT INTO extra VALUES (1)", "INSERT INTO extra VALUES (1)")
	notes.execute(notes.before, new.replace("New", "Old"), "INSERT INTO `tabOld` VALUES ('1', 1)")
	notes.execute(notes.before, "CREATE TABLE `tabEmpty` (name VARCHAR(140) PRIMARY KEY)")
	found = notes.find()
	assert found.documents == {"New": {"created": Named(1, ("1",))}, "Old": {"deleted": Named(1, ("1",))}}
	assert found.other_tables == {"extra": 2}


def test_only_common_columns_are_compared(notes):
	fill(notes, "tabNote", [note("A"), note("B")], [note("A"), note("B", title="x")])
	notes.execute(notes.after, "ALTER TABLE `tabNote` ADD COLUMN added INT DEFAULT 7")
	notes.execute(notes.before, "ALTER TABLE `tabNote` ADD COLUMN removed TEXT")
	assert notes.find().documents == documents(changed=["B"])


def test_only_fifty_names_are_kept_and_all_counted(notes):
	names = [f"N{number:05}" for number in range(12_000)]
	fill(notes, "tabNote", [], [note(name) for name in names])
	found = notes.find()
	assert found.documents == {"Note": {"created": Named(12_000, tuple(names[:50]))}}


def test_equal_content_gives_equal_bytes_however_it_came_there(notes):
	rows = [note(name) for name in ("b", "a", "é", "Z", "10", "9")]
	fill(notes, "tabNote", [], rows)
	first = notes.find()
	notes.execute(notes.after, "DELETE FROM `tabNote`")
	notes.insert(notes.after, "tabNote", rows[::-1])
	second = notes.find()
	assert first == second and first.sha256 == second.sha256
	assert first.documents["Note"]["created"].names == ("10", "9", "Z", "a", "b", "é")


@pytest.mark.parametrize("side", ["before", "after"])
def test_nothing_to_compare_with_is_an_error(notes, side, tmp_path):
	fill(notes, "tabNote", [note("A")], [note("A")])
	setattr(notes, side, str(tmp_path / "other"))
	with pytest.raises(StepFailed) as caught, notes.open() as reader:
		find_losses(reader, notes.before, notes.after)
	assert caught.value.remedy


def test_an_empty_database_is_an_error(databases):
	databases.execute(databases.after, NOTE)
	if databases.kind == "sqlite":
		databases.execute(databases.before, "PRAGMA user_version = 1")
	with pytest.raises(StepFailed, match="no tables"):
		databases.find()


def test_types_that_a_migration_changed(mariadb):
	"""Values count, not how they are stored: more digits, another collation, names that were numbers."""
	columns = "(name {}, money {}, at {}, flag {}, label {})"
	old = columns.format("VARCHAR(140) PRIMARY KEY", "DECIMAL(18,6)", "DATETIME(6)", "TINYINT", "VARCHAR(50)")
	new = columns.format("VARCHAR(255) PRIMARY KEY", "DECIMAL(21,9)", "DATETIME(6)", "INT", "LONGTEXT")
	row = "('Ä-1', 1.5, '2024-01-02 03:04:05.678', 1, 'Größe')"
	mariadb.execute(
		mariadb.before, f"CREATE TABLE tabA {old} CHARSET latin1", f"INSERT INTO tabA VALUES {row}"
	)
	mariadb.execute(
		mariadb.after, f"CREATE TABLE tabA {new} COLLATE utf8mb4_bin", f"INSERT INTO tabA VALUES {row}"
	)
	assert mariadb.find().is_empty
	number, text = (
		"CREATE TABLE tabB (name BIGINT PRIMARY KEY, a INT)",
		"CREATE TABLE tabB (name VARCHAR(9) PRIMARY KEY, a INT)",
	)
	mariadb.execute(mariadb.before, number, "INSERT INTO tabB VALUES (1, 1), (2, 2), (3, 3)")
	mariadb.execute(mariadb.after, text, "INSERT INTO tabB VALUES ('1', 1), ('2', 0), ('4', 4), ('x', 5)")
	assert mariadb.find().documents == {
		"B": {"created": Named(2, ("4", "x")), "changed": Named(1, ("2",)), "deleted": Named(1, ("3",))}
	}


def test_a_document_is_found_by_its_name_in_other_letters(mariadb):
	mariadb.both(NOTE, ITEM)
	fill(mariadb, "tabNote", [note("Straße A"), note("Été")], [note("Straße A"), note("New")])
	fill(mariadb, "tabNote Item", [], [item("1", "strasse a"), item("2", "NEW"), item("3", "ete")])
	found = mariadb.find()
	assert found.documents == documents(created=["New"], changed=["Straße A"], deleted=["Été"])
	assert not found.other_tables


def test_views_sequences_and_indexes_are_no_tables(databases):
	databases.both(NOTE, "CREATE VIEW seen AS SELECT name FROM `tabNote`")
	databases.insert(databases.after, "tabNote", [note("A")])
	if databases.kind == "mariadb":
		databases.both("CREATE SEQUENCE counter")
		databases.execute(databases.after, "SELECT NEXTVAL(counter)")
	else:
		databases.both("CREATE VIRTUAL TABLE found USING fts5(a, content='')")
		databases.execute(databases.after, "INSERT INTO found (rowid, a) VALUES (1, 'x')")
	found = databases.find()
	assert found == Losses(documents(created=["A"]), content=found.content)


def test_a_snapshot_sees_its_own_moment(mariadb):
	"""Whatever is written after it was opened."""
	mariadb.both(NOTE)
	fill(mariadb, "tabNote", [note("A")], [note("A"), note("B")])
	with mariadb.open() as reader:
		mariadb.insert(mariadb.after, "tabNote", [note("later")])
		mariadb.insert(mariadb.before, "tabNote", [note("later still")])
		assert find_losses(reader, mariadb.before, mariadb.after).documents == documents(created=["B"])
	assert mariadb.find().documents == documents(created=["B", "later"], deleted=["later still"])


def test_a_snapshot_of_files_sees_its_own_moment(tmp_path):
	databases = SQLiteDatabases(tmp_path)
	databases.both("PRAGMA journal_mode = WAL", NOTE)
	fill(databases, "tabNote", [note("A")], [note("A"), note("B")])
	with databases.open() as reader:
		databases.insert(databases.after, "tabNote", [note("later")])
		assert find_losses(reader, databases.before, databases.after).documents == documents(created=["B"])


def test_a_table_altered_after_the_snapshot_is_an_error(mariadb):
	mariadb.both(NOTE)
	fill(mariadb, "tabNote", [note("A")], [note("A"), note("B")])
	with mariadb.open() as reader:
		mariadb.execute(mariadb.after, "ALTER TABLE `tabNote` ADD COLUMN x INT, ALGORITHM=COPY")
		with pytest.raises(StepFailed, match="altered meanwhile") as caught:
			find_losses(reader, mariadb.before, mariadb.after)
	assert caught.value.remedy


def test_an_open_snapshot_keeps_nobody_from_altering_tables(mariadb):
	mariadb.both(NOTE)
	fill(mariadb, "tabNote", [note("A")], [note("A"), note("B")])
	with mariadb.open() as reader:
		find_losses(reader, mariadb.before, mariadb.after)
		mariadb.execute(mariadb.after, "SET lock_wait_timeout = 1", "ALTER TABLE `tabNote` ADD COLUMN x INT")


def test_a_snapshot_can_not_write(databases):
	databases.both(NOTE)
	with databases.open() as reader, pytest.raises(StepFailed, match=r"(?i)read.?only"):
		list(reader.stream(f"DELETE FROM {reader.place(databases.after, 'tabNote')}"))


def test_a_server_that_dies_is_an_error(mariadb):
	mariadb.both(NOTE)
	with mariadb.open() as reader:
		mariadb.execute("mysql", f"KILL {reader.one('SELECT CONNECTION_ID()')[0]}")
		with pytest.raises(StepFailed, match=r"connection to the server was lost") as caught:
			find_losses(reader, mariadb.before, mariadb.after)
	assert caught.value.remedy


def test_a_second_question_costs_nothing(databases):
	databases.both(NOTE)
	fill(databases, "tabNote", [], [note("A")])
	with databases.open() as reader:
		first = find_losses(reader, databases.before, databases.after)
		reader.stream = lambda _: pytest.fail("it was computed again")
		assert find_losses(reader, databases.before, databases.after) == first


def test_rows_are_looked_up_by_their_key(mariadb):
	"""Else each row would be compared with each, and a large table never end."""
	mariadb.both(NOTE)
	fill(mariadb, "tabNote", [note(f"N{n}") for n in range(2000)], [note(f"N{n}") for n in range(2000)])
	mariadb.execute(
		mariadb.after, "ALTER TABLE `tabNote` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	)
	with mariadb.open() as reader:
		comparison = Comparison(reader, mariadb.before, mariadb.after)
		for build in (_compare_live, _compare_kept):
			plan = list(reader.stream(f"EXPLAIN {build(reader, comparison.pair('tabNote'))}"))
			assert (plan[1][3], plan[1][5]) == ("eq_ref", "PRIMARY"), plan
