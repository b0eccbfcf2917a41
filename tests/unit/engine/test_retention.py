"""What is removed when its time is over, and above all what is not."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from press_deploy import hooks
from press_deploy.engine.backup.catalogue import EXPIRED, find_backups
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import MADE, MANIFEST
from press_deploy.engine.databases.mariadb import standby as mariadb_standby
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standby
from press_deploy.engine.execution.retention import PROVEN, find_expired, tidy
from press_deploy.engine.ground.errors import LockHeld, Refused
from press_deploy.engine.homes.home import HOMES, Home
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lock import BenchLock
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.plan.backup import Backup
from press_deploy.engine.steps.way_back_checks import check_listable

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
		[("export-losses", {"files": 2, "left_out": {SITE: ["tabMember.license_key"]}, "found": "1 row"})],
	],
	ids=["not begun", "failed", "not exported", "not in full"],
)
def test_a_quarantine_that_was_not_exported_stays(bench, end_run, steps):
	run, said = end_run("Rolled Back", *steps), []
	tidy(bench, SITE, now=MUCH_LATER, say=said.append)
	assert rows_in(standby_of(bench, run).quarantine) == ["of before", "of a user"]
	assert any("was not exported" in line and run.name in line for line in said)


def test_where_nothing_is_swapped_there_is_nothing_to_export(bench, end_run):
	standby = standby_of(bench, end_run("Succeeded", swap=False))
	assert Path(standby.name).exists()
	assert any("standby" in line for line in tidy(bench, SITE, now=MUCH_LATER))
	assert not Path(standby.name).exists()


@pytest.mark.parametrize("state", ["Aborted", "Refused", "Checked"])
def test_the_databases_of_a_run_that_changed_nothing_go_at_once(bench, end_run, state):
	run = end_run(state, swap=False)
	standby = standby_of(bench, run)
	assert Path(standby.name).exists() and run.noted_sites == [SITE]
	removed = tidy(bench, SITE, followed_up=[run.name])
	assert [line for line in removed if run.name in line] == removed != []
	assert not Path(standby.name).exists() and run.noted_sites == []
	assert (run.backup / SITE).exists(), "its backup is as good as any other"


def test_those_of_a_run_that_is_live_stay_for_its_follow_up(bench, end_run):
	standby = standby_of(bench, end_run("Succeeded", swap=False))
	assert tidy(bench, SITE) == [] and Path(standby.name).exists()


def test_what_an_undone_swap_left_stays(bench, end_run):
	"""It was live, and may be what users wrote."""
	run, said = end_run("Succeeded", swap=True), []
	standby = standby_of(bench, run)
	standby.undo_swap()
	assert not any("standby" in line for line in tidy(bench, SITE, now=MUCH_LATER, say=said.append))
	assert Path(standby.name).exists() and any("its swap was undone" in line for line in said)


def in_days(days: float) -> datetime:
	return datetime.now(timezone.utc) + timedelta(days=days)


def write_whole(file: Path) -> Path:
	file.parent.mkdir(parents=True, exist_ok=True)
	file.write_text("all of somebody's data")
	return file


def keep_files(run: RunDirectory) -> list[Path]:
	"""What a rollback by import leaves in the run: the final backup, the replaced database, users' files."""
	quarantine = run.backup / "quarantine"
	return [
		write_whole(run.final_backup_of(SITE) / "final.sqlite.zst"),
		write_whole(quarantine / "7" / SITE / "replaced.gz"),
		write_whole(quarantine / "files" / SITE / "public" / "files" / "of a user.png"),
	]


def are_there(files: list[Path]) -> list[bool]:
	return [file.exists() for file in files]


def test_the_files_of_a_run_go_when_follow_up_and_retention_are_over(bench, end_run):
	run = end_run("Rolled Back", EXPORTED)
	files, standby = keep_files(run), standby_of(bench, run)
	tidy(bench, SITE, now=in_days(8))
	assert not Path(standby.quarantine).exists() and all(are_there(files)), "retention lasts longer"
	assert tidy(bench, SITE, {run.name}, now=in_days(OLD)) == [] and all(are_there(files)), "followed up"
	said = tidy(bench, SITE, now=in_days(OLD))
	assert not any(are_there(files)) and len(said) == 2
	assert (run.backup / SITE).exists(), "the last backup there is"
	assert tidy(bench, SITE, now=MUCH_LATER) == []


def test_the_environment_of_before_goes_with_the_files_of_a_run(bench, end_run):
	run = end_run("Rolled Back", EXPORTED)
	begun, removed = (run.private / name for name in ("environment.coming", f"{EXPIRED}environment"))
	places = (run.kept_environment, run.replaced_environment, begun, removed)
	for place in places:
		(place / "bin").mkdir(parents=True)
	tidy(bench, SITE, now=in_days(OLD - 2))
	assert all(place.exists() for place in places[:2])
	said = tidy(bench, SITE, now=MUCH_LATER)
	assert not any(place.exists() for place in places)
	assert {f"environment, run {run.name}", f"replaced environment, run {run.name}"} <= set(said)


def test_a_home_goes_when_no_run_is_executed_from_it(bench, end_run):
	run = end_run("Rolled Back", EXPORTED)
	used, unused = (Home(bench.deployments / HOMES / name) for name in ("1.0-a", "1.1-b"))
	for home in (used, unused):
		home.path.mkdir(parents=True)
	used.give_to(run)
	assert any("1.1-b" in line for line in tidy(bench, SITE, now=MUCH_LATER))
	assert used.path.exists() and not unused.path.exists()


def test_a_follow_up_lasts_as_long_as_the_settings_say(bench, end_run):
	run = end_run("Rolled Back", EXPORTED)
	files, standby = keep_files(run), standby_of(bench, run)
	assert tidy(bench, SITE, now=in_days(89), follow_up_days=90) == []
	assert Path(standby.quarantine).exists() and all(are_there(files))
	assert len(tidy(bench, SITE, now=in_days(91), follow_up_days=90)) == 3


@pytest.mark.parametrize("steps", [[], [("export-losses", {"found": "not exported: the disk is full"})]])
def test_the_files_stay_as_long_as_the_databases(bench, end_run, steps):
	"""What was not exported stays; and a standby that could not be removed is made again from the final backup."""
	files = keep_files(end_run("Rolled Back", *steps))
	assert tidy(bench, SITE, now=MUCH_LATER) == [] and all(are_there(files))


def test_what_a_fatal_run_imported_over_stays_until_a_person_removes_it(bench, end_run):
	"""There never was a standby, so there is none to be dropped either."""
	run = end_run("Fatal", EXPORTED)
	shutil.rmtree(run.private / "standby")
	files = keep_files(run)
	shutil.move(put(bench, -1, Rung.RESTORABLE), bench.deployments / "backups" / SITE / "newer")
	assert tidy(bench, SITE, now=MUCH_LATER) == [] and all(are_there(files))
	assert (run.backup / SITE).exists()
	shutil.rmtree(run.backup / "quarantine" / "7")
	assert len(tidy(bench, SITE, now=MUCH_LATER)) == 3 and not any(are_there(files))


def test_databases_whose_administrator_is_not_known_any_more_keep_the_files(bench, end_run, monkeypatch):
	run, said = end_run("Rolled Back", EXPORTED), []
	files = keep_files(run)
	(bench.site(SITE) / "site_config.json").write_text('{"db_name": "shop"}')
	monkeypatch.setattr(mariadb_standby, "find_administrator", lambda config: None)
	assert tidy(bench, SITE, now=MUCH_LATER, say=said.append) == [] and all(are_there(files))
	assert any("administrator is not known" in line and run.name in line for line in said)


def test_a_final_backup_that_is_the_last_proven_one_stays(bench, end_run):
	"""Where there is no standby it is whole, and proven before it is imported."""
	run = end_run("Rolled Back", EXPORTED)
	final = run.final_backup_of(SITE)
	final.parent.mkdir()
	shutil.move(put(bench, 2, Rung.RESTORABLE), final)
	older = put(bench, 3, Rung.RESTORABLE)
	tidy(bench, SITE, now=MUCH_LATER)
	assert final.exists() and older.exists()
	put(bench, 1, Rung.RESTORABLE)
	tidy(bench, SITE, now=MUCH_LATER)
	assert not final.exists() and not older.exists()


def test_a_backup_that_was_never_completed_goes_too(bench, end_run):
	"""It is in no catalogue, and holds the data all the same."""
	run = end_run("Aborted", swap=False)
	shutil.rmtree(run.private / "standby")
	begun = write_whole(run.backup / "shop.example" / f"{SITE}-database.sql.zst.part")
	(run.backup / SITE / MADE).unlink()
	beside = write_whole(bench.deployments / "backups" / SITE / "20260101-000000-abcd" / "x.part")
	assert tidy(bench, SITE, now=in_days(OLD - 2)) == [] and begun.exists() and beside.exists()
	assert len(tidy(bench, SITE, now=in_days(OLD))) == 2
	assert not begun.exists() and not beside.exists()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removal_that_was_killed_is_completed_and_counts_for_nothing_meanwhile(
	bench, end_run, monkeypatch, number
):
	run = end_run("Rolled Back", EXPORTED)
	tidy(bench, SITE, now=in_days(8))
	files = keep_files(run)
	old, new = put(bench, 4000, Rung.RESTORABLE), put(bench, -4000, Rung.RESTORABLE)
	begun, remove = [], shutil.rmtree

	def remove_or_die(directory: Path) -> None:
		begun.append(directory)
		if len(begun) < number:
			return remove(directory)
		os.unlink(next(path for path in sorted(directory.rglob("*")) if path.is_file()))
		raise KeyboardInterrupt

	with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
		patched.setattr(shutil, "rmtree", remove_or_die)
		tidy(bench, SITE, now=in_days(OLD))
	assert len(begun) == number and begun[-1].name.startswith(EXPIRED) and begun[-1].exists()
	assert begun[-1] not in [entry.directory for entry in find_backups(bench)] and new.exists()
	# Whoever is followed up again keeps what there is, not what was half gone.
	tidy(bench, SITE, {run.name}, now=in_days(OLD))
	assert not list(bench.deployments.rglob(f"{EXPIRED}*")) and new.exists()
	tidy(bench, SITE, now=in_days(OLD))
	assert not old.exists() and not any(are_there(files))


def test_what_cannot_be_removed_stops_nothing_else(bench, monkeypatch):
	stuck, old = put(bench, 2 * OLD, Rung.RESTORABLE), put(bench, OLD, Rung.RESTORABLE)
	new, said, remove = put(bench, 1, Rung.RESTORABLE), [], shutil.rmtree

	def remove_most(directory: Path) -> None:
		if stuck.name in str(directory):
			raise PermissionError(13, "Permission denied", str(directory))
		remove(directory)

	monkeypatch.setattr(shutil, "rmtree", remove_most)
	assert len(tidy(bench, SITE, now=NOW, say=said.append)) == 1
	assert not old.exists() and new.exists()
	assert any("could not be removed" in line and stuck.name in line for line in said)
	monkeypatch.undo()
	tidy(bench, SITE, now=NOW)
	assert [path.name for path in new.parent.iterdir()] == [new.name]


def test_a_plan_that_cannot_be_read_keeps_its_backup_alone(bench, end_run):
	run = end_run("Rolled Back", EXPORTED)
	run.plan.write_text("{")
	old, _new = put(bench, OLD, Rung.RESTORABLE), put(bench, -4000, Rung.RESTORABLE)
	assert len(tidy(bench, SITE, now=MUCH_LATER)) == 1
	assert not old.exists() and (run.backup / SITE).exists()


@pytest.mark.parametrize("maintenance", [0, 1])
def test_a_rollback_whose_backups_are_gone_is_refused_before_it_closes_anything(bench, end_run, maintenance):
	"""Also where somebody closed the site by hand, and the run itself never opened it."""
	steps = [("maintenance", {"x": 1}), ("final-backup", {"x": 1}), ("standby", {"x": 1})]
	run = end_run("Fatal", *steps, EXPORTED)
	keep_files(run)
	config = bench.site(SITE) / "site_config.json"
	config.write_text(json.dumps({**json.loads(config.read_text()), "maintenance_mode": maintenance}))
	state = load_state(run)
	check_listable(bench, run, state, True)
	shutil.rmtree(run.private / "standby"), shutil.rmtree(run.backup / "quarantine")
	standby = standby_of(bench, run)
	for place in (standby.name, standby.quarantine):
		Path(place).unlink(missing_ok=True)
	tidy(bench, SITE, now=MUCH_LATER)
	assert not run.final_backup_of(SITE).exists()
	before = config.read_bytes()
	with pytest.raises(Refused, match="not there any more") as refused:
		check_listable(bench, run, state, True)
	assert "restore a backup by hand" in refused.value.remedy and "--load" not in refused.value.remedy
	assert config.read_bytes() == before


def test_tidying_has_the_time_of_the_long_queue():
	"""In the default queue a job is ended after five minutes, and a database that is in use is waited for longer."""
	tidies = [
		when for when, jobs in hooks.scheduler_events.items() if "press_deploy.jobs.tidy_backups" in jobs
	]
	assert tidies == ["daily_long"]


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
