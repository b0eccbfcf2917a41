"""Files go back with the database that names them, once: what users upload afterwards is theirs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import (
	SITE,
	assert_in_order,
	backup_settings,
	create_run,
	kill_runner_at,
	names,
	quick_plan,
	write,
)
from tests.faults.going_back import broken_web_server, change_config, fail_going_back, go_back
from tests.faults.saboteur import Saboteur, run_sabotaged

FAILING = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}
LOGO, RELEASED, UPLOADED = "logo.svg", "of the release.txt", "uploaded since.txt"


@pytest.fixture
def files(bench: PracticeBench, tmp_path: Path) -> Iterator[Path]:
	"""The public files of the site, which are put back afterwards."""
	place = bench.path / "sites" / SITE / "public" / "files"
	shutil.copytree(place, tmp_path / "files")
	yield place
	shutil.rmtree(place)
	shutil.copytree(tmp_path / "files", place)


@pytest.fixture
def logo(bench: PracticeBench) -> str:
	"""What is in a file of the site that no archive is trusted with: it seems to be written to all the time."""
	path = bench.path / "sites" / SITE / "public" / "files" / LOGO
	os.utime(path, (time.time() + 3600,) * 2)
	return path.read_text()


@pytest.mark.parametrize("rung", [4, 3], ids=["swapped", "imported"])
def test_what_users_uploaded_after_an_earlier_rollback_stays(
	bench: PracticeBench, files: Path, monkeypatch: pytest.MonkeyPatch, rung: int
) -> None:
	settings = {**backup_settings(bench), "required_rung": rung}
	plan = quick_plan(bench, "migrating", migrate="always", smoke_tests=[FAILING], backup=settings)
	run = create_run(bench, plan)
	with broken_web_server(bench, "step-observed", "rollback-files", monkeypatch) as saboteur:
		assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason
	live = load_state(run).before("rollback-database")["sites"][SITE]
	assert live["how"] == ("swap" if rung == 4 else "restore")

	change_config(bench, lambda config: config.update(maintenance_mode=0))
	write(bench, "of a user")
	(files / UPLOADED).write_text("of a user")
	(files / LOGO).write_text("drawn anew")

	assert go_back(bench, run) is State.ROLLED_BACK, load_state(run).reason

	assert "of a user" in names(bench), "the database was replaced once more"
	assert (files / UPLOADED).read_text() == "of a user"
	assert (files / LOGO).read_text() == "drawn anew"
	assert load_state(run).step("rollback-files").status == "skipped"
	assert_in_order(bench, run)


def test_files_that_were_half_put_back_are_put_back_without_those_of_users(
	bench: PracticeBench, files: Path, logo: str, live: RunDirectory
) -> None:
	copies = live.final_backup_of(SITE) / "files" / "files"
	(files / LOGO).unlink()
	(files / RELEASED).write_text("of the release")
	shown = list_losses(Bench.open(bench.path), live)
	away = copies.with_name("away")
	lost = Saboteur("step-announced", "rollback-files", lambda: copies.rename(away))
	fail_going_back(bench, live, lost, approves=shown["sha256"])
	assert "bring the backup" in load_state(live).error["remedy"]
	away.rename(copies)
	change_config(bench, lambda config: config.update(maintenance_mode=0))
	(files / UPLOADED).write_text("of a user")

	assert go_back(bench, live) is State.ROLLED_BACK, load_state(live).reason

	assert (files / LOGO).read_text() == logo and not (files / RELEASED).exists()
	assert (files / UPLOADED).read_text() == "of a user"
	assert any(UPLOADED in note["text"] for note in assert_in_order(bench, live).notes)


@pytest.mark.parametrize("how", ["failed", "killed"])
def test_a_list_of_files_that_was_only_begun_is_not_what_a_rollback_returns_to(
	bench: PracticeBench, files: Path, how: str
) -> None:
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	if how == "killed":
		kill_runner_at(bench, run, "call", "press_deploy.engine.site_files.inventory:_write")
	else:
		elsewhere = files.with_name("elsewhere")
		link = Saboteur(
			"step-announced", "final-files", lambda: files.rename(elsewhere) and files.symlink_to(elsewhere)
		)
		assert run_sabotaged(bench, run, link) is State.ROLLED_BACK, load_state(run).reason
		assert "symbolic link" in load_state(run).step("final-files").error["why"]
		files.unlink()
		elsewhere.rename(files)
	assert (run.final_backup_of(SITE) / "files").is_dir() and not load_state(run).is_done("final-files")
	(files / UPLOADED).write_text("of a user")

	assert go_back(bench, run, database=True) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert state.is_done("rollback-database") and (files / UPLOADED).exists()
