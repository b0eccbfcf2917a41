"""Behind closed doors the standby catches up with live, and what differs is the final backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb import standby_refresh
from press_deploy.engine.databases.mariadb.objects import without_status
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby import killed
from tests.integration.standby.conftest import Site
from tests.support.databases import execute

CHANGED = ["note_id_seq", "tabDocType", "tabNew Thing", "tabSales Invoice", "tabSales Invoice Item"]


def assert_up_to_date(site: Site, live: tuple[dict, list]) -> None:
	found = site.content(site.standby.name)
	assert found[0] == live[0]
	assert without_status(found[1]) == without_status(live[1])


def test_refresh(site: Site, tmp_path: Path):
	site.load()
	site.change()
	live = site.content()
	found = site.standby.refresh(tmp_path / "final")
	assert found["changed"] == CHANGED
	assert found["dropped"] == ["__Auth"]
	assert found["bytes"] == (tmp_path / "final" / "changed.sql.zst").stat().st_size
	assert_up_to_date(site, live)
	assert site.standby.is_loaded()
	site.standby.swap()
	assert site.content() == live


@pytest.mark.parametrize("key", ["", "id INT PRIMARY KEY AUTO_INCREMENT, "])
def test_what_checksum_table_does_not_tell_apart(site: Site, tmp_path: Path, key: str):
	"""('ab', 'c') and ('a', 'bc') are the same to it, in one row and exchanged between two."""
	site.execute(
		f"CREATE TABLE pair ({key}a VARCHAR(9), b TEXT COLLATE utf8mb4_bin, d VARBINARY(9), n INT)",
		"INSERT INTO pair (a, b, n) VALUES ('ab', 'c', 1), ('a', 'bc', 2), ('ab', 'c', 3)",
	)
	site.load()
	before = site.execute("CHECKSUM TABLE pair")
	for change in (
		"a = 'a', b = 'bc' WHERE n = 3",
		"a = IF(n = 1, 'a', 'ab'), b = IF(n = 1, 'bc', 'c') WHERE n < 3",
	):
		site.execute(f"UPDATE pair SET {change}")
		assert site.execute("CHECKSUM TABLE pair") == before, "it does tell them apart"
		live = site.execute("SELECT * FROM pair ORDER BY n")
		assert site.standby.refresh(tmp_path / "final")["changed"] == ["pair"]
		assert execute(site.server, site.standby.name, "SELECT * FROM pair ORDER BY n") == live


def test_nothing_changed(site: Site, tmp_path: Path):
	site.load()
	found = site.standby.refresh(tmp_path / "final")
	assert (found["changed"], found["dropped"], found["bytes"]) == ([], [], 0)
	files = sorted(path.name for path in (tmp_path / "final").iterdir())
	assert files == ["dropped.json", "final.json", "objects.json"]
	assert site.standby.is_loaded()


def test_backup_and_final_backup_together_are_the_live_database(site: Site, tmp_path: Path):
	"""What is kept restores the state of the closed doors, without the standby."""
	site.load()
	site.change()
	live = site.content()
	final = tmp_path / "final"
	site.standby.refresh(final)
	execute(site.server, None, "CREATE OR REPLACE DATABASE elsewhere")
	load_dump(site.dump, site.server, "elsewhere")
	load_dump(final / "changed.sql.zst", site.server, "elsewhere")
	execute(
		site.server,
		"elsewhere",
		*(f"DROP TABLE {quote(each)}" for each in json.loads((final / "dropped.json").read_text())),
	)
	found = site.content("elsewhere")[0]
	execute(site.server, None, "DROP DATABASE elsewhere")
	assert found == live[0]
	assert json.loads((final / "objects.json").read_text()) == live[1]


def test_killed_between_any_two_effects(site: Site, tmp_path: Path):
	"""The dump that is kept holds every table that ever differed, however often it was interrupted."""
	site.load()
	site.change()
	live = site.content()
	instant, final = 0, tmp_path / "final"
	while killed.kill_at(instant, lambda: site.standby.refresh(final)):
		state = site.standby.loaded_note.state
		if state == "refreshing":
			assert not site.standby.is_loaded(), f"killed at instant {instant}"
			with pytest.raises(StepFailed, match="no complete backup"):
				site.standby.swap()
		instant += 1
	assert instant > 12
	found = site.standby.refresh(final)
	assert found["changed"] == CHANGED
	assert_up_to_date(site, live)


def test_somebody_writes(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
	site.load()
	site.change()
	original = standby_refresh.dump_database

	def write_then_dump(*arguments, **named):
		site.execute("INSERT INTO `tabNew Thing` VALUES ('late')")
		return original(*arguments, **named)

	monkeypatch.setattr(standby_refresh, "dump_database", write_then_dump)
	with pytest.raises(StepFailed, match="tabNew Thing"):
		site.standby.refresh(tmp_path / "final")
	assert not site.standby.is_loaded()
	monkeypatch.undo()
	live = site.content()
	site.standby.refresh(tmp_path / "final")
	assert_up_to_date(site, live)


def test_automatic_numbers_go_on(site: Site, tmp_path: Path):
	site.load()
	item = "`tabSales Invoice Item`"
	site.execute(f"INSERT INTO {item} (parent) VALUES ('INV-1')", f"DELETE FROM {item} WHERE name > 150")
	site.standby.refresh(tmp_path / "final")
	site.standby.swap()
	site.execute(f"INSERT INTO {item} (parent) VALUES ('INV-1')")
	assert site.execute(f"SELECT MAX(name) > 151 FROM {item}") == [(1,)]


CHILD = "CREATE TABLE a_child (id INT PRIMARY KEY, p INT, CONSTRAINT fk_p FOREIGN KEY (p) REFERENCES z_parent (id))"
MOVES = {
	"its table was renamed": ("RENAME TABLE a_child TO b_child",),
	"to a table that is earlier by its name": (
		"ALTER TABLE a_child DROP FOREIGN KEY fk_p",
		"ALTER TABLE `a b` ADD CONSTRAINT fk_p FOREIGN KEY (p) REFERENCES z_parent (id)",
	),
}


@pytest.mark.parametrize("how", MOVES)
def test_a_foreign_keys_name_that_moved(site: Site, tmp_path: Path, how: str):
	"""It is unique in its database: what has it no more goes before what has it now comes."""
	site.execute(
		"CREATE TABLE z_parent (id INT PRIMARY KEY)",
		"CREATE TABLE `a b` (id INT PRIMARY KEY, p INT)",
		CHILD,
		"INSERT INTO z_parent VALUES (1)",
		"INSERT INTO a_child VALUES (1, 1)",
	)
	site.load()
	site.execute(*MOVES[how])
	live = site.content()
	site.standby.refresh(tmp_path / "final")
	assert_up_to_date(site, live)
