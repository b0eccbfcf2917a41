"""A rollback that stopped, was given up, or was asked for another way: what the next one may do, and asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.databases.sqlite.standby_file import SQLiteStandby
from press_deploy.engine.databases.standby.finding import find_standby
from press_deploy.engine.ground.errors import Refused, StepFailed
from press_deploy.engine.journal.requests import put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import (
	SITE,
	assert_in_order,
	backup_settings,
	create_run,
	kill_runner_at,
	names,
	names_in,
	quarantine_of,
	quick_plan,
	resume,
	take_picture,
	write,
)
from tests.faults.going_back import (
	broken_web_server,
	change_config,
	fail_going_back,
	go_back,
	locked_when,
	opened_by_hand,
)
from tests.faults.saboteur import run_sabotaged

FAILING = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}


def test_rollback_that_stopped_behind_its_swap_is_repeated(
	bench: PracticeBench, live: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	with broken_web_server(bench, "step-observed", "rollback-database", monkeypatch) as saboteur:
		fail_going_back(bench, live, saboteur, approves=shown["sha256"])

	assert go_back(bench, live) is State.ROLLED_BACK, load_state(live).reason

	state = assert_in_order(bench, live)
	assert "of a user" not in names(bench)
	assert "of a user" in names_in(quarantine_of(state))
	assert state.losses["sites"][SITE]["other_tables"] == {"items": 1}, "the list must outlive the repetition"


def test_a_swap_that_was_completed_is_not_undone_because_its_server_is_away(
	bench: PracticeBench, live: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	with broken_web_server(bench, "step-observed", "rollback-database", monkeypatch) as saboteur:
		fail_going_back(bench, live, saboteur, approves=shown["sha256"])
	write(bench, "written since")
	asked = []

	def be_away(*_: object) -> None:
		asked.append(1)
		raise StepFailed("Asking", "the database", "it can't be reached", "start it")

	with monkeypatch.context() as away:
		# The server is back in time for whatever is done about it.
		away.setattr(SQLiteStandby, "swap", be_away)
		away.setattr(SQLiteStandby, "observe_swapped", be_away)
		assert go_back(bench, live) is State.FATAL
	assert asked and {"of a user", "written since"} & set(names(bench)) == {"written since"}

	assert go_back(bench, live) is State.ROLLED_BACK, load_state(live).reason
	assert "written since" in names(bench)
	assert "of a user" in names_in(quarantine_of(assert_in_order(bench, live)))


def test_half_put_back_is_no_release_to_keep(bench: PracticeBench, live: RunDirectory) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	with locked_when(bench, "step-observed", "undo-switch-code") as saboteur:
		fail_going_back(bench, live, saboteur, approves=shown["sha256"])
	write(bench, "written since")

	assert go_back(bench, live) is State.WAITING
	assert not load_state(live).waiting["accepts_go"]
	put_request(live, "go", "admin", "let us keep it")
	assert resume(bench, live) is State.WAITING, "a release whose code is gone can't be kept"
	put_request(live, "approve", "admin", "yes", approves=load_state(live).waiting["approve"])
	assert resume(bench, live) is State.ROLLED_BACK
	assert_in_order(bench, live)
	assert not {"of a user", "written since"} & set(names(bench))


@pytest.mark.parametrize("closes_again", [True, False])
def test_whoever_opened_a_fatal_run_by_hand_is_asked(bench: PracticeBench, closes_again: bool) -> None:
	before = take_picture(bench)
	run = fatal_before_anything_was_opened(bench)
	with opened_by_hand(bench):
		write(bench, "of a user")
		if not closes_again:
			assert go_back(bench, run) is State.WAITING
	if closes_again:
		assert go_back(bench, run) is State.WAITING
	assert "1 row" in load_state(run).waiting["reason"] and "of a user" in names(bench)

	put_request(run, "approve", "admin", "known", approves=load_state(run).waiting["approve"])
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before and "of a user" not in names(bench)


def test_a_fatal_run_that_lost_its_standby_stays_open_or_gets_it_again(bench: PracticeBench) -> None:
	run = fatal_before_anything_was_opened(bench)
	remove_standby(bench, run)
	with opened_by_hand(bench):
		write(bench, "of a user")
		with pytest.raises(Refused, match="nobody can say what would be lost"):
			go_back(bench, run)
		assert load_state(run).state is State.FATAL, "it was closed although it could not go on"

	assert go_back(bench, run) is State.WAITING, load_state(run).reason
	assert "1 row" in load_state(run).waiting["reason"] and "of a user" in names(bench)
	put_request(run, "approve", "admin", "known", approves=load_state(run).waiting["approve"])
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	state = assert_in_order(bench, run)
	assert any("made again from the backups" in note["text"] for note in state.notes)
	assert "of a user" not in names(bench)


def test_without_a_standby_an_open_site_is_not_closed(bench: PracticeBench, live: RunDirectory) -> None:
	remove_standby(bench, live)
	records = load_state(live).last_seq
	with pytest.raises(Refused, match="the site is open; make it again first"):
		go_back(bench, live)
	assert bench.ask().status == 200 and load_state(live).last_seq == records
	assert "of a user" in names(bench)
	assert_in_order(bench, live)


@pytest.mark.parametrize("found", [None, 0, 1])
def test_the_scheduler_is_left_as_only_the_rollback_found_it(bench: PracticeBench, found: int | None) -> None:
	if found is not None:
		change_config(bench, lambda config: config.update(pause_scheduler=found))
	before = take_picture(bench)
	settings = {**backup_settings(bench), "required_rung": 4}
	run = create_run(bench, quick_plan(bench, "good", backup=settings))
	kill_runner_at(bench, run, "step-observed", "maintenance")

	assert go_back(bench, run, database=True) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert state.is_done("rollback-pause-jobs") and not state.step("pause-jobs")
	assert take_picture(bench) == before


@pytest.mark.parametrize("action", ["rollback", "no-go"])
def test_the_code_alone_goes_back_out_of_the_wait_for_an_approval(bench: PracticeBench, action: str) -> None:
	before = take_picture(bench)
	run = live_without_migration(bench)
	assert go_back(bench, run, database=True) is State.WAITING

	put_request(run, action, "admin", "the code alone, then")
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before and "of a user" in names(bench)


def test_the_database_is_not_forgotten_by_the_rollback_that_a_message_asks_for(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	run = live_without_migration(bench)
	shown = list_losses(Bench.open(bench.path), run)
	with broken_web_server(bench, "step-observed", "rollback-database", monkeypatch) as saboteur:
		fail_going_back(bench, run, saboteur, database=True, approves=shown["sha256"])
	assert f"press-deploy rollback {run.name} --database" in load_state(run).reason

	assert go_back(bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert "of a user" not in names(bench) and "of a user" in names_in(quarantine_of(state))
	assert list(run.losses.rglob("*.json")), "what is not live any more was not exported"


def test_a_final_backup_that_was_only_begun_is_not_what_a_rollback_returns_to(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	kill_runner_at(bench, run, "step-observed", "proof")
	write(bench, "between backup and window")
	kill_runner_at(bench, run, "step-announced", "final-backup")

	assert go_back(bench, run, database=True) is State.WAITING
	assert "1 row" in load_state(run).waiting["reason"] and "between backup and window" in names(bench)


def test_an_approval_is_for_the_rollback_that_asked_for_it(bench: PracticeBench, live: RunDirectory) -> None:
	assert go_back(bench, live) is State.WAITING
	approved = load_state(live).waiting["approve"]
	put_request(live, "approve", "admin", "one worthless row", approves=approved)
	with locked_when(bench, "step-observed", "undo-switch-code") as saboteur:
		assert run_sabotaged(bench, live, saboteur) is State.FATAL

	assert go_back(bench, live) is State.WAITING, "the approval of an earlier rollback was taken for this one"
	assert "of a user" in names(bench)
	assert go_back(bench, live, approves=load_state(live).waiting["approve"]) is State.ROLLED_BACK


def test_a_lost_standby_is_made_again_as_the_final_backup_left_it(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always", smoke_tests=[FAILING]))
	kill_runner_at(bench, run, "step-observed", "proof")
	write(bench, "between backup and window")
	with locked_when(bench, "step-observed", "undo-switch-code") as saboteur:
		assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason
	remove_standby(bench, run)

	assert go_back(bench, run) is State.ROLLED_BACK, load_state(run).reason
	state = assert_in_order(bench, run)
	assert any("made again" in note["text"] for note in state.notes)
	assert "between backup and window" in names(bench), "an older backup than the final one was put back"


def live_without_migration(bench: PracticeBench) -> RunDirectory:
	"""A live run with a standby that its plan did not need, and a row of the users' since."""
	settings = {**backup_settings(bench), "required_rung": 4}
	run = create_run(bench, quick_plan(bench, "good", backup=settings))
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	write(bench, "of a user")
	return run


def fatal_before_anything_was_opened(bench: PracticeBench) -> RunDirectory:
	"""A migrated run whose smoke test failed, and whose rollback stopped at a locked database."""
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always", smoke_tests=[FAILING]))
	with locked_when(bench, "step-observed", "undo-switch-code") as saboteur:
		assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason
	assert not load_state(run).was_announced("open")
	return run


def remove_standby(bench: PracticeBench, run: RunDirectory) -> None:
	standby = find_standby(Bench.open(bench.path), SITE, run.name, run.private / "standby" / SITE)
	assert standby.is_loaded(), "the run had no standby"
	# By hand: what a swap left that was undone is not dropped.
	Path(standby.name).unlink()
