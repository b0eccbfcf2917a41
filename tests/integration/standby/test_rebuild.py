"""A standby that was lost is made again from the backup and the final backup: equal to live, or not loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from press_deploy.engine.databases.backup_files import MANIFEST
from press_deploy.engine.databases.mariadb import physical, standby_own
from press_deploy.engine.databases.mariadb.objects import without_status
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby import killed
from tests.integration.standby.conftest import Site
from tests.support.databases import execute, make_site_database, make_standby, read_content


@pytest.fixture
def base(tmp_path: Path) -> Path:
	return tmp_path / "base"


@pytest.fixture
def final(tmp_path: Path) -> Path:
	return tmp_path / "final"


def back_up(site: Site, base: Path, name: str = "database.sql.zst") -> None:
	"""What is live now as a verified backup."""
	base.mkdir(exist_ok=True)
	make = physical.back_up if name.endswith(physical.SUFFIX) else dump_database
	make(site.server, site.live, base / name)
	kind = "physical" if name.endswith(physical.SUFFIX) else "database"
	(base / MANIFEST).write_text(json.dumps({"files": [{"name": name, "kind": kind}]}))


def load(site: Site, base: Path, name: str = "database.sql.zst") -> None:
	back_up(site, base, name)
	site.standby.remember_live()
	site.standby.load_backup(base, site.directory / "loading")


def load_and_refresh(site: Site, base: Path, final: Path) -> tuple[dict, list]:
	"""Returns what is live, and in the final backup."""
	load(site, base)
	site.change()
	site.standby.refresh(final)
	return site.content()


def assert_as_live(site: Site, live: tuple[dict, list]) -> None:
	assert site.standby.is_loaded()
	found = site.content(site.standby.name)
	assert found[0] == live[0]
	assert without_status(found[1]) == without_status(live[1])


def lose_a_table(site: Site) -> None:
	execute(site.server, site.standby.name, "SET foreign_key_checks = 0", "DROP TABLE `tabSales Invoice`")


LOSSES: dict[str, Callable[[Site], None]] = {
	"removed": lambda site: site.standby.drop_standby(),
	"dropped by hand": lambda site: execute(site.server, None, f"DROP DATABASE {quote(site.standby.name)}"),
	"half dropped": lose_a_table,
}


@pytest.mark.parametrize("how", LOSSES)
def test_a_lost_standby_is_made_again(site: Site, base: Path, final: Path, how: str):
	live = load_and_refresh(site, base, final)
	LOSSES[how](site)
	assert not site.standby.is_loaded(), "the fault fired"

	assert site.standby.rebuild(base, final) == {"tables": len(live[0])}

	assert_as_live(site, live)
	assert execute(site.server, None, _STATUSES.format(_text(site))) == [("DISABLED",)]
	site.execute("DELETE FROM `tabSales Invoice`", "DROP TABLE tabDocType")
	site.standby.swap()
	assert site.content() == live, "with its events as they were"


_STATUSES = "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{}'"


def _text(site: Site) -> str:
	return site.standby.name.replace("'", "''")


def _stop_before_events_are_disabled(*_: object) -> None:
	raise RuntimeError("stopped")


@pytest.mark.skipif(not shutil.which("mariadb-backup"), reason="mariadb-backup is not installed")
def test_from_a_physical_backup(
	server: Server, tmp_path: Path, base: Path, final: Path, monkeypatch: pytest.MonkeyPatch
):
	"""Also after a first attempt that ended with its events made: they were asleep from the first moment."""
	# The program itself can't quote a name as odd as the others'.
	make_site_database(server, "shop-1 é")
	site = Site(make_standby(tmp_path, server, "shop-1 é"), server, tmp_path, tmp_path / "none")
	try:
		with monkeypatch.context() as patch:
			patch.setattr(standby_own, "put_asleep", _stop_before_events_are_disabled)
			with pytest.raises(RuntimeError, match="stopped"):
				load(site, base, f"database{physical.SUFFIX}")
		assert execute(server, None, _STATUSES.format(_text(site))) == [("SLAVESIDE_DISABLED",)]
		load(site, base, f"database{physical.SUFFIX}")
		assert execute(server, None, _STATUSES.format(_text(site))) == [("DISABLED",)]
		assert ["PRESERVE ENABLE DO" in each["create"] for each in site.standby.noted_events()] == [True]
		site.change()
		site.standby.refresh(final)
		live = site.content()
		site.standby.drop_standby()
		site.standby.rebuild(base, final)
		assert_as_live(site, live)
		assert not (site.standby.directory / "loading").exists()
	finally:
		site.standby.drop_standby()
		execute(server, None, "DROP DATABASE `shop-1 é`")


def test_automatic_numbers_go_on(site: Site, base: Path, final: Path):
	load(site, base)
	item = "`tabSales Invoice Item`"
	site.execute(f"INSERT INTO {item} (parent) VALUES ('INV-1')", f"DELETE FROM {item} WHERE name > 150")
	site.standby.refresh(final)
	site.standby.drop_standby()
	site.standby.rebuild(base, final)
	site.standby.swap()
	site.execute(f"INSERT INTO {item} (parent) VALUES ('INV-1')")
	assert site.execute(f"SELECT MAX(name) > 151 FROM {item}") == [(1,)]


def test_refreshed_again_it_can_be_made_again(site: Site, base: Path, final: Path):
	"""What the final backup holds stays enough, although the standby differs from live in little."""
	load_and_refresh(site, base, final)
	site.standby.drop_standby()
	site.standby.rebuild(base, final)
	site.execute("INSERT INTO tabSingles VALUES ('Website', 'colour', 'red')")
	found = site.standby.refresh(final)
	assert {"tabNew Thing", "tabSingles"} <= set(found["changed"]) and found["dropped"] == ["__Auth"]
	live = site.content()
	site.standby.drop_standby()
	site.standby.rebuild(base, final)
	assert_as_live(site, live)


def test_without_a_final_backup_it_is_what_was_loaded(site: Site, base: Path):
	backup = site.content()
	load(site, base)
	site.change()
	site.standby.drop_standby()
	site.standby.rebuild(base, None)
	assert site.standby.is_loaded() and read_content(site.server, site.standby.name) == backup[0]


def test_what_is_there_stays(site: Site, base: Path, final: Path):
	live = load_and_refresh(site, base, final)
	token = site.standby.loaded_note.read()["token"]
	shutil.rmtree(base)
	assert site.standby.rebuild(base, final) == {"tables": len(live[0])}
	assert site.standby.loaded_note.read()["token"] == token


def test_one_that_is_older_than_the_final_backup_is_made_again(site: Site, base: Path, final: Path):
	live = load_and_refresh(site, base, final)
	site.standby.load_backup(base, site.directory / "loading")
	assert site.standby.is_loaded() and site.content(site.standby.name)[0] != live[0]
	site.standby.rebuild(base, final)
	assert_as_live(site, live)


def test_a_view_that_is_broken_in_live_is_no_reason_to_fail(site: Site, base: Path, final: Path):
	load(site, base)
	site.execute(
		"CREATE TABLE short_lived (id INT)",
		"CREATE VIEW broken AS SELECT id FROM short_lived",
		"DROP TABLE short_lived",
	)
	assert len(site.standby.refresh(final)["not_made"]) == 1
	site.standby.drop_standby()
	site.standby.rebuild(base, final)
	assert site.standby.is_loaded()


def test_killed_between_any_two_effects(site: Site, base: Path, final: Path):
	"""It is as the final backup left it or not loaded, never the older backup alone."""
	live = load_and_refresh(site, base, final)
	site.standby.drop_standby()
	instant = 0
	while killed.kill_at(instant, lambda: site.standby.rebuild(base, final)):
		assert not site.standby.is_loaded(), f"killed at instant {instant}"
		instant += 3
	assert instant > 20
	assert_as_live(site, live)
	lose_a_table(site)
	site.standby.rebuild(base, final)
	assert_as_live(site, live)


def _rot(base: Path, final: Path, site: Site) -> str:
	site.execute("UPDATE tabSingles SET value = 'of another day'")
	back_up(site, base)
	return r"differs from the final backup in 1 places: tabSingles"


def _lose_the_backup(base: Path, final: Path, site: Site) -> str:
	(base / "database.sql.zst").unlink()
	return r"database\.sql\.zst is gone"


def _lose_the_manifest(base: Path, final: Path, site: Site) -> str:
	(base / MANIFEST).unlink()
	return "its manifest is gone"


def _lose_the_dump(base: Path, final: Path, site: Site) -> str:
	(final / "changed.sql.zst").unlink()
	return r"its file changed\.sql\.zst is gone"


def _cut_the_dump(base: Path, final: Path, site: Site) -> str:
	file = final / "changed.sql.zst"
	file.write_bytes(file.read_bytes()[:-20])
	return "cut off"


def _not_completed(base: Path, final: Path, site: Site) -> str:
	(final / "final.json").unlink()
	return "it has no final.json"


def _no_record(base: Path, final: Path, site: Site) -> str:
	(final / "final.json").write_text('{"schema": 1, "tables": {"a": 1}, "facts": {}}')
	return "it can't be read"


@pytest.mark.parametrize(
	"damage",
	[_rot, _lose_the_backup, _lose_the_manifest, _lose_the_dump, _cut_the_dump, _not_completed, _no_record],
)
def test_what_cannot_be_shown_to_be_right_is_not_loaded(site: Site, base: Path, final: Path, damage):
	load_and_refresh(site, base, final)
	site.standby.drop_standby()
	words = damage(base, final, site)
	with pytest.raises(StepFailed, match=words) as failure:
		site.standby.rebuild(base, final)
	assert failure.value.remedy and not site.standby.is_loaded()
	with pytest.raises(StepFailed, match="no complete backup"):
		site.standby.swap()


def test_a_refresh_that_was_begun_again_is_no_final_backup(site: Site, base: Path, final: Path):
	"""Its record goes before the first file that it speaks of."""
	load_and_refresh(site, base, final)
	site.execute("DELETE FROM tabSingles")
	assert killed.kill_at(2, lambda: site.standby.refresh(final)), "the fault must fire"
	assert not (final / "final.json").exists()
	with pytest.raises(StepFailed, match=r"it has no final\.json"):
		site.standby.rebuild(base, final)


@pytest.mark.parametrize("instant", [4, 24, None])
def test_refused_once_a_swap_was_begun(site: Site, base: Path, final: Path, instant: int | None):
	live = load_and_refresh(site, base, final)
	assert killed.kill_at(instant, lambda: site.standby.swap(chunk=1)) is (instant is not None)
	for kept in (final, None):
		with pytest.raises(StepFailed, match=r"a swap is under way|swapped in already"):
			site.standby.rebuild(base, kept)
	site.standby.undo_swap()
	assert site.content() == live
	execute(site.server, None, f"DROP DATABASE {quote(site.standby.name)}")
	site.standby.rebuild(base, final)
	assert_as_live(site, live)
