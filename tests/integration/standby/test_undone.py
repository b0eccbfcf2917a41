"""What an undone swap left in the standby was live: it is kept until a person says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from press_deploy.engine.databases.backup_files import MANIFEST
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby.conftest import Site
from tests.support.databases import execute

WORK = "INSERT INTO tabSingles VALUES ('Note', 'text', 'of a user')"
FIND = "SELECT value FROM tabSingles WHERE doctype = 'Note'"


def test_it_is_neither_dropped_nor_loaded_over(site: Site, tmp_path: Path):
	site.load()
	site.change()
	site.standby.swap()
	site.execute(WORK)
	site.standby.undo_swap()
	assert site.execute(FIND) == []
	# A table of the standby's is gone, so it counts as lost, and would be made again.
	execute(site.server, site.standby.name, "DROP TABLE __Auth")
	assert not site.standby.is_loaded()
	(tmp_path / MANIFEST).write_text(json.dumps({"files": [{"name": site.dump.name, "kind": "database"}]}))

	for act in (
		lambda: site.standby.load(site.dump),
		lambda: site.standby.rebuild(tmp_path, None),
		lambda: site.standby.refresh(tmp_path / "final"),
		site.standby.drop_standby,
	):
		with pytest.raises(StepFailed, match="its swap was undone") as refused:
			act()
		assert "by hand" in refused.value.remedy
	assert execute(site.server, site.standby.name, FIND) == [("of a user",)]


def test_whole_it_goes_live_again(site: Site, tmp_path: Path):
	site.load()
	site.standby.swap()
	site.execute(WORK)
	site.standby.undo_swap()
	with pytest.raises(StepFailed, match="its swap was undone"):
		site.standby.refresh(tmp_path / "final")
	assert site.standby.is_loaded()
	site.standby.swap()
	assert site.execute(FIND) == [("of a user",)]


def test_removed_by_hand_it_is_made_anew_as_any_other(site: Site, tmp_path: Path):
	backup = site.load()
	site.standby.swap()
	site.standby.undo_swap()
	execute(site.server, None, f"DROP DATABASE {quote(site.standby.name)}")
	site.standby.load(site.dump)
	site.standby.refresh(tmp_path / "final")
	assert site.content(site.standby.name)[0] == backup[0]
	site.standby.drop_standby()
	assert not site.standby.is_loaded()
	site.standby.load(site.dump)
	site.standby.swap()
	site.standby.undo_swap()
	with pytest.raises(StepFailed, match="its swap was undone"):
		site.standby.drop_standby()
