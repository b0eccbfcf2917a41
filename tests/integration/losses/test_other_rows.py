"""The export of what is no document, and that nothing listed is missing from the files in silence."""

import json

import pytest

from press_deploy.engine.databases.losses.export import export
from press_deploy.engine.databases.losses.finding import find_losses

NOTE = "CREATE TABLE `tabNote` (name VARCHAR(140) PRIMARY KEY, t TEXT)"
LINE = "CREATE TABLE `tabLine` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parenttype VARCHAR(140), t TEXT)"
AUTH = (
	"CREATE TABLE `__Auth` (doctype VARCHAR(140), name VARCHAR(255), fieldname VARCHAR(140), "
	"password TEXT, encrypted INT, PRIMARY KEY (doctype, name, fieldname))"
)


def write(databases, directory):
	"""The list, the data of `losses.json`, and what is not in it."""
	with databases.open() as reader:
		losses = find_losses(reader, databases.before, databases.after)
		exported = export(losses, reader, databases.before, databases.after, directory)
	data = json.loads((directory / "losses.json").read_text())
	assert data["left_out"] == exported.left_out
	return losses, data, exported.left_out


def of_table(data, table):
	return [(entry["action"], entry["row"]) for entry in data["other_rows"] if entry["table"] == table]


def test_rows_of_tables_with_a_key(databases, tmp_path):
	databases.both("CREATE TABLE raw (id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9))")
	databases.insert(databases.before, "raw", [(1, "same", "x"), (2, "old", "x"), (3, "gone", "x")])
	databases.insert(databases.after, "raw", [(1, "same", "x"), (2, "new", "x"), (4, "made", None)])
	losses, data, left_out = write(databases, tmp_path)
	assert losses.other_tables == {"raw": 3} and not left_out
	assert of_table(data, "raw") == [
		("changed", {"id": 2, "a": "new", "b": "x"}),
		("created", {"id": 4, "a": "made", "b": None}),
		("deleted", {"id": 3, "a": "gone", "b": "x"}),
	]


def test_rows_of_tables_without_a_key_come_as_often_as_they_are_lost(databases, tmp_path):
	databases.both("CREATE TABLE raw (a INT, b VARCHAR(9))", "CREATE TABLE same (a INT)")
	databases.both("INSERT INTO same VALUES (1), (1)")
	databases.insert(databases.before, "raw", [(1, "x"), (2, "x"), (2, "x"), (3, None)])
	databases.insert(databases.after, "raw", [(1, "x"), (1, "x"), (1, "x"), (2, "x"), (3, "new")])
	losses, data, left_out = write(databases, tmp_path)
	assert losses.other_tables == {"raw": 3} and not left_out and not of_table(data, "same")
	assert sorted(map(str, of_table(data, "raw"))) == [
		"('created', {'a': 1, 'b': 'x'})",
		"('created', {'a': 1, 'b': 'x'})",
		"('created', {'a': 3, 'b': 'new'})",
		"('deleted', {'a': 2, 'b': 'x'})",
		"('deleted', {'a': 3, 'b': None})",
	]


def test_rows_of_a_table_that_only_one_side_has(databases, tmp_path):
	databases.both(NOTE)
	databases.execute(databases.after, "CREATE TABLE fresh (a INT)", "INSERT INTO fresh VALUES (1), (1)")
	databases.execute(
		databases.before, "CREATE TABLE gone (a INT PRIMARY KEY)", "INSERT INTO gone VALUES (2)"
	)
	losses, data, _ = write(databases, tmp_path)
	assert losses.other_tables == {"fresh": 2, "gone": 1}
	assert of_table(data, "fresh") == [("created", {"a": 1})] * 2
	assert of_table(data, "gone") == [("deleted", {"a": 2})]


def test_rows_whose_document_is_nowhere(databases, tmp_path):
	databases.both(NOTE, LINE, "INSERT INTO `tabNote` VALUES ('N', 'x')")
	databases.insert(databases.before, "tabLine", [("l0", "nobody", "Note", "deleted")])
	databases.insert(
		databases.after, "tabLine", [("l1", "nobody", "Note", "orphan"), ("l2", "N", "Note", "of N")]
	)
	losses, data, left_out = write(databases, tmp_path)
	assert losses.other_tables == {"tabLine": 2} and not left_out
	assert [(action, row["t"]) for action, row in of_table(data, "tabLine")] == [
		("created", "orphan"),
		("deleted", "deleted"),
	]
	assert [row["t"] for row in data["documents"][0]["children"]["Line"]] == ["of N"]


def test_columns_that_hold_one_value_in_all_rows(databases, tmp_path):
	databases.both(NOTE, "INSERT INTO `tabNote` VALUES ('A', 'x'), ('B', 'y')")
	databases.execute(
		databases.after,
		"ALTER TABLE `tabNote` ADD COLUMN extra TEXT",
		"ALTER TABLE `tabNote` ADD COLUMN some_api_key TEXT",
		"UPDATE `tabNote` SET extra = 'FILLED', some_api_key = 'S3CRET'",
		"INSERT INTO `tabNote` (name, extra) VALUES ('0', 'its own')",
	)
	losses, data, left_out = write(databases, tmp_path)
	assert losses.other_tables == {"tabNote": 2} and left_out == ["tabNote.some_api_key"]
	assert data["filled_columns"] == [{"table": "tabNote", "column": "extra", "rows": 2, "value": "FILLED"}]
	assert "S3CRET" not in str(data)


@pytest.mark.parametrize(
	("value", "is_missed"), [("LIC-1", True), (None, False), ("", False), ("******", False)]
)
def test_what_only_looks_like_a_secret_is_said_to_be_missing_where_there_is_something(
	databases, tmp_path, value, is_missed
):
	databases.both(
		"CREATE TABLE `tabMember` (name VARCHAR(140) PRIMARY KEY, license_key TEXT, company_secretary TEXT)"
	)
	databases.insert(databases.after, "tabMember", [("m", value, None)])
	_, data, left_out = write(databases, tmp_path)
	assert data["documents"][0]["row"] == {"name": "m", "company_secretary": None}
	assert left_out == (["tabMember.license_key"] if is_missed else [])


@pytest.mark.parametrize("encrypted", [0, 1])
def test_a_hashed_password_is_not_missed_but_a_stored_one_is(databases, tmp_path, encrypted):
	databases.both(AUTH)
	databases.insert(databases.after, "__Auth", [("User", "u", "password", "S3CRET", encrypted)])
	losses, data, left_out = write(databases, tmp_path)
	assert losses.other_tables == {"__Auth": 1} and "S3CRET" not in str(data)
	assert of_table(data, "__Auth")[0][1]["name"] == "u"
	assert left_out == (["__Auth.password"] if encrypted else [])


def test_names_with_a_zero(databases, tmp_path):
	databases.both(NOTE, LINE)
	databases.insert(databases.after, "tabNote", [("a\0b", "x"), ("'\0'", "y")])
	databases.insert(
		databases.after, "tabLine", [("l", "a\0b", "Note", "z"), ("m", "no\0where", "Note", "w")]
	)
	losses, data, left_out = write(databases, tmp_path)
	assert losses.documents["Note"]["created"].count == 2 and losses.other_tables == {"tabLine": 1}
	rows = {document["name"]: document for document in data["documents"]}
	assert rows["'\0'"]["row"]["t"] == "y" and rows["a\0b"]["children"]["Line"][0]["t"] == "z"
	assert of_table(data, "tabLine")[0][1]["t"] == "w" and not left_out


def test_documents_that_can_not_be_asked_for_by_name_are_said_to_be_missing(sqlite, tmp_path):
	sqlite.both(NOTE)
	sqlite.execute(
		sqlite.after,
		"INSERT INTO `tabNote` VALUES (CAST(x'61ff' AS TEXT), 'bytes'), ('a\\xff', 'words'), (NULL, 'null')",
	)
	losses, data, left_out = write(sqlite, tmp_path)
	assert losses.documents["Note"]["created"].count == 3
	assert [document["row"]["t"] for document in data["documents"]] == ["words"]
	assert left_out == ["tabNote: 2 of 3 created"]
