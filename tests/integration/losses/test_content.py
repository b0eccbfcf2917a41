"""An approval is for the rows behind the list, not only for how many there are."""

import os
import subprocess
import sys

import pytest

from press_deploy.engine.databases.losses.content import Content
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.queries import Pair
from press_deploy.engine.databases.losses.reader import Table

NOTE = (
	"CREATE TABLE `tabNote` (name VARCHAR(140) PRIMARY KEY, docstatus INT NOT NULL DEFAULT 0, title TEXT, "
	"other TEXT, _seen TEXT)"
)
ITEM = (
	"CREATE TABLE `tabNote Item` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), "
	"parenttype VARCHAR(140), qty INT)"
)
SINGLES = "CREATE TABLE `tabSingles` (doctype VARCHAR(255), field VARCHAR(255), value TEXT)"
PLAIN = "CREATE TABLE plain (a INT, b TEXT)"
KEYED = "CREATE TABLE `keyed` (a INT PRIMARY KEY, b TEXT)"
VERSION = "CREATE TABLE `tabVersion` (name VARCHAR(140) PRIMARY KEY, data TEXT)"
MANY = 60


@pytest.fixture
def lost(databases):
	"""Something is lost everywhere, and of one DocType more than is named."""
	databases.both(
		NOTE,
		ITEM,
		SINGLES,
		PLAIN,
		KEYED,
		VERSION,
		"INSERT INTO `tabNote` (name, title) VALUES ('edit', 'a'), ('gone', 'a'), ('gone too', 'a'), ('kept', 'a')",
	)
	databases.execute(
		databases.after,
		"UPDATE `tabNote` SET title = 'b' WHERE name = 'edit'",
		"DELETE FROM `tabNote` WHERE name = 'gone'",
		"INSERT INTO `tabNote Item` VALUES ('1', 'edit', 'Note', 1), ('2', 'nowhere', 'Note', 1)",
		"INSERT INTO `tabNote Item` VALUES ('3', 'R', 'Rollback Event', 1)",
		"INSERT INTO `tabSingles` VALUES ('Shop', 'title', 'x')",
		"INSERT INTO plain VALUES (1, 'x'), (1, 'x')",
		"INSERT INTO `keyed` VALUES (1, 'x')",
		"INSERT INTO `tabVersion` VALUES ('1', 'x')",
	)
	databases.insert(
		databases.after, "tabNote", [(f"N{number:03}", 0, "x", "y", None) for number in range(MANY)]
	)
	return databases


def shape(found):
	"""All that a person sees."""
	return {**found.shown, "content": None}


@pytest.mark.parametrize(
	"statements",
	[
		["UPDATE `tabNote` SET title = 'c' WHERE name = 'edit'"],
		["UPDATE `tabNote` SET title = 'c' WHERE name = 'N059'"],
		["UPDATE `tabNote` SET name = 'N060' WHERE name = 'N059'"],
		["UPDATE `tabNote` SET title = 'y', other = 'x' WHERE name = 'N000'"],
		["UPDATE `tabNote` SET title = NULL WHERE name = 'N000'"],
		["UPDATE `tabNote Item` SET qty = 2 WHERE name = '1'"],
		["UPDATE `tabNote Item` SET qty = 2 WHERE name = '2'"],
		["UPDATE `tabSingles` SET value = 'y'"],
		["UPDATE plain SET b = 'y'"],
		["UPDATE plain SET a = 2 WHERE a = 1"],
		["UPDATE `keyed` SET b = 'y'"],
		["DELETE FROM `keyed`", "INSERT INTO `keyed` VALUES (2, 'x')"],
		[
			"ALTER TABLE `tabNote` RENAME COLUMN title TO t",
			"ALTER TABLE `tabNote` RENAME COLUMN other TO title",
			"ALTER TABLE `tabNote` RENAME COLUMN t TO other",
			"UPDATE `tabNote` SET title = 'a', other = NULL WHERE name IN ('kept', 'gone too')",
		],
	],
	ids=lambda statements: statements[0],
)
def test_other_content_behind_the_same_list_has_another_hash(lost, statements):
	first = lost.find()
	lost.execute(lost.after, *statements)
	second = lost.find()
	assert shape(second) == shape(first) and second.sha256 != first.sha256


def test_another_document_beyond_the_named_ones_has_another_hash(lost):
	"""Deleted documents have no live row: their names are what tells them apart."""
	names = [f"D{number:03}" for number in range(MANY)]
	lost.insert(lost.before, "tabNote", [(name, 0, "", "", None) for name in names])
	lost.insert(lost.after, "tabNote", [(names[-1], 0, "", "", None)])
	first = lost.find()
	lost.execute(lost.after, f"UPDATE `tabNote` SET name = '{names[-2]}' WHERE name = '{names[-1]}'")
	second = lost.find()
	assert shape(second) == shape(first) and second.sha256 != first.sha256


def test_what_nobody_approves_is_no_part_of_the_hash(lost):
	"""Else no approval would hold on a site at work."""
	first = lost.find()
	lost.execute(
		lost.after,
		"UPDATE `tabNote` SET _seen = 'ada'",
		"UPDATE `tabVersion` SET data = 'y'",
		"UPDATE `tabNote Item` SET qty = 7 WHERE parenttype = 'Rollback Event'",
	)
	assert lost.find().sha256 == first.sha256


def test_the_hash_is_the_same_in_another_database_and_process(lost):
	"""The list that is approved and the one behind closed doors are made by two programs."""
	if lost.kind == "sqlite":
		program = (
			"import sys\nfrom press_deploy.engine.databases.losses.finding import find_losses\n"
			"from press_deploy.engine.databases.sqlite.losses import open_snapshot\n"
			"with open_snapshot(*sys.argv[1:]) as reader:\n"
			"\tprint(find_losses(reader, *sys.argv[1:]).sha256)"
		)
		answers = {
			subprocess.run(
				[sys.executable, "-c", program, lost.before, lost.after],
				capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
			).stdout.strip()
			for seed in ("1", "2")
		}  # fmt: skip
		assert answers == {lost.find().sha256}
		return
	first = lost.find()
	rows = "SELECT * FROM `tabNote` ORDER BY name DESC"
	lost.execute(
		lost.after, "CREATE TABLE other LIKE `tabNote`", f"INSERT INTO other {rows}", "DROP TABLE `tabNote`",
		"RENAME TABLE other TO `tabNote`",
	)  # fmt: skip
	with lost.open() as reader:
		assert find_losses(reader, lost.before, lost.after).sha256 == first.sha256


def test_nothing_has_no_content(databases):
	databases.both(NOTE, "INSERT INTO `tabNote` (name) VALUES ('A')")
	assert databases.find() == Losses()


def test_rows_count_as_often_as_they_come_and_in_any_order():
	pair = Pair("t", None, Table("t", {}), "", "")

	def digest(*rows):
		content = Content()
		for row in rows:
			content.add(pair, "created", row)
		return content.sha256()

	assert digest("a", "b") == digest("b", "a")
	assert len({digest(), digest("a"), digest("a", "a"), digest("b"), digest("a", "b"), digest("ab")}) == 6
	assert digest() == ""
