"""The swap on a real MariaDB: every table, view, trigger and routine changes places, and nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from press_deploy.engine.databases.mariadb import standby_swap
from press_deploy.engine.databases.mariadb import swap as swapping
from press_deploy.engine.databases.mariadb.comparison import are_equal
from press_deploy.engine.databases.mariadb.objects import without_status
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby import killed
from tests.integration.standby.conftest import Site
from tests.support.databases import (
	RestartableServer,
	execute,
	make_database,
	make_site_database,
	make_standby,
	private_directory,
	read_content,
)


def assert_equal(found: tuple[dict, list], wanted: tuple[dict, list]) -> None:
	"""The same tables and rows, and the same views, triggers and routines; events may be asleep."""
	assert found[0] == wanted[0]
	assert without_status(found[1]) == without_status(wanted[1])


def test_swap_and_undo(site: Site):
	backup = site.load()
	site.change()
	before = site.content()
	assert before[0] != backup[0]

	site.standby.swap()

	assert site.standby.observe_swapped().done
	# Not even the events' status differs in what is live.
	assert site.content() == backup
	assert_equal(site.content(site.standby.quarantine), before)
	assert not site.standby.is_loaded()
	assert site.standby.swap()["moved"] == 0

	site.standby.undo_swap()

	assert not site.standby.observe_swapped().done
	assert site.content() == before
	assert_equal(site.content(site.standby.name), backup)
	assert site.standby.is_loaded()


def test_what_was_swapped_in_works(site: Site):
	site.load()
	site.standby.swap()
	site.execute("INSERT INTO `tabSales Invoice` (name, total) VALUES ('INV-after', 1000)")
	row = site.execute("SELECT customer, note FROM `tabSales Invoice` WHERE name = 'INV-after'")[0]
	assert row == ("nobody", " – geprüft"), "both triggers, in their order and with their characters"
	assert ("nobody",) in site.execute("SELECT customer FROM a_best")
	for database in (site.live, site.standby.quarantine):
		with pytest.raises(pymysql.IntegrityError):
			execute(
				site.server,
				database,
				"INSERT INTO `tabSales Invoice Item` (parent) VALUES ('no such invoice')",
			)
		# The foreign key is bound to the table of the same database: the cascade stays in it.
		execute(site.server, database, "DELETE FROM `tabSales Invoice` WHERE name = 'INV-1'")
		left = execute(
			site.server, database, "SELECT COUNT(*) FROM `tabSales Invoice Item` WHERE parent = 'INV-1'"
		)
		assert left == [(0,)]
	assert site.execute("SELECT COUNT(*) FROM `tabSales Invoice Item`") == [(147,)]


def test_a_circle_of_foreign_keys(server: Server, tmp_path):
	tables = (
		"SET foreign_key_checks = 0",
		"CREATE TABLE b (id INT PRIMARY KEY, a INT, CONSTRAINT cb FOREIGN KEY (a) REFERENCES a (id))",
		"CREATE TABLE a (id INT PRIMARY KEY, b INT, self INT, CONSTRAINT ca FOREIGN KEY (b) REFERENCES b (id), "
		"FOREIGN KEY (self) REFERENCES a (id))",
		"INSERT INTO a VALUES (1, 1, 1)",
		"INSERT INTO b VALUES (1, 1)",
	)
	make_database(server, "circle", *tables)
	standby = make_standby(tmp_path, server, "circle")
	standby.load_by(lambda server, name: (execute(server, name, *tables) and {}) or {})
	standby.swap(chunk=1)
	bound = execute(server, None, "SELECT ID, FOR_NAME, REF_NAME FROM information_schema.INNODB_SYS_FOREIGN")
	for row in bound:
		assert len({name.split("/")[0] for name in row}) == 1, f"{row} crosses databases"
	with pytest.raises(pymysql.IntegrityError):
		execute(server, "circle", "INSERT INTO b VALUES (2, 7)")


def test_a_view_that_is_broken_in_live_is_kept_in_the_note(site: Site):
	backup = site.load()
	site.execute(
		"CREATE TABLE short_lived (id INT)",
		"CREATE VIEW broken AS SELECT id FROM short_lived",
		"DROP TABLE short_lived",
	)
	not_made = site.standby.swap()["not_made"]
	assert len(not_made) == 1 and not_made[0].startswith("view broken")
	assert site.content() == backup
	assert "broken" in [each["name"] for each in site.standby.swap_note.read()["objects"]["live"]]


@pytest.mark.parametrize(("chunk", "stride"), [(1, 1), (4, 5)])
def test_killed_between_any_two_effects(site: Site, chunk: int, stride: int):
	"""There and back, killed before each statement and each note; the next call completes it.

	With several renames in a statement every fifth of these moments will do.
	"""
	backup = site.load()
	site.change()
	before = site.content()
	instant, fired = 0, True
	while fired:
		fired = killed.kill_at(instant, lambda: site.standby.swap(chunk=chunk))
		assert site.standby.observe_swapped().done is not fired
		site.standby.swap(chunk=chunk)
		assert site.content() == backup, f"swap killed at instant {instant}"
		assert_equal(site.content(site.standby.quarantine), before)
		assert site.standby.observe_swapped().done
		fired |= killed.kill_at(instant, lambda: site.standby.undo_swap(chunk=chunk))
		site.standby.undo_swap(chunk=chunk)
		assert site.content() == before, f"undo killed at instant {instant}"
		assert_equal(site.content(site.standby.name), backup)
		instant += stride
	# 15 renames; 13 objects are dropped, and made again; two notes.
	assert instant > 43 if chunk == 1 else instant > 30


@pytest.mark.parametrize("instant", range(0, 45, 4))
def test_undone_from_anywhere(site: Site, instant: int):
	backup = site.load()
	site.change()
	before = site.content()
	assert killed.kill_at(instant, lambda: site.standby.swap(chunk=1)), "the fault must fire"
	site.standby.undo_swap()
	assert site.content() == before
	assert_equal(site.content(site.standby.name), backup)
	assert site.standby.is_loaded()


@pytest.mark.parametrize("instant", range(1, 42, 6))
def test_an_undoing_that_was_begun_is_completed_before_the_swap(site: Site, instant: int):
	"""In one call, whether the first swap was complete or was killed in the middle of its renames."""
	backup = site.load()
	site.change()
	before = site.content()
	site.standby.swap(chunk=1)
	# Of one that was killed, there is less to undo.
	for moment in (instant, 1 + instant // 2):
		assert killed.kill_at(moment, lambda: site.standby.undo_swap(chunk=1)), "the fault must fire"
		assert site.standby.swap_note.state == "undoing"
		assert site.standby.is_swap_begun() and site.standby.is_swap_under_way()
		done = site.standby.swap(chunk=1)
		assert site.standby.observe_swapped().done and done["moved"] >= 14
		assert site.content() == backup
		assert_equal(site.content(site.standby.quarantine), before)
		site.standby.undo_swap()
		assert killed.kill_at(30, lambda: site.standby.swap(chunk=1)), "the fault must fire"


def test_whether_a_swap_is_begun(site: Site):
	assert not site.standby.is_swap_begun()
	site.load()
	assert killed.kill_at(24, lambda: site.standby.swap(chunk=1))
	assert not site.standby.is_loaded(), "it is not there, and not lost"
	assert site.standby.is_swap_begun() and site.standby.is_swap_under_way()
	site.standby.swap()
	assert site.standby.is_swap_begun() and not site.standby.is_swap_under_way()
	site.standby.undo_swap()
	assert not site.standby.is_swap_begun() and not site.standby.is_swap_under_way()


@pytest.mark.parametrize("also_undone", [False, True])
def test_the_server_dies_between_the_renames_and_the_objects(
	tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also_undone: bool
):
	"""Nothing can be undone while it is down; when it is back, the same call completes the swap."""
	with private_directory() as directory:
		restartable = RestartableServer(directory)
		try:
			server = restartable.server
			make_site_database(server, "shop")
			site = Site(make_standby(tmp_path, server, "shop"), server, tmp_path, tmp_path / "backup.sql.zst")
			backup = site.load()
			site.change()
			before = site.content()
			if also_undone:
				site.standby.swap()
			_die_after_the_renames(restartable, monkeypatch, site, also_undone)
			assert site.standby.is_swap_under_way() and not site.standby.observe_swapped().done
			site.standby.swap()
			assert site.standby.observe_swapped().done
			# A server that died may count on from elsewhere.
			for name, wanted in ((site.live, backup), (site.standby.quarantine, before)):
				found = site.content(name)
				assert found[0].keys() == wanted[0].keys()
				assert all(are_equal(found[0][table], wanted[0][table]) for table in wanted[0])
				assert without_status(found[1]) == without_status(wanted[1])
		finally:
			restartable.scratch.stop()


def _die_after_the_renames(
	restartable: RestartableServer, monkeypatch: pytest.MonkeyPatch, site: Site, back: bool
) -> None:
	rename_tables, fired = standby_swap.rename_tables, []

	def rename_and_die(*arguments) -> None:
		rename_tables(*arguments)
		restartable.kill()
		fired.append(True)

	monkeypatch.setattr(standby_swap, "rename_tables", rename_and_die)
	with pytest.raises(StepFailed, match="was lost"):
		site.standby.undo_swap() if back else site.standby.swap()
	monkeypatch.undo()
	monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
	monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
	with pytest.raises(StepFailed, match="can't be reached"):
		site.standby.undo_swap()
	assert fired == [True]
	restartable.start()


@pytest.mark.parametrize(
	"removed", ["the quarantine", "a table of live", "a table of the quarantine", "live"]
)
def test_what_was_removed_by_hand_after_the_swap_is_told(site: Site, removed: str):
	site.load()
	site.standby.swap()
	live, quarantine = quote(site.live), quote(site.standby.quarantine)
	execute(
		site.server,
		None,
		{
			"the quarantine": f"DROP DATABASE {quarantine}",
			"a table of live": f"DROP TABLE {live}.tabSingles",
			"a table of the quarantine": f"DROP TABLE {quarantine}.tabSingles",
			"live": f"DROP DATABASE {live}",
		}[removed],
	)
	observed = site.standby.observe_swapped()
	assert not observed.done
	assert "somebody moved or dropped them" in observed.found and "tabSingles" in observed.found
	assert site.standby.is_swap_begun()


def test_a_standby_that_lost_a_table_is_not_swapped_in_but_undone(site: Site):
	site.load()
	before = site.content()
	renames = 16
	assert killed.kill_at(renames + 8, lambda: site.standby.swap(chunk=1))
	left, moved = (
		list(read_content(site.server, name)) for name in (site.standby.name, site.standby.quarantine)
	)
	assert left and moved, "it was killed in the middle of its renames"
	execute(site.server, site.standby.name, f"DROP TABLE {quote(left[-1])}")
	with pytest.raises(StepFailed, match="nobody can tell"):
		site.standby.swap()
	site.standby.undo_swap()
	assert site.content() == before


def test_two_swaps_at_once(site: Site):
	backup = site.load()
	site.change()
	before = site.content()
	with ThreadPoolExecutor(2) as pool:
		list(pool.map(lambda _: killed.kill_at(None, site.standby.swap), range(2)))
	assert site.content() == backup
	assert_equal(site.content(site.standby.quarantine), before)


def test_swaps_of_two_runs_at_once_lose_nothing(site: Site):
	"""Whichever is first: what was live, and both backups, are all still there."""
	backup = site.load()
	other = make_standby(site.directory, site.server, site.live, "2026-02-02-other")
	other.load(site.dump)
	execute(site.server, other.name, "DELETE FROM tabSingles")
	second = read_content(site.server, other.name)
	site.change()
	before = site.content()[0]
	with ThreadPoolExecutor(2) as pool:
		list(pool.map(lambda standby: standby.swap(), (site.standby, other)))
	places = (site.live, site.standby.quarantine, other.quarantine)
	found = [read_content(site.server, place) for place in places]
	assert sorted(map(repr, found)) == sorted(map(repr, (backup[0], second, before)))


def test_writers_until_maintenance(site: Site):
	"""Users write until the moment of the swap: each row they were told is in is in the quarantine."""
	backup = site.load()
	committed: list[str] = []
	closed = threading.Event()

	def write() -> None:
		with site.server.session(site.live) as cursor:
			while not closed.is_set():
				name = f"W-{len(committed)}"
				cursor.execute("INSERT INTO `tabSales Invoice` (name, total) VALUES (%s, 1)", (name,))
				committed.append(name)

	writer = threading.Thread(target=write)
	writer.start()
	deadline = time.monotonic() + 30
	while len(committed) < 50 and time.monotonic() < deadline:
		time.sleep(0.01)
	closed.set()
	writer.join()
	assert len(committed) >= 50
	site.standby.swap()
	kept = execute(
		site.server, site.standby.quarantine, "SELECT name FROM `tabSales Invoice` WHERE name LIKE 'W-%'"
	)
	assert sorted(row[0] for row in kept) == sorted(committed)
	assert site.content() == backup


def test_a_long_transaction_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch):
	backup = site.load()
	monkeypatch.setattr(swapping, "LOCK_WAIT_SECONDS", 1)
	with closing(site.server.connect(site.live)) as holder:
		cursor = holder.cursor()
		cursor.execute("BEGIN")
		cursor.execute("SELECT * FROM `tabSales Invoice` LIMIT 1")
		ended = site.standby.swap()["ended"]
		assert [line for line in ended if f"connection {holder.thread_id()} " in line], "the fault fired"
		with pytest.raises(pymysql.Error):
			cursor.execute("SELECT 1")
	assert site.content() == backup


def test_a_holder_who_is_not_the_sites_is_named_not_ended(site: Site, monkeypatch: pytest.MonkeyPatch):
	site.load()
	before = site.content()
	monkeypatch.setattr(swapping, "LOCK_WAIT_SECONDS", 1)
	with closing(site.server.connect("mysql")) as holder:
		cursor = holder.cursor()
		cursor.execute("BEGIN")
		cursor.execute(f"SELECT * FROM {quote(site.live)}.`tabSales Invoice` LIMIT 1")
		with pytest.raises(StepFailed, match="locked by") as failure:
			site.standby.swap()
		assert f"connection {holder.thread_id()} " in failure.value.why
		cursor.execute("SELECT 1")
	site.standby.undo_swap()
	assert site.content() == before
