"""Whole runs on a practice bench that need more than the demonstration shows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.journal.requests import put_request
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.report.summary import summarise
from tests.faults.bench_state import (
	SITE,
	Picture,
	assert_in_order,
	create_run,
	quick_plan,
	resume,
	take_picture,
)
from tests.support.practice_bench import git, programs, query, set_key, wait_until

NEW_PAGE = '"""The shop\'s pages."""\n\n\ndef home(database):\n\treturn "<h1>Anchor</h1>"\n'


def copied_app(directory: Path, files: dict[str, str]) -> dict:
	"""An app of a plan whose files are copied from a directory."""
	for name, content in files.items():
		file = directory / name
		file.parent.mkdir(parents=True, exist_ok=True)
		file.write_text(content)
	listed = [
		{"path": name, "sha256": hashlib.sha256(content.encode()).hexdigest()}
		for name, content in files.items()
	]
	return {"name": "shop", "method": "copy", "source": str(directory), "files": listed}


def test_files_are_copied(running_bench: PracticeBench, tmp_path: Path) -> None:
	files = {"shop/__init__.py": '__version__ = "7.0.0"\n', "shop/new/__init__.py": ""}
	run = create_run(running_bench, quick_plan(running_bench, "good", apps=[copied_app(tmp_path, files)]))

	assert resume(running_bench, run) is State.SUCCEEDED, load_state(run).reason

	assert running_bench.served_version() == "7.0.0"
	assert_in_order(running_bench, run)


def test_originals_of_copied_files_are_put_back(running_bench: PracticeBench, tmp_path: Path) -> None:
	files = {
		"shop/__init__.py": '__version__ = "7.0.0"\n',
		"shop/pages.py": "raise ImportError\n",
		"shop/extra.py": "",
	}
	before = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "good", apps=[copied_app(tmp_path, files)]))

	assert resume(running_bench, run) is State.ROLLED_BACK, load_state(run).reason

	assert take_picture(running_bench) == before
	assert not (running_bench.places.app / "shop" / "extra.py").exists()


def test_source_that_is_not_what_the_plan_says_is_refused(
	running_bench: PracticeBench, tmp_path: Path
) -> None:
	app = copied_app(tmp_path, {"shop/pages.py": NEW_PAGE})
	(tmp_path / "shop" / "pages.py").write_text("something else\n")
	run = create_run(running_bench, quick_plan(running_bench, "good", apps=[app]))

	assert resume(running_bench, run) is State.REFUSED

	assert "SHA-256" in load_state(run).reason


def test_busy_worker_does_not_keep_the_site_down(running_bench: PracticeBench) -> None:
	query(
		running_bench,
		SITE,
		"""INSERT INTO jobs (function, arguments) VALUES ('pack', '{"seconds": 25}'), ('value_stock', '{}')""",
	)
	drain = {"seconds": 1.0, "when_exceeded": "go_on"}
	run = create_run(running_bench, quick_plan(running_bench, "good", drain=drain))

	assert resume(running_bench, run) is State.SUCCEEDED, load_state(run).reason

	state = load_state(run)
	notes = " ".join(note["text"] for note in state.notes)
	assert "still at an old job" in notes
	assert "jobs were not done: 1 at work: pack (queue short)" in notes
	assert state.result("pause-jobs")["waiting"] == 1, "value_stock waits until the site is open"
	jobs = "SELECT status FROM jobs ORDER BY id"
	assert query(running_bench, SITE, jobs) == [("running",), ("queued",)], "the job was cut off"
	# The helper starts the worker again when the job is done.
	wait_until(lambda: query(running_bench, SITE, jobs) == [("done",), ("done",)], "the jobs", 60)
	wait_until(lambda: programs(running_bench, "workers")[0]["state"] == "RUNNING", "the new worker")


def test_dry_run_changes_nothing(running_bench: PracticeBench) -> None:
	before = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "good"))

	assert execute(Bench.open(running_bench.path), run, dry_run=True) is State.CHECKED

	assert take_picture(running_bench) == before
	assert [step.name for step in load_state(run).steps.values()] == ["preflight"]


@pytest.mark.parametrize("value", [0, False, "", None])
def test_configuration_comes_back_exactly(running_bench: PracticeBench, value: object) -> None:
	for key in ("maintenance_mode", "pause_scheduler", "server_script_enabled"):
		set_key(running_bench, SITE, key, value)
	before: Picture = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "http-errors"))

	assert resume(running_bench, run) is State.ROLLED_BACK, load_state(run).reason

	after = take_picture(running_bench)
	assert json.dumps(after.configuration) == json.dumps(before.configuration)


def test_site_that_is_closed_already_is_refused(running_bench: PracticeBench) -> None:
	set_key(running_bench, SITE, "maintenance_mode", "0")
	run = create_run(running_bench, quick_plan(running_bench, "good"))

	assert resume(running_bench, run) is State.REFUSED

	assert "maintenance mode already" in load_state(run).reason, 'the text "0" counts as on'


def test_dirty_work_tree_is_refused(running_bench: PracticeBench) -> None:
	(running_bench.places.app / "shop" / "left.py").write_text("")
	run = create_run(running_bench, quick_plan(running_bench, "good"))

	assert resume(running_bench, run) is State.REFUSED

	assert "in no commit" in load_state(run).reason and "left.py" in load_state(run).reason


def test_status_says_what_others_script_against(running_bench: PracticeBench) -> None:
	before = git(running_bench, "rev-parse", "HEAD")
	run = create_run(running_bench, quick_plan(running_bench, "good"))
	resume(running_bench, run)

	summary = summarise(Bench.open(running_bench.path), run)

	wanted = git(running_bench, "rev-parse", "HEAD")
	assert summary["apps"] == [{"name": "shop", "before": before, "wanted": wanted, "now": wanted}]
	assert (summary["run"], summary["state"], summary["verdict"]) == (run.name, "Succeeded", "GO")
	assert {"name", "phase", "status", "started", "ended"} <= set(summary["steps"][0])
	assert 0 < summary["downtime_seconds"] < 60 and summary["error"] is None


def test_release_that_cannot_be_imported_is_stopped_before_it_is_migrated(
	running_bench: PracticeBench,
) -> None:
	before = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "broken-import", migrate="always"))

	assert resume(running_bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(running_bench, run)
	assert "apps/shop/shop/__init__.py, line 1: ModuleNotFoundError" in state.reason
	assert not state.was_announced("migrate") and take_picture(running_bench) == before


def test_release_that_deletes_what_it_defines_is_no_go(running_bench: PracticeBench) -> None:
	before = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "destructive", migrate="always"))

	assert resume(running_bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(running_bench, run)
	assert "DocType Note of shop.localhost is gone, with 2 rows" in state.reason
	assert "shop/doctype/note/note.json still defines it" in state.reason
	assert take_picture(running_bench) == before


def test_person_may_consent_to_what_is_gone(running_bench: PracticeBench) -> None:
	plan = quick_plan(running_bench, "destructive", migrate="always", triggers={"critical_tests": "ask"})
	run = create_run(running_bench, plan)

	assert resume(running_bench, run) is State.WAITING
	waiting = load_state(run).waiting
	assert "with 2 rows" in waiting["reason"] and running_bench.ask().status == 503
	assert waiting["step"] == "verdict", "no program waits with the old code on the new schema"
	put_request(run, "go", "ada", "notes are kept on paper now")

	assert resume(running_bench, run) is State.SUCCEEDED, load_state(run).reason
	opened = [each for each in load_state(run).verdicts if each["stage"] == "before opening"][-1]
	assert (opened["verdict"], opened["measured"], opened["by"]) == ("GO", "NO-GO", "ada")
	condition = next(each for each in opened["conditions"] if each["name"].startswith("DocType Note"))
	assert condition["holds"] is False and condition["value"] == "gone, with 2 rows"
	assert take_picture(running_bench).doctypes == []


def test_what_is_installed_and_built_changes_and_goes_back(running_bench: PracticeBench) -> None:
	before = take_picture(running_bench)
	run = create_run(running_bench, quick_plan(running_bench, "equipped-bad"))

	assert resume(running_bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(running_bench, run)
	assert state.is_done("undo-requirements") and state.is_done("undo-build")
	assert take_picture(running_bench) == before
