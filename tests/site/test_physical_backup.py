"""A copy of a real site's database files: proven to rung 4, and refused where it is not what was copied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from press_deploy.engine.backup.restorable import prove_restorable
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases.backup_files import MADE, database_file
from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.comparison import are_equal, read_tables
from press_deploy.engine.databases.mariadb.restoring import PREFIX
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.steps.final_backup import FinalBackup
from tests.site.conftest import BENCH, SITE
from tests.site.prepared_run import PreparedRun, count_databases, prepare_run, require_administrator
from tests.site.real_site import Site
from tests.support.steps import hand

Damage = Callable[[bytes], bytes]


def cut(content: bytes) -> bytes:
	return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
	place = len(content) // 2
	return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


@pytest.fixture(scope="module")
def administrator() -> Server:
	if not SITE or not (BENCH / "sites" / SITE / "site_config.json").is_file():
		pytest.skip("no site to test on: set FRAPPE_BENCH and PRESS_DEPLOY_TEST_SITE")
	site = Site(BENCH, SITE)
	administrator = require_administrator(site)
	if reason := physical.why_not(administrator, site.config["db_name"]):
		pytest.skip(f"no physical backup can be made here: {reason}")
	return administrator


@pytest.fixture(scope="module")
def run(administrator: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedRun]:
	"""A run that made a physical backup, and copied it off."""
	site = Site(BENCH, SITE)
	directory = tmp_path_factory.mktemp("run")
	with prepare_run(site, directory, method="physical", required_rung=4) as run:
		yield run
	assert count_databases(administrator, f"{PREFIX}%") == 0


@pytest.fixture
def copy(run: PreparedRun, tmp_path: Path) -> Path:
	"""The backup's directory once more, to be damaged."""
	copy = tmp_path / "copy"
	shutil.copytree(run.backup, copy)
	made = (copy / MADE).read_text()
	(copy / MADE).write_text(made.replace(str(run.backup), str(copy)))
	assert json.loads(made) != json.loads((copy / MADE).read_text())
	return copy


def test_the_standby_is_loaded_from_the_files_and_equal(run: PreparedRun, administrator: Server) -> None:
	assert database_file(run.backup).suffix == physical.SUFFIX
	assert run.proof.reached() is Rung.SAFE
	whole = run.proof.facts(Rung.WHOLE)[database_file(run.backup).name]
	assert whole["database"] == run.standby.live

	run.load_standby(required_rung=4)

	assert run.proof.reached() is Rung.RESTORABLE
	facts = run.proof.facts(Rung.RESTORABLE)
	live, loaded = (read_tables(administrator, name) for name in (run.standby.live, run.standby.name))
	assert facts["frappe"] and facts["tables"] == len(live) > 200
	assert facts["equal"] > 200
	assert facts["encryption_key"] == "the site's own opens what is stored; it was left out of the backup"
	assert facts["compared_with"] == "the live site"
	written = set(facts["written"])
	assert not [name for name in live if name not in written and not are_equal(live[name], loaded.get(name))]
	assert f"{run.site}: rung 4, restorable" in run.check_proof()["found"]


def test_it_is_proven_in_a_database_that_is_dropped_again(run: PreparedRun, administrator: Server) -> None:
	facts = prove_restorable(run.opened.bench, run.site, run.backup)
	assert facts["tables"] == facts["imported"] + len(facts["logical"])
	assert facts["imported"] > 200
	assert "__global_search" in facts["logical"]
	assert count_databases(administrator, f"{PREFIX}%") == 0
	assert run.find_processes() == []


@pytest.mark.parametrize(
	("damage", "words"),
	[(cut, "its packed data has no end; the file was cut off"), (flip, "the file is damaged")],
)
def test_a_damaged_copy_stays_at_rung_1(run: PreparedRun, copy: Path, damage: Damage, words: str) -> None:
	file = database_file(copy)
	file.write_bytes(damage(file.read_bytes()))
	with pytest.raises(StepFailed, match=words):
		run.ports.copies.maker.verify(run.site, copy)
	proof = Proof.load(copy)
	assert proof.reached() is Rung.MADE
	assert f"rung 2 (whole) failed: physical: {file.name}: " in proof.why_not(Rung.RESTORABLE)
	assert words in proof.why_not(Rung.RESTORABLE)


def test_another_file_than_the_verified_one_is_not_proven(
	run: PreparedRun, copy: Path, administrator: Server
) -> None:
	"""As whole as the other, and of the same database; only the manifest knows better."""
	file = database_file(copy)
	physical.back_up(administrator, run.standby.live, file)
	physical.check_whole(file)
	with pytest.raises(StepFailed, match=r"its SHA-256 is .*, the manifest beside it says"):
		prove_restorable(run.opened.bench, run.site, copy)


def test_a_file_that_rotted_after_it_was_verified_stays_at_rung_3(
	run: PreparedRun, administrator: Server
) -> None:
	file = database_file(run.backup)
	whole = file.read_bytes()
	run.change_backup(required_rung=4)
	run.standby.drop_standby()
	try:
		file.write_bytes(flip(whole))
		with pytest.raises(StepFailed, match="the file is damaged"):
			run.load_standby()
		assert run.proof.reached() is Rung.SAFE
		assert "rung 4 (restorable) failed: restore: " in run.proof.why_not(Rung.RESTORABLE)
		with pytest.raises(StepFailed, match=r"reached rung 3 \(safe\), the plan requires 4"):
			run.check_proof()
		assert not run.standby.is_loaded()
	finally:
		file.write_bytes(whole)
	run.load_standby()
	assert run.proof.reached() is Rung.RESTORABLE


def test_a_table_that_is_not_restored_is_missed(
	run: PreparedRun, monkeypatch: pytest.MonkeyPatch, administrator: Server
) -> None:
	load, lost = physical.load, []

	def load_and_lose(path: Path, server: Server, database: str, standby: str, *more: object) -> dict:
		loaded = load(path, server, database, standby, *more)
		with server.session(standby) as cursor:
			cursor.execute("DROP TABLE `tabToDo`")
		lost.append(standby)
		return loaded

	monkeypatch.setattr(physical, "load", load_and_lose)
	with pytest.raises(StepFailed, match=r"restored, it has \d+ tables and views, the backup holds \d+"):
		prove_restorable(run.opened.bench, run.site, run.backup)
	assert lost and lost[0].startswith(PREFIX)
	assert count_databases(administrator, f"{PREFIX}%") == 0


def test_without_a_standby_the_final_backup_is_one_that_the_site_can_import(run: PreparedRun) -> None:
	"""The plan wants copies, but too low a rung to keep a standby: a rollback hands it to the site's import."""
	run.change_backup(required_rung=3)
	assert run.opened.spec.backup.method == "physical" and not run.ports.databases.wants_standby(run.site)
	hand(FinalBackup, run.ports).apply(run.opened, {})
	dump = check_dump(database_file(run.on_disk.final_backup_of(run.site)))
	assert dump.kind == "mariadb"
	assert "tabDocType" in dump.tables and len(dump.tables) > 200
