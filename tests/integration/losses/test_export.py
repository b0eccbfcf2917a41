"""The exported files: every row, no secret, no formula, and readable by their owner alone."""

import csv
import io
import json
import os
import resource
import stat
import subprocess
import sys

import pytest

from press_deploy.engine.databases.losses.export import export
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses, Named
from press_deploy.engine.ground.errors import StepFailed

from .conftest import SQLiteDatabases

INVOICE = (
	"CREATE TABLE `tabInvoice` (name VARCHAR(140) PRIMARY KEY, docstatus INT, title TEXT, amount DECIMAL(21,9), "
	"at DATETIME, file BLOB, api_key VARCHAR(140), is_private INT)"
)
ITEM = (
	"CREATE TABLE `tabInvoice Item` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parentfield VARCHAR(140), "
	"parenttype VARCHAR(140), idx INT, what TEXT, token TEXT)"
)
SINGLES = "CREATE TABLE `tabSingles` (doctype VARCHAR(255), field VARCHAR(255), value TEXT)"
FIELDS = "CREATE TABLE `tabDocField` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parenttype VARCHAR(140), fieldtype VARCHAR(140), options TEXT)"
SECRET = "s3cret"


def invoice(name, docstatus=0, title="title", amount="1.5", file=None):
	return (name, docstatus, title, amount, "2024-01-02 03:04:05", file, SECRET, 1)


def item(name, parent, idx, what="what"):
	return (name, parent, "items", "Invoice", idx, what, SECRET)


@pytest.fixture
def invoices(databases):
	"""One document of every action, with child rows, and settings."""
	databases.both(INVOICE, ITEM, SINGLES)
	databases.insert(
		databases.before, "tabInvoice", [invoice(name) for name in ("edit", "gone", "rows", "sub")]
	)
	databases.insert(
		databases.after,
		"tabInvoice",
		[
			invoice("edit", title="=1+1"),
			invoice("rows"),
			invoice("sub", 1),
			invoice("new", 0, "é\n", "-2.5", b"\x00\xff"),
		],
	)
	databases.insert(databases.before, "tabInvoice Item", [item("g", "gone", 1), item("s", "sub", 1)])
	databases.insert(
		databases.after,
		"tabInvoice Item",
		[item("s", "sub", 1), item("r2", "rows", 2), item("r1", "rows", 1, "x")],
	)
	databases.insert(databases.before, "tabSingles", [("Shop", "name", "old"), ("Shop", "password", "0")])
	databases.insert(databases.after, "tabSingles", [("Shop", "name", "@new"), ("Shop", "password", SECRET)])
	return databases


def write(databases, directory, approved=None):
	with databases.open() as reader:
		losses = approved or find_losses(reader, databases.before, databases.after)
		return losses, export(losses, reader, databases.before, databases.after, directory).files


def read_json(paths):
	return json.loads(next(path for path in paths if path.name == "losses.json").read_text())


def read_documents(paths):
	return {document["name"]: document for document in read_json(paths)["documents"]}


def read_table(path):
	with path.open(newline="", encoding="utf-8") as file:
		return list(csv.DictReader(file))


def test_every_row_is_in_the_files(invoices, tmp_path):
	losses, paths = write(invoices, tmp_path / "losses")
	assert [path.name for path in paths] == ["Invoice.csv", "losses.json", "settings.csv"]
	table = {row["name"]: row for row in read_table(paths[0])}
	assert {name: row["action"] for name, row in table.items()} == {
		"edit": "changed", "gone": "deleted", "new": "created", "rows": "changed", "sub": "submitted"
	}  # fmt: skip
	assert table["edit"]["title"] == "'=1+1" and table["new"]["title"] == "é\n"
	assert table["new"]["file"] == "00ff" and float(table["new"]["amount"]) == -2.5
	assert table["new"]["at"] == "2024-01-02 03:04:05" and table["new"]["is_private"] == "1"
	data = json.loads(paths[1].read_text())
	assert (
		Losses.from_data(data["losses"]) == losses
		and data["sha256"] == data["approved_sha256"] == losses.sha256
	)
	documents = {document["name"]: document for document in data["documents"]}
	assert documents["edit"]["row"]["title"] == "=1+1" and documents["new"]["row"]["title"] == "é\n"
	assert [row["name"] for row in documents["rows"]["children"]["Invoice Item"]] == ["r1", "r2"]
	assert [row["name"] for row in documents["gone"]["children"]["Invoice Item"]] == ["g"]
	assert [row["name"] for row in documents["sub"]["children"]["Invoice Item"]] == ["s"]
	assert "children" not in documents["edit"]
	assert data["singles"] == [
		{"doctype": "Shop", "name": "Shop", "action": "changed", "row": {"name": "@new"}}
	]
	assert read_table(paths[2]) == [
		{"action": "changed", "doctype": "Shop", "field": "name", "value": "'@new"}
	]


def test_no_secret_is_in_the_files_and_what_is_missing_is_said(invoices, tmp_path):
	_, paths = write(invoices, tmp_path / "losses")
	assert not any(SECRET in path.read_text() for path in paths)
	assert json.loads(paths[1].read_text())["left_out"] == [
		"Shop.password", "tabInvoice Item.token", "tabInvoice.api_key"
	]  # fmt: skip


def test_files_are_their_owners_alone_and_written_again(invoices, tmp_path):
	previous = os.umask(0)
	try:
		_, paths = write(invoices, tmp_path / "losses")
	finally:
		os.umask(previous)
	first = {path: path.read_bytes() for path in paths}
	assert stat.S_IMODE((tmp_path / "losses").stat().st_mode) == 0o700
	assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
	paths[0].write_text("torn")
	write(invoices, tmp_path / "losses")
	assert {path: path.read_bytes() for path in (tmp_path / "losses").iterdir()} == first


def test_a_planted_link_is_not_written_through(invoices, tmp_path):
	(tmp_path / "precious").write_text("precious")
	(tmp_path / "losses").mkdir()
	for name in (".losses.json.part", "losses.json", ".Invoice.csv.part", "Invoice.csv"):
		(tmp_path / "losses" / name).symlink_to(tmp_path / "precious")
	_, paths = write(invoices, tmp_path / "losses")
	assert (tmp_path / "precious").read_text() == "precious" and not any(path.is_symlink() for path in paths)


def test_a_list_that_changed_since_its_approval_shows(invoices, tmp_path):
	approved = Losses({"Invoice": {"created": Named(1, ("other",))}})
	_, paths = write(invoices, tmp_path / "losses", approved)
	data = json.loads(paths[1].read_text())
	assert data["approved_sha256"] == approved.sha256 != data["sha256"] and len(data["documents"]) == 5


def test_nothing_lost_is_an_empty_list(databases, tmp_path):
	databases.both(INVOICE)
	_, paths = write(databases, tmp_path / "losses")
	assert [path.name for path in paths] == ["losses.json"] and json.loads(paths[0].read_text())[
		"documents"
	] == []


def test_all_names_are_exported_not_only_the_first(databases, tmp_path):
	databases.both(INVOICE)
	databases.insert(databases.after, "tabInvoice", [invoice(f"I{number:04}") for number in range(1203)])
	_, paths = write(databases, tmp_path / "losses")
	assert [row["name"] for row in read_table(paths[0])] == [f"I{number:04}" for number in range(1203)]
	assert len(json.loads(paths[1].read_text())["documents"]) == 1203


def test_frappes_own_fields_say_which_tables_a_doctype_has(invoices, tmp_path):
	invoices.both(FIELDS, ITEM.replace("Invoice Item", "Foreign"))
	invoices.insert(invoices.after, "tabDocField", [("1", "Invoice", "DocType", "Table", "Invoice Item")])
	invoices.both("INSERT INTO `tabForeign` (name, parent, parenttype) VALUES ('f', 'rows', 'Invoice')")
	_, paths = write(invoices, tmp_path / "losses")
	assert read_documents(paths)["rows"]["children"].keys() == {"Invoice Item"}
	# A document that is listed for a row is exported with it, whatever Frappe says.
	invoices.insert(invoices.after, "tabForeign", [item("f2", "rows", 1)])
	_, paths = write(invoices, tmp_path / "losses")
	assert read_documents(paths)["rows"]["children"].keys() == {"Invoice Item", "Foreign"}


def test_rows_whose_parent_is_written_otherwise_are_exported(mariadb, tmp_path):
	mariadb.both(INVOICE, ITEM)
	mariadb.insert(mariadb.after, "tabInvoice", [invoice("Été"), invoice("B")])
	mariadb.insert(
		mariadb.after, "tabInvoice Item", [item("1", "ETE", 1), item("2", "Été", 2), item("3", "B", 1)]
	)
	_, paths = write(mariadb, tmp_path / "losses")
	documents = {found["name"]: found for found in json.loads(paths[1].read_text())["documents"]}
	assert sorted(row["name"] for row in documents["Été"]["children"]["Invoice Item"]) == ["1", "2"]


def test_names_that_are_hostile(databases, tmp_path):
	evil = "../=Ev'il `\"%s"
	quoted = evil.replace("`", "``")
	databases.both(f'CREATE TABLE `tab{quoted}` (name VARCHAR(140) PRIMARY KEY, `action` TEXT, `=x"` TEXT)')
	for name in ("'; DROP", "\\", "=HYPERLINK(1)", "%s ?"):
		databases.execute(
			databases.after,
			f"INSERT INTO `tab{quoted}` VALUES ('{name.replace(chr(39), chr(39) * 2)}', '+1', NULL)"
			if databases.kind == "sqlite"
			else f"INSERT INTO `tab{quoted}` VALUES (0x{name.encode().hex()}, '+1', NULL)",
		)
	losses, (table, _) = write(databases, tmp_path / "losses")
	assert losses.documents[evil]["created"].count == 4 and table.parent == tmp_path / "losses"
	header, *rows = csv.reader(io.StringIO(table.read_text()))
	assert header == ["what happened", "name", "action", "'=x\""]
	assert [row[1:3] for row in rows] == [
		["%s ?", "'+1"],
		["'; DROP", "'+1"],
		["'=HYPERLINK(1)", "'+1"],
		["\\", "'+1"],
	]


FULL = """
import resource, sys
from pathlib import Path
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.databases.losses.export import export
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.sqlite.losses import open_snapshot
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before, after, directory = sys.argv[1:]
with open_snapshot(before, after) as reader:
	losses = find_losses(reader, before, after)
	resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
	try:
		export(losses, reader, before, after, Path(directory))
	except StepFailed as error:
		print(error)
"""


def test_a_disk_that_is_full_is_an_error_and_leaves_no_half_file(tmp_path):
	assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
	databases = SQLiteDatabases(tmp_path)
	databases.both(INVOICE)
	databases.insert(
		databases.after, "tabInvoice", [invoice(f"I{number}", title="x" * 99) for number in range(500)]
	)
	command = [sys.executable, "-c", FULL, databases.before, databases.after, str(tmp_path / "losses")]
	done = subprocess.run(command, capture_output=True, text=True)
	assert done.returncode == 0, done.stderr
	assert "File too large" in done.stdout and "→" in done.stdout
	assert list((tmp_path / "losses").iterdir()) == []


def test_a_directory_that_cannot_be_written_is_an_error(invoices, tmp_path):
	(tmp_path / "losses").write_text("a file")
	with pytest.raises(StepFailed) as caught:
		write(invoices, tmp_path / "losses")
	assert caught.value.remedy and (tmp_path / "losses").read_text() == "a file"
