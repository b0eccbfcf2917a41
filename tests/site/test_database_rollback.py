"""A real site is rolled back with its database by the engine's own steps: users wrote before, and after the opening.

By a runner that is killed between two renames, and by another one that goes on with it.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql.cursors
import pytest

from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.databases.mariadb import standby_swap
from press_deploy.engine.databases.mariadb.comparison import are_equal, read_tables
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.answers import check_answer
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.requests import put_request
from press_deploy.engine.journal.state import State
from press_deploy.engine.steps.interrupts import RollbackNeeded
from tests.site.conftest import BENCH, SITE
from tests.site.prepared_run import WalkedRun, When, keep_as_it_is, leave_nothing, require_administrator
from tests.site.real_site import Site

ORDER, ITEM, SETTINGS = "Rollback Test Order", "Rollback Test Item", "Rollback Test Settings"
ADDED = "rollback_test_added"
FILE = "press-deploy-rollback-test"
OTHER_LIST = "0" * 64

PREPARE = f"""
ORDER, ITEM, SETTINGS = {ORDER!r}, {ITEM!r}, {SETTINGS!r}

def make(name, fields, **more):
	fields = [dict(fieldname=key, label=key.title(), fieldtype=kind, options=options) for key, kind, options in fields]
	rights = [] if more.get("istable") else [dict(role="System Manager", read=1, write=1, create=1, delete=1)]
	more = dict(module="Custom", custom=1, permissions=rights, **more)
	frappe.get_doc(dict(doctype="DocType", name=name, fields=fields, **more)).insert()

def order(name, customer, *items):
	rows = [dict(item=item, quantity=len(item)) for item in items]
	return frappe.get_doc(dict(doctype=ORDER, __newname=name, customer=customer, items=rows)).insert()

def change(name, customer, *items):
	document = frappe.get_doc(ORDER, name)
	document.customer = customer
	for item in items:
		document.append("items", dict(item=item))
	return document.save()

def set_terms(terms):
	settings = frappe.get_doc(SETTINGS)
	settings.terms = terms
	settings.save()

def upload(name, content, **more):
	return frappe.get_doc(dict(doctype="File", file_name=f"{FILE}-{{name}}.txt", content=content, **more)).insert()

def show():
	orders = frappe.get_all(ORDER, fields=["name", "customer", "docstatus"], order_by="name")
	return {{
		each.name: [each.customer, each.docstatus, frappe.get_all(
			ITEM, {{"parent": each.name}}, ["item", "quantity"], order_by="idx", as_list=True
		)]
		for each in orders
	}} | {{"terms": frappe.db.get_single_value(SETTINGS, "terms")}}
"""

BEFORE_THE_RUN = """
make(ITEM, [("item", "Data", ""), ("quantity", "Int", "")], istable=1)
make(ORDER, [("customer", "Data", ""), ("items", "Table", ITEM)], is_submittable=1, autoname="prompt")
make(SETTINGS, [("terms", "Data", "")], issingle=1)
for name in ("changed", "deleted", "submitted", "untouched", "deleted early"):
	order(name, "of the backup", "apple", "pear")
order("cancelled", "of the backup", "apple").submit()
set_terms("of the backup")
upload("early", "as it was")
upload("private", "as it was", is_private=1)
"""

# While the standby is loaded already, and the site not yet closed.
BEFORE_THE_WINDOW = """
order("created early", "of the final backup", "plum")
change("changed", "of the final backup", "plum")
frappe.delete_doc(ORDER, "deleted early")
set_terms("of the final backup")
upload("in between", "of the final backup")
"""

MIGRATE = f"""
frappe.db.sql("UPDATE `tab{ORDER}` SET customer = 'broken by the release'")
frappe.db.delete("DocField", dict(parent=ITEM, fieldname="quantity"))
frappe.db.sql_ddl("ALTER TABLE `tab{ITEM}` DROP COLUMN quantity")
frappe.db.sql_ddl("CREATE TABLE `{ADDED}` (id INT PRIMARY KEY)")
frappe.db.sql("INSERT INTO `{ADDED}` VALUES (1), (2)")
from press_deploy.site.caches import clear_cache
clear_cache()
"""

AFTER_THE_OPENING = """
def list_names():
	return {each: set(frappe.get_all(each, pluck="name")) for each in ("ToDo", "File", "Comment", "Deleted Document")}

found, before = frappe.get_all(ORDER, pluck="customer", distinct=True), list_names()
order("created", "of a user", "cherry", "quince")
change("changed", "of a user", "cherry")
frappe.delete_doc(ORDER, "deleted")
frappe.get_doc(ORDER, "submitted").submit()
frappe.get_doc(ORDER, "cancelled").cancel()
set_terms("of a user")
frappe.get_doc(dict(doctype="ToDo", description="of a user")).insert()
upload("later", "of a user")
created = {doctype: sorted(names - before[doctype]) for doctype, names in list_names().items()}
result = dict(found=found, created=created)
"""


@dataclass
class Story:
	"""What was done to a site, and what was seen of it on the way. Tables are {name: TableState}."""

	site: Site
	run: WalkedRun
	config: dict[str, Any] = field(repr=False)
	# Names of what users created after the opening and Frappe beside it, per DocType.
	created: dict[str, list[str]] = field(default_factory=dict)
	listed: dict[str, Any] = field(default_factory=dict)
	# As orders and settings, behind the doors that the final backup was taken behind.
	closed: dict[str, Any] = field(default_factory=dict)
	tables: dict[str, dict[str, Any]] = field(default_factory=dict)

	def execute(self, code: str) -> Any:
		return self.site.execute(f"{PREPARE}\n{code}")

	def look(self, name: str, database: str) -> None:
		self.tables[name] = read_tables(require_administrator(self.site), database)

	def file(self, name: str, root: str = "public") -> Path:
		return self.site.path / root / "files" / f"{FILE}-{name}.txt"

	def deploy(self) -> None:
		"""The run, there: users write until it closes the site; its migration breaks what they wrote."""
		run = self.run
		self.execute(BEFORE_THE_RUN)
		written = When("step-observed", "proof", lambda: self.execute(BEFORE_THE_WINDOW))
		closed = When("step-observed", "final-backup", self.look_behind_the_doors)
		listeners = [written, closed]
		assert run.walk(*listeners) is State.SUCCEEDED, run.opened.state.reason
		assert [each.fired for each in listeners] == [1] * len(listeners)

	def look_behind_the_doors(self) -> None:
		self.look("closed", self.run.standby.live)
		self.closed = self.execute("result = show()")

	def use(self) -> None:
		"""Users at work on the broken release."""
		wrote = self.execute(AFTER_THE_OPENING)
		assert wrote["found"] == ["broken by the release"]
		self.created = wrote["created"]
		self.file("early").write_text("of a user")
		self.file("private", "private").unlink()

	def ask_for_rollback(self) -> None:
		"""With an approval of another list, twice: asked for what is to be approved, it waits behind closed doors."""
		run = self.run
		self.listed = list_losses(run.bench, run.on_disk)
		journal = Journal(run.on_disk.journal)
		cause = RollbackNeeded("admin: it is wrong", by="admin", approves=OTHER_LIST)
		journal.append("rollback-started", cause.as_data())
		journal.close()
		assert run.walk() is State.WAITING, "an approval of another list counted"
		assert run.opened.state.waiting["approve"] == self.listed["sha256"]
		with pytest.raises(Refused, match="another list"):
			check_answer(run.opened.bench, run.opened.state, "approve", OTHER_LIST)
		put_request(run.on_disk, "approve", "admin", "the other list", approves=OTHER_LIST)
		assert run.walk() is State.WAITING, "an approval of another list counted"

	def go_back(self) -> None:
		run, standby = self.run, self.run.standby
		self.look("final", standby.name)
		self.look("broken", standby.live)
		put_request(run.on_disk, "approve", "manager", "entered again", approves=self.listed["sha256"])
		kill_between_renames(run)
		# Before the site is opened again, and written to.
		swapped = When("step-observed", "rollback-files", self.look_at_what_was_swapped)
		assert run.walk(swapped) is State.ROLLED_BACK, run.opened.state.reason
		assert swapped.fired == 1

	def look_at_what_was_swapped(self) -> None:
		self.look("live", self.run.standby.live)
		self.look("quarantine", self.run.standby.quarantine)


def kill_between_renames(run: WalkedRun) -> None:
	"""Another process goes back, and is killed when some of the tables have changed places."""
	process = os.fork()
	if not process:
		try:
			die_at_rename(7)
			run.walk()
		except BaseException:
			traceback.print_exc()
		finally:
			os._exit(1)
	assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
	assert run.standby.is_swap_under_way()
	administrator = run.standby.server
	for database in (run.standby.name, run.standby.quarantine):
		assert read_tables(administrator, database), f"nothing is in {database}, so it was not in the middle"


def die_at_rename(number: int) -> None:
	execute, left = pymysql.cursors.Cursor.execute, [number]

	def count(cursor: Any, query: Any, args: Any = None) -> int:
		if query.startswith("RENAME TABLE"):
			left[0] -= 1
			if not left[0]:
				os.kill(os.getpid(), signal.SIGKILL)
		return execute(cursor, query, args)

	pymysql.cursors.Cursor.execute = count  # type: ignore[method-assign]
	standby_swap.TABLES_AT_ONCE = 50


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
	if not SITE or not (BENCH / "sites" / SITE / "site_config.json").is_file():
		pytest.skip("no site to test on: set FRAPPE_BENCH and PRESS_DEPLOY_TEST_SITE")
	site = Site(BENCH, SITE)
	require_administrator(site)
	run = WalkedRun(
		site, tmp_path_factory.mktemp("run"), lambda: site.execute(PREPARE + MIGRATE), method="stream"
	)
	story = Story(site, run, site.config)
	with leave_nothing(site, run), keep_as_it_is(site, tmp_path_factory.mktemp("kept")):
		remove_files(site)
		try:
			story.deploy()
			story.use()
			story.ask_for_rollback()
			story.go_back()
			yield story
		finally:
			remove_files(site)


def remove_files(site: Site) -> None:
	for root in ("public", "private"):
		for file in (site.path / root / "files").glob(f"{FILE}-*"):
			file.unlink()


def find_different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
	return [
		name for name in sorted(one.keys() | other.keys()) if not are_equal(one.get(name), other.get(name))
	]


def test_the_list_names_exactly_what_users_wrote_and_what_the_release_broke(story: Story) -> None:
	listed = story.listed["sites"][story.site.name]
	named = {
		doctype: {action: each["names"] for action, each in actions.items()}
		for doctype, actions in listed["documents"].items()
	}
	assert named == {
		ORDER: {
			"created": ["created"],
			# Nobody wrote the last two; the release broke them.
			"changed": ["changed", "created early", "untouched"],
			"submitted": ["submitted"],
			"cancelled": ["cancelled"],
			"deleted": ["deleted"],
		},
		"DocType": {"changed": [ITEM]},
		# Frappe's own notes of what was deleted are documents, too.
		**{doctype: {"created": names} for doctype, names in story.created.items() if names},
	}
	assert len(story.created["ToDo"]) == len(story.created["File"]) == 1
	assert (listed["singles"], listed["other_tables"]) == ([SETTINGS], {ADDED: 2})
	approved = story.run.opened.state.result("lost-documents")
	assert (approved["approved_by"], approved["sha256"]) == ("manager", story.listed["sha256"])


def test_the_database_is_the_final_backup_table_by_table(story: Story) -> None:
	tables = story.tables
	assert len(tables["live"]) > 200
	assert find_different(tables["closed"], tables["final"]) == []
	assert f"tab{ORDER}" in find_different(tables["final"], tables["broken"]), "nothing was to be put back"
	assert find_different(tables["final"], tables["live"]) == []


def test_what_was_replaced_is_kept_table_by_table(story: Story) -> None:
	assert find_different(story.tables["broken"], story.tables["quarantine"]) == []
	assert ADDED in story.tables["quarantine"]


def test_the_site_works_with_what_it_was(story: Story) -> None:
	found = story.execute("result = show()")
	assert found == story.closed
	assert found["changed"] == ["of the final backup", 0, [["apple", 5], ["pear", 4], ["plum", 0]]]
	assert (found["created early"][0], found["terms"]) == ("of the final backup", "of the final backup")
	assert "deleted early" not in found and "created" not in found
	assert story.run.opened.state.is_done("health-check")
	assert story.site.config == story.config, "maintenance, scheduler, and the key that the plan changed"


def test_files_are_what_they_were(story: Story) -> None:
	assert not story.file("later").exists()
	for file in (story.file("early"), story.file("private", "private")):
		assert file.read_text() == "as it was"
	assert story.file("in between").read_text() == "of the final backup"
	kept = story.run.on_disk.backup / "quarantine" / "files" / story.site.name
	found = {file.name: file.read_text() for file in kept.rglob(f"{FILE}-*")}
	assert found == {story.file("later").name: "of a user", story.file("early").name: "of a user"}


def test_what_was_lost_is_there_to_be_entered_again(story: Story) -> None:
	lost = json.loads((story.run.on_disk.losses / story.site.name / "losses.json").read_text())
	assert lost["approved_sha256"] == lost["sha256"]
	rows = {(each["doctype"], each["action"], each["name"]): each for each in lost["documents"]}
	named = story.listed["sites"][story.site.name]["documents"]
	assert set(rows) == {
		(doctype, action, name)
		for doctype, actions in named.items()
		for action, each in actions.items()
		for name in each["names"]
	}
	created, changed = rows[ORDER, "created", "created"], rows[ORDER, "changed", "changed"]
	assert created["row"]["customer"] == changed["row"]["customer"] == "of a user"
	assert [each["item"] for each in created["children"][ITEM]] == ["cherry", "quince"]
	assert [each["item"] for each in changed["children"][ITEM]] == ["apple", "pear", "plum", "cherry"]
	assert rows["ToDo", "created", story.created["ToDo"][0]]["row"]["description"] == "of a user"
	assert [each["row"]["terms"] for each in lost["singles"]] == ["of a user"]
	assert [each["row"] for each in lost["other_rows"] if each["table"] == ADDED] == [{"id": 1}, {"id": 2}]


def test_the_run_and_its_rollback_are_in_the_database_that_was_swapped_in(story: Story) -> None:
	runs, events = read_records(story)
	assert [each["state"] for each in runs] == ["Rolled Back"]
	assert [(each["outcome"], each["with_database"], each["approved_by"]) for each in events] == [
		("Rolled Back", 1, "manager")
	]
	assert events[0]["approved_list"] == story.listed["sha256"]
	assert events[0]["quarantine"] == f"{story.site.name}: {story.run.standby.quarantine}"
	assert events[0]["lost"] == len(story.listed["sites"][story.site.name]["documents"])


def test_the_records_survive_whatever_becomes_of_the_database(story: Story) -> None:
	records = read_records(story)
	story.site.call("project", run_path=str(story.run.on_disk.path))
	assert repair_records(story) == records

	dump = backup_files.database_file(story.run.backup)
	story.site.call("restore", database=str(dump), quarantine=str(story.run.directory / "replaced.gz"))
	assert read_records(story) == [[], []], "the older backup knew of the run"
	assert repair_records(story) == records
	assert repair_records(story) == records


def read_records(story: Story, first: str = "") -> list[list[dict[str, Any]]]:
	"""The Deployment Runs and the Rollback Events of the run."""
	return story.execute(f"""
{first}
run, path = {story.run.on_disk.name!r}, {str(story.run.on_disk.path)!r}
runs = frappe.get_all("Deployment Run", dict(directory=path), ["name", "state", "last_seq"])
fields = ["name", "outcome", "with_database", "approved_by", "approved_list", "quarantine"]
events = frappe.get_all("Rollback Event", dict(run=run), fields)
for each in events:
	each.lost = frappe.db.count("Rollback Event Loss", dict(parent=each.name))
result = runs, events
""")


def repair_records(story: Story) -> list[list[dict[str, Any]]]:
	"""What the scheduler starts every few minutes, on a bench whose only run is this one; the records then."""
	return read_records(
		story,
		f"""
from pathlib import Path
from press_deploy import jobs
from press_deploy.engine.bench.bench import Bench
jobs.runners.open_bench = lambda: Bench(Path({str(story.run.directory)!r}))
jobs.repair_records()
""",
	)
