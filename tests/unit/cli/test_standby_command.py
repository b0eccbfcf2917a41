"""`press-deploy standby` and `backup --list`: what is refused, and what is told of a backup."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from press_deploy.cli import main
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import credentials
from press_deploy.engine.databases.backup_files import MADE, MANIFEST
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standby
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lock import BenchLock
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan

SITES = ("first.example", "second.example")
PLAN = {
	"title": "Release",
	"approved_by": "ada",
	"sites": [{"name": site} for site in SITES],
	"apps": [{"name": "shop", "ref": "main"}],
}
Call = Callable[..., Result]
EndRun = Callable[..., RunDirectory]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	for name in ("apps", "config", "logs", *(f"sites/{site}/db" for site in SITES)):
		(tmp_path / name).mkdir(parents=True)
	for site in SITES:
		(tmp_path / "sites" / site / "site_config.json").write_text(
			'{"db_type": "sqlite", "db_name": "shop"}'
		)
		write_row(tmp_path / "sites" / site / "db" / "shop.db", "of before")
	return Bench.open(tmp_path)


@pytest.fixture
def end_run(bench: Bench) -> EndRun:
	"""A run of two sites, each with a backup that is loaded as its standby; it ended in this state."""

	def end(state: str | None, *, done: tuple[str, ...] = ("standby",)) -> RunDirectory:
		run = RunDirectory.create(bench.path, read_plan(PLAN))
		for site in SITES:
			base = run.backup / site
			base.mkdir()
			shutil.copy(bench.site(site) / "db" / "shop.db", base / "backup.db")
			(base / MANIFEST).write_text('{"files": [{"name": "backup.db", "kind": "database"}]}')
			standby_of(bench, run, site).load(base / "backup.db")
		journal = Journal(run.journal)
		journal.append("run-created", {"plan_sha256": "x", "dry_run": False})
		for step in done:
			named = {"step": step, "phase": "prepare", "title": step}
			journal.append("step-announced", {**named, "before": {}})
			journal.append("step-observed", {**named, "result": {}, "found": ""})
		if state:
			journal.append("run-ended", {"state": state, "reason": "it is so"})
		journal.close()
		return run

	return end


@pytest.fixture
def call(bench: Bench) -> Call:
	def call(*arguments: str) -> Result:
		result = CliRunner().invoke(main, [*arguments, "--bench", str(bench.path)])
		assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
		return result

	return call


def standby_of(bench: Bench, run: RunDirectory, site: str) -> StandbyDatabase:
	return find_standby(bench, site, run.name, run.private / "standby" / site)


def write_row(file: Path, name: str) -> None:
	with closing(sqlite3.connect(file)) as database, database:
		database.execute("CREATE TABLE IF NOT EXISTS items (name TEXT)")
		database.execute("INSERT INTO items VALUES (?)", (name,))


def rows_in(file: str | Path) -> list[str]:
	with closing(sqlite3.connect(file)) as database:
		return [row[0] for row in database.execute("SELECT name FROM items")]


def are_there(bench: Bench, run: RunDirectory) -> list[bool]:
	standbys = [standby_of(bench, run, site) for site in SITES]
	return [Path(each.name).exists() or Path(each.quarantine).exists() for each in standbys]


@pytest.mark.parametrize("state", ["Rolled Back", "Succeeded"])
def test_what_a_run_that_is_over_keeps_may_be_dropped(bench, end_run, call, state):
	run = end_run(state)
	standby_of(bench, run, SITES[1]).swap()
	assert are_there(bench, run) == [True, True]
	result = call("standby", "--drop", run.name)
	assert result.exit_code == 0 and result.output.count("are gone") == 2
	assert are_there(bench, run) == [False, False]


def test_nothing_of_a_fatal_run_is_dropped(bench, end_run, call):
	run = end_run("Fatal")
	standby_of(bench, run, SITES[0]).swap()
	result = call("standby", "--drop", run.name)
	assert result.exit_code == 2 and "ended Fatal" in result.output
	assert f"press-deploy rollback {run.name}" in result.output
	assert are_there(bench, run) == [True, True]

	result = call("standby", "--drop", run.name, "--although-fatal")
	assert result.exit_code == 0 and are_there(bench, run) == [False, False]
	assert not list((run.private / "standby").iterdir()), "retention would take it for kept"


@pytest.mark.parametrize("state", ["swapping", "undoing"])
@pytest.mark.parametrize(("ended", "options"), [("Succeeded", ()), ("Fatal", ("--although-fatal",))])
def test_nothing_is_dropped_in_the_middle_of_a_swap(bench, end_run, call, state, ended, options):
	"""Not even of the site that comes before it, and is not swapped."""
	run = end_run(ended)
	standby = standby_of(bench, run, SITES[1])
	standby.swap()
	standby.swap_note.change(state=state)
	result = call("standby", "--drop", run.name, *options)
	assert result.exit_code == 2 and f"{SITES[1]}, run {run.name}" in result.output
	assert "begun and not finished" in result.output and "press-deploy rollback" in result.output
	assert are_there(bench, run) == [True, True]


def test_of_a_run_that_is_not_over_nothing_is_dropped(bench, end_run, call):
	run = end_run(None)
	result = call("standby", "--drop", run.name)
	assert result.exit_code == 2 and "not over" in result.output
	assert are_there(bench, run) == [True, True]


def test_a_run_that_waits_for_its_lost_standby_gets_it(bench, end_run, call):
	run = end_run(None)
	standby_of(bench, run, SITES[0]).swap()
	standby_of(bench, run, SITES[1]).drop_standby()
	result = call("standby", "--load", run.name)
	assert result.exit_code == 0, result.output
	assert f"{SITES[0]}: swapped already" in result.output
	assert standby_of(bench, run, SITES[1]).is_loaded()


def test_a_final_backup_that_is_whole_had_no_standby(bench, end_run, call):
	run = end_run("Succeeded", done=("standby", "final-backup"))
	final = run.backup / "final" / SITES[0]
	final.mkdir(parents=True)
	shutil.copy(run.backup / SITES[0] / "backup.db", final / "backup.db")
	files = [{"name": "backup.db", "kind": "database", "size": (final / "backup.db").stat().st_size}]
	(final / MANIFEST).write_text(json.dumps({"files": files}))
	standby_of(bench, run, SITES[0]).drop_standby()
	result = call("standby", "--load", run.name)
	assert result.exit_code == 2 and "restore its backup by hand" in result.output


@pytest.mark.parametrize("option", ["--drop", "--load"])
def test_nothing_changes_while_a_run_is_at_work(bench, end_run, call, option):
	run = end_run("Succeeded")
	with BenchLock(bench.deployments, "another", "a test", lambda name: False):
		result = call("standby", option, run.name)
	assert result.exit_code == 2 and "a run is at work" in result.output
	assert are_there(bench, run) == [True, True]


def test_a_standby_that_was_dropped_is_made_again(bench, end_run, call):
	run = end_run("Succeeded")
	write_row(bench.site(SITES[0]) / "db" / "shop.db", "of a user")
	assert call("standby", "--drop", run.name).exit_code == 0
	result = call("standby", "--load", run.name)
	assert result.exit_code == 0 and result.output.count("is loaded, 1 tables") == 2, result.output
	standby = standby_of(bench, run, SITES[0])
	assert standby.is_loaded() and rows_in(standby.name) == ["of before"]


def test_it_is_made_again_as_the_final_backup_left_it(bench, end_run, call):
	run = end_run("Fatal", done=("standby", "final-backup"))
	for site in SITES:
		write_row(bench.site(site) / "db" / "shop.db", "before the window")
		standby_of(bench, run, site).refresh(run.backup / "final" / site)
		Path(standby_of(bench, run, site).name).unlink()
	assert call("standby", "--load", run.name).exit_code == 0
	assert rows_in(standby_of(bench, run, SITES[1]).name) == ["of before", "before the window"]


def test_a_standby_that_never_was_is_not_made(bench, end_run, call):
	run = end_run("Succeeded", done=())
	assert call("standby", "--drop", run.name).exit_code == 0
	result = call("standby", "--load", run.name)
	assert result.exit_code == 2 and "it had none" in result.output
	assert are_there(bench, run) == [False, False]


def test_both_at_once_is_bad_usage(end_run, call):
	run = end_run("Succeeded")
	assert call("standby", "--drop", run.name, "--load", run.name).exit_code == 2


def test_the_list_tells_a_proof_that_passed_from_one_that_failed(bench, call):
	for name, rung in (("proven", Rung.RESTORABLE), ("failed", None)):
		directory = bench.deployments / "backups" / SITES[0] / name
		directory.mkdir(parents=True)
		made = {"site": SITES[0], "made": "2030-01-01T00:00:00+00:00", "method": "stream", "files": []}
		(directory / MADE).write_text(json.dumps(made))
		(directory / MANIFEST).write_text("{}")
		proof = Proof(directory)
		for each in (Rung.MADE, Rung.WHOLE, *([rung] if rung else [])):
			proof.record(each)
		if not rung:
			proof.record_failure(Rung.RESTORABLE, "restore", "a table is crashed")
	lines = call("backup", "--list").output.splitlines()
	assert len(lines) == 2 and all("rung 2 (whole)" in line for line in lines)
	told = {Path(line.split("  ")[3]).name: line for line in lines}
	assert "rung 4 (restorable) was passed too, but rung 3 (safe) was not tried" in told["proven"]
	assert "rung 4 (restorable) failed: restore: a table is crashed" in told["failed"]


def test_what_nobody_could_look_for_is_not_said_to_be_absent(
	bench: Bench, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
	assert "There are none." in call("standby").output
	monkeypatch.setattr(credentials, "CREDENTIALS_FILE", bench.path / "absent.cnf")
	config = '{"db_type": "mariadb", "db_name": "shop", "db_password": "x"}'
	bench.site_config(SITES[1]).write_text(config)
	result = call("standby")
	assert result.exit_code == 1 and "There are none." not in result.output
	assert f"Not known for {SITES[1]}" in result.output and "root_login" in result.output
