"""What a migration removed: what is NO-GO, what is only told, and what was merely renamed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.inventory import (
	count_rows,
	list_apps,
	list_executed_patches,
	take_inventory,
)
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.verdict.conditions import Verdict, conclude, wants_rollback
from press_deploy.engine.verdict.removals import judge_removals

from .support import SITE, make_bench, make_spec

SCHEMA = """
CREATE TABLE `tabDocType` (name TEXT, module TEXT, custom INTEGER, issingle INTEGER, is_virtual INTEGER);
CREATE TABLE `tabModule Def` (name TEXT, app_name TEXT);
CREATE TABLE `tabRole` (name TEXT);
CREATE TABLE `tabCustom Field` (name TEXT);
CREATE TABLE `tabDefaultValue` (parent TEXT, defkey TEXT, defvalue TEXT);
CREATE TABLE `tabPatch Log` (patch TEXT, skipped INTEGER);
INSERT INTO `tabModule Def` VALUES ('Shop', 'shop');
INSERT INTO `tabDefaultValue` VALUES ('__global', 'installed_apps', '["frappe", "shop"]');
INSERT INTO `tabPatch Log` VALUES ('a.b', 0), ('c.d', 1), ('e.f', NULL);
INSERT INTO `tabRole` VALUES ('Clerk');
INSERT INTO `tabDocType` VALUES ('Item', 'Shop', 0, 0, 0), ('Empty', 'Shop', 0, 0, 0), ('Settings', 'Shop', 0, 1, 0),
	('Ghost', 'Shop', 0, 0, 1);
CREATE TABLE `tabItem` (name TEXT);
CREATE TABLE `tabEmpty` (name TEXT);
INSERT INTO `tabItem` VALUES ('anchor'), ('rope'), ('lantern');
"""


class Site:
	"""A bench of one site on SQLite, before and after."""

	def __init__(self, directory):
		self.bench = Bench.open(make_bench(directory))
		self.file = self.bench.site(SITE) / "db" / "x.db"
		self.file.parent.mkdir()
		self.bench.site_config(SITE).write_text(json.dumps({"db_name": "x", "db_type": "sqlite"}))
		self.execute(SCHEMA)
		self.before = self.look()

	def execute(self, script: str) -> None:
		with closing(sqlite3.connect(self.file)) as database:
			database.executescript(script)

	def look(self):
		return take_inventory(self.bench, SITE)

	def define(self, doctype: str, app: str = "shop") -> None:
		name = doctype.lower().replace(" ", "_")
		file = self.bench.app(app) / app / "shop" / "doctype" / name / f"{name}.json"
		file.parent.mkdir(parents=True)
		file.write_text(json.dumps({"doctype": "DocType", "name": doctype}))

	def judge(self):
		conditions, gone = judge_removals(self.bench, SITE, self.before)
		return conditions, gone


@pytest.fixture
def site(tmp_path) -> Site:
	return Site(tmp_path / "bench")


def forget(doctype: str) -> str:
	return f"DELETE FROM `tabDocType` WHERE name = '{doctype}';"


def test_nothing_is_gone(site):
	conditions, gone = site.judge()
	assert conclude(conditions) is Verdict.GO and gone == {}


def test_what_the_code_still_defines_is_no_go_and_goes_back(site):
	site.define("Item")
	site.execute(forget("Item"))
	conditions, gone = site.judge()
	against = conditions[0]
	assert conclude(conditions) is Verdict.NO_GO and gone == {"DocType": ["Item"]}
	assert (
		against.value == "gone, with 3 rows" and "doctype/item/item.json still defines it" in against.evidence
	)
	assert wants_rollback(conditions, make_spec().triggers)


@pytest.mark.parametrize("doctype", ["Empty", "Settings", "Ghost"])
def test_what_the_code_still_defines_is_no_go_without_rows_too(site, doctype):
	site.define(doctype)
	site.execute(forget(doctype))
	assert conclude(site.judge()[0]) is Verdict.NO_GO


@pytest.mark.parametrize("drop", ["", "DROP TABLE `tabItem`;"])
def test_rows_of_an_installed_app_are_no_go_and_a_question(site, drop):
	site.execute(forget("Item") + drop)
	conditions, _gone = site.judge()
	assert conclude(conditions) is Verdict.NO_GO and conditions[0].value == "gone, with 3 rows"
	assert "delete its rows" in conditions[0].evidence
	assert not wants_rollback(conditions, make_spec().triggers), "a person may consent"


@pytest.mark.parametrize("doctype", ["Empty", "Settings", "Ghost"])
def test_what_has_no_rows_and_no_definition_is_only_told(site, doctype):
	site.execute(forget(doctype))
	conditions, gone = site.judge()
	assert (
		conclude(conditions) is Verdict.GO
		and doctype in conditions[-1].evidence
		and gone["DocType"] == [doctype]
	)


def test_other_kinds_are_told(site):
	site.execute("DELETE FROM `tabRole`; DELETE FROM `tabModule Def` WHERE name = 'Shop'")
	conditions, gone = site.judge()
	assert conclude(conditions) is Verdict.GO and conditions[-1].value == "1 Module Def, 1 Role"
	assert gone == {"Module Def": ["Shop"], "Role": ["Clerk"]}


def test_rows_of_an_app_that_was_uninstalled_are_only_told(site):
	site.execute(forget("Item") + """UPDATE `tabDefaultValue` SET defvalue = '["frappe"]'""")
	conditions, gone = site.judge()
	assert conclude(conditions) is Verdict.GO and gone == {"DocType": ["Item"], "App": ["shop"]}


def test_renamed_is_not_gone(site):
	site.execute(
		"ALTER TABLE `tabItem` RENAME TO `tabThing`; UPDATE `tabDocType` SET name = 'Thing' WHERE name = 'Item'"
	)
	assert conclude(site.judge()[0]) is Verdict.GO


@pytest.mark.parametrize(
	"rows", ["('anchor')", "('x'), ('y'), ('z')", "('anchor'), ('rope')"], ids=["fewer", "others", "some"]
)
def test_a_new_doctype_with_other_rows_is_no_new_name(site, rows):
	site.execute(
		f"{forget('Item')} DROP TABLE `tabItem`; CREATE TABLE `tabThing` (name TEXT); INSERT INTO `tabThing` VALUES {rows};"
		"INSERT INTO `tabDocType` VALUES ('Thing', 'Shop', 0, 0, 0)"
	)
	assert conclude(site.judge()[0]) is Verdict.NO_GO


def test_large_tables_are_estimated_and_counted_when_they_are_gone(site):
	site.define("Item")
	site.before["doctypes"]["Item"] |= {"rows": 70_000, "about": True}
	site.execute(forget("Item"))
	assert site.judge()[0][0].value == "gone, with 3 rows", "its table is still there to be counted"
	site.execute("DROP TABLE `tabItem`")
	assert site.judge()[0][0].value == "gone, with about 70000 rows"


def test_what_the_lists_say(site):
	assert list_apps(site.bench, SITE) == ["frappe", "shop"]
	assert list_executed_patches(site.bench, SITE) == {"a.b", "e.f"}, "one that was skipped runs again"
	assert count_rows(site.bench, SITE, "Item") == 3 and count_rows(site.bench, SITE, "None") is None
	assert site.before["doctypes"]["Settings"]["rows"] is None


def test_a_database_that_cannot_be_asked_is_not_an_empty_one(site):
	site.file.write_bytes(b"no database")
	for look in (take_inventory, list_apps, list_executed_patches):
		with pytest.raises(StepFailed, match=SITE):
			look(site.bench, SITE)
