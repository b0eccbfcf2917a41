"""What is removed when its time is over, and above all what is not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.backup.manifest import MADE
from press_deploy.engine.backup.rungs import MANIFEST, Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import LockHeld
from press_deploy.engine.journal import Journal
from press_deploy.engine.lock import BenchLock
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.retention import PROVEN, find_expired, tidy
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.finding import find_standby

from .support import SITE, make_spec

MUCH_LATER = datetime.now(timezone.utc) + timedelta(days=10 * 365)
NOW = datetime(2030, 6, 1, tzinfo=timezone.utc)
OLD = Backup().retention_days + 1
Run = Callable[..., RunDirectory]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	for name in ("apps", "sites", "config", "logs", "deployments"):
		(tmp_path / name).mkdir()
	return Bench.open(tmp_path)


def put(bench: Bench, days: int, rung: Rung, site: str = SITE, leave_out: Rung | None = None) -> Path:
	"""A backup of so many days ago that passed the rungs up to this one."""
	made = NOW - timedelta(days=days)
	directory = bench.deployments / "backups" / site / made.strftime("%Y%m%d-%H%M%S")
	directory.mkdir(parents=True)
	facts = {"site": site, "made": made.isoformat(), "method": "stream", "files": []}
	(directory / MADE).write_text(json.dumps(facts))
	(directory / MANIFEST).write_text(json.dumps({"files": []}))
	for each in list(Rung)[1 : rung + 1]:
		if each is not leave_out:
			Proof(directory).record(each)
	return directory


def fail(directory: Path) -> Path:
	Proof(directory).record_failure(PROVEN, "restore", "a table is crashed")
	return directory


def removed(bench: Bench) -> set[Path]:
	return {entry.directory for entry in find_expired(bench, NOW)}


def test_what_is_old_goes_and_what_is_new_stays(bench):
	old, new = put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	assert removed(bench) == {old}
	tidy(bench, SITE, now=NOW)
	assert new.exists() and not old.exists()


def test_the_last_proven_backup_stays_however_old(bench):
	proven, newer = put(bench, 10 * OLD, Rung.RESTORABLE), put(bench, OLD, Rung.WHOLE)
	older = put(bench, 20 * OLD, Rung.RESTORABLE)
	assert removed(bench) == {newer, older} and proven not in removed(bench)


def test_where_none_is_proven_the_best_stays(bench):
	best, worse = put(bench, 2 * OLD, Rung.SAFE), put(bench, OLD, Rung.MADE)
	assert removed(bench) == {worse} and best.exists()


def test_a_proof_counts_that_was_never_copied_off(bench):
	"""Nobody copies off what is made by itself: it is no reason to keep another one instead."""
	proven = put(bench, 2 * OLD, Rung.RESTORABLE, leave_out=Rung.SAFE)
	failed = fail(put(bench, OLD, Rung.WHOLE))
	assert Proof(proven).reached() is Rung.WHOLE, "the two stand on the same rung"
	assert removed(bench) == {failed}


def test_a_proof_that_holds_for_other_files_does_not_count(bench):
	stale, proven = put(bench, OLD, Rung.RESTORABLE), put(bench, 2 * OLD, Rung.RESTORABLE)
	(stale / MANIFEST).write_text(json.dumps({"files": [1]}))
	assert removed(bench) == {stale} and proven.exists()


def test_one_that_failed_its_proof_is_never_kept_instead_of_another(bench):
	older, best = put(bench, 4 * OLD, Rung.WHOLE), put(bench, 3 * OLD, Rung.WHOLE)
	failed, highest = fail(put(bench, OLD, Rung.WHOLE)), fail(put(bench, 2 * OLD, Rung.SAFE))
	assert removed(bench) == {older, failed}, "the best of both kinds stay"
	assert best.exists() and highest.exists()


def test_where_all_failed_the_best_stays(bench):
	fail(put(bench, 2 * OLD, Rung.WHOLE)), fail(put(bench, OLD, Rung.SAFE))
	assert len(removed(bench)) == 1


@pytest.fixture
def end_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Run:
	"""A run that ended, with a backup, and a standby that its rollback has swapped in."""
	config = bench.site(SITE) / "site_config.json"
	live = bench.site(SITE) / "db" / "shop.db"
	live.parent.mkdir(parents=True)
	config.write_text('{"db_type": "sqlite", "db_name": "shop"}')

	def end(state: str, *steps: tuple[str, dict[str, Any]], swap: bool = True) -> RunDirectory:
		run = RunDirectory.create(bench.path, make_spec())
		write_row(live, "of before")
		shutil.copy(live, run.path / "backup.db")
		standby = standby_of(bench, run)
		standby.remember_live()
		standby.load(run.path / "backup.db")
		write_row(live, "of a user")
		if swap:
			standby.swap()
		journal = Journal(run.journal)
		journal.append("run-created", {"plan_sha256": "x", "dry_run": False})
		for step, result in steps:
			named = {"step": step, "phase": "rollback", "title": step}
			journal.append("step-announced", {**named, "before": {}})
			event = "step-observed" if result else "step-failed"
			journal.append(event, {**named, "result": result, "found": "", "error": {}})
		journal.append("run-ended", {"state": state, "reason": "it is over"})
		journal.close()
		shutil.move(put(bench, 0, Rung.WHOLE), run.backup / SITE)
		return run

	return end


EXPORTED = ("export-losses", {"files": 2, "found": "1 row"})


def standby_of(bench: Bench, run: RunDirectory) -> StandbyDatabase:
	return find_standby(bench, SITE, run.name, run.private / "standby" / SITE)


def write_row(file: Path, name: str) -> None:
	with closing(sqlite3.connect(file)) as database, database:
		database.execute("CREATE TABLE IF NOT EXISTS items (name TEXT)")
		database.execute("INSERT INTO items VALUES (?)", (name,))


def rows_in(file: str) -> list[str]:
	with closing(sqlite3.connect(file)) as database:
		return [row[0] for row in database.execute("SELECT name FROM items")]


@pytest.mark.parametrize("state", ["Rolled Back", "Succeeded"])
def test_what_was_exported_goes_with_its_run(bench, end_run, state):
	run = end_run(state, EXPORTED)
	quarantine = Path(standby_of(bench, run).quarantine)
	assert rows_in(str(quarantine)) == ["of before", "of a user"]
	assert any("quarantine" in line for line in tidy(bench, SITE, now=MUCH_LATER))
	assert not quarantine.exists() and not (run.private / "standby" / SITE).exists()


def test_nothing_of_a_fatal_run_goes(bench, end_run):
	"""Its quarantine may be the only copy of what users wrote."""
	run = end_run("Fatal", EXPORTED)
	shutil.move(put(bench, -1, Rung.RESTORABLE), bench.deployments / "backups" / SITE / "newer")
	assert tidy(bench, SITE, now=MUCH_LATER) == []
	assert rows_in(standby_of(bench, run).quarantine) == ["of before", "of a user"]
	assert (run.backup / SITE).exists()


@pytest.mark.parametrize(
	"steps",
	[
		[],
		[("export-losses", {})],
		# The step lets the sites be opened all the same.
		[("export-losses", {"found": "not exported: the disk is full. Everything is still in quarantine"})],
	],
	ids=["not begun", "failed", "not exported"],
)
def test_a_quarantine_that_was_not_exported_stays(bench, end_run, steps):
	run, said = end_run("Rolled Back", *steps), []
	tidy(bench, SITE, now=MUCH_LATER, say=said.append)
	assert rows_in(standby_of(bench, run).quarantine) == ["of before", "of a user"]
	assert any("was not exported" in line and run.name in line for line in said)


@pytest.mark.parametrize("undone", [False, True])
def test_where_nothing_is_swapped_there_is_nothing_to_export(bench, end_run, undone):
	run = end_run("Succeeded", swap=undone)
	standby = standby_of(bench, run)
	if undone:
		standby.undo_swap()
	assert Path(standby.name).exists()
	assert any("standby" in line for line in tidy(bench, SITE, now=MUCH_LATER))
	assert not Path(standby.name).exists()


def test_each_site_keeps_its_own(bench):
	put(bench, OLD, Rung.RESTORABLE), put(bench, OLD, Rung.RESTORABLE, "other.example")
	assert removed(bench) == set()


def test_another_site_s_backups_are_not_its_business(bench):
	old = put(bench, OLD, Rung.RESTORABLE, "other.example")
	put(bench, 1, Rung.RESTORABLE, "other.example")
	assert tidy(bench, SITE, now=NOW) == [] and old.exists()
	assert len(tidy(bench, "other.example", now=NOW)) == 1 and not old.exists()


def test_nothing_goes_while_a_run_is_at_work(bench):
	old, _new = put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	with BenchLock(bench.deployments, "a-run", "a test", lambda name: False):
		assert tidy(bench, SITE, now=NOW) == [] and old.exists()
	assert len(tidy(bench, SITE, now=NOW)) == 1 and not old.exists()


def test_no_run_starts_in_the_middle_of_it(bench, monkeypatch):
	put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	refused = []

	def start_a_run(directory: Path) -> None:
		with pytest.raises(LockHeld) as held, BenchLock(bench.deployments, "a-run", "", lambda name: False):
			pass
		refused.append(held.value)

	monkeypatch.setattr(shutil, "rmtree", start_a_run)
	tidy(bench, SITE, now=NOW)
	assert len(refused) == 1
	with BenchLock(bench.deployments, "a-run", "", lambda name: False):
		pass


def test_a_run_that_cannot_be_read_keeps_what_it_has_and_stops_nobody_else(bench):
	old, _new = put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	damaged = bench.deployments / "20300101-000000-damaged-0000"
	damaged.mkdir()
	(damaged / "plan.json").write_text("{")
	said = []
	assert len(tidy(bench, "shop.example", now=NOW, say=said.append)) == 1 and not old.exists()
	assert damaged.exists() and any("can't be read" in line for line in said)
