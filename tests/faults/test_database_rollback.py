"""A database goes back by a swap: what users wrote since needs a person who was shown exactly that."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.execution.execution import roll_back
from press_deploy.engine.execution.retention import tidy
from press_deploy.engine.ground.errors import InputError, Refused
from press_deploy.engine.journal.journal import Journal
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
from tests.support.practice_bench import wait_until


def go_back(bench: PracticeBench, run: RunDirectory, **asked: Any) -> State:
	return roll_back(Bench.open(bench.path), run, "admin", "it is wrong", **asked)


def test_nothing_is_taken_from_users_without_an_approval(bench: PracticeBench, live: RunDirectory) -> None:
	assert go_back(bench, live) is State.WAITING
	state = load_state(live)
	assert state.is_closed and state.waiting["approve"] == state.losses["sha256"]
	assert "1 row of 1 other table" in state.waiting["reason"]
	assert "of a user" in names(bench), "the database was touched before anybody approved"

	put_request(live, "approve", "admin", "we enter it again", approves=state.waiting["approve"])
	assert resume(bench, live) is State.ROLLED_BACK

	state = assert_in_order(bench, live)
	assert "of a user" not in names(bench)
	assert state.result("lost-documents")["approved_by"] == "admin"
	assert state.losses["sites"][SITE]["other_tables"] == {"items": 1}
	assert "of a user" in names_in(quarantine_of(state))


def test_a_list_that_was_shown_before_is_enough_while_it_holds(
	bench: PracticeBench, live: RunDirectory
) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	assert go_back(bench, live, approves=shown["sha256"]) is State.ROLLED_BACK
	assert "of a user" not in names(bench)
	assert_in_order(bench, live)


def test_a_list_that_changed_since_is_shown_again(bench: PracticeBench, live: RunDirectory) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	write(bench, "written after the list was read")
	assert go_back(bench, live, approves=shown["sha256"]) is State.WAITING
	state = load_state(live)
	assert state.waiting["approve"] != shown["sha256"] and "2 rows" in state.waiting["reason"]

	put_request(live, "approve", "admin", "the old list", approves=shown["sha256"])
	assert resume(bench, live) is State.WAITING, "an approval of another list counted"
	put_request(live, "approve", "admin", "this one", approves=state.waiting["approve"])
	assert resume(bench, live) is State.ROLLED_BACK


@pytest.mark.parametrize("how", ["a person", "the deadline"])
def test_a_rollback_that_nobody_approves_is_given_up(bench: PracticeBench, how: str) -> None:
	spec = quick_plan(bench, "migrating", migrate="always", decision_seconds=10)
	run = create_run(bench, spec)
	assert resume(bench, run) is State.SUCCEEDED
	write(bench, "of a user")
	before = take_picture(bench)
	assert go_back(bench, run) is State.WAITING
	if how == "a person":
		put_request(run, "go", "admin", "we keep it")
	else:
		_let_the_deadline_pass(run)
	assert resume(bench, run) is State.SUCCEEDED
	assert "not rolled back" in assert_in_order(bench, run).reason
	assert take_picture(bench) == before and "of a user" in names(bench)

	# It may be tried again.
	shown = list_losses(Bench.open(bench.path), run)
	assert go_back(bench, run, approves=shown["sha256"]) is State.ROLLED_BACK


@pytest.mark.parametrize("point", ["step-announced", "effect", "step-observed"])
def test_a_rollback_after_the_opening_survives_a_kill(
	bench: PracticeBench, live: RunDirectory, point: str
) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	put = {"approves": shown["sha256"]}
	_announce_rollback(bench, live, put)
	kill_runner_at(bench, live, point, "rollback-database")
	assert resume(bench, live) is State.ROLLED_BACK
	assert "of a user" not in names(bench)
	assert "of a user" in names_in(quarantine_of(assert_in_order(bench, live)))


def test_a_release_that_did_not_migrate_can_take_its_database_back(bench: PracticeBench) -> None:
	backup = {**backup_settings(bench), "required_rung": 4}
	run = create_run(bench, quick_plan(bench, "good", backup=backup))
	assert resume(bench, run) is State.SUCCEEDED
	write(bench, "of the release")
	shown = list_losses(Bench.open(bench.path), run)
	assert go_back(bench, run, database=True, approves=shown["sha256"]) is State.ROLLED_BACK
	assert "of the release" not in names(bench)
	assert_in_order(bench, run)


def test_without_a_standby_a_plan_may_still_want_a_person(bench: PracticeBench) -> None:
	settings = {**backup_settings(bench), "required_rung": 3, "automatic_rollback": False}
	run = create_run(bench, quick_plan(bench, "migrating-bad", migrate="always", backup=settings))
	before = take_picture(bench)
	assert resume(bench, run) is State.WAITING, load_state(run).reason
	assert "lets no database go back by itself" in load_state(run).waiting["reason"]
	put_request(run, "go", "admin", "on with it")
	assert resume(bench, run) is State.WAITING
	put_request(run, "rollback", "admin", "back with it")
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	state = assert_in_order(bench, run)
	assert state.before("rollback-database")["sites"][SITE]["how"] == "restore"
	assert take_picture(bench) == before


def test_two_rollbacks_at_once_are_one(bench: PracticeBench, live: RunDirectory) -> None:
	shown = list_losses(Bench.open(bench.path), live)
	assert go_back(bench, live, approves=shown["sha256"]) is State.ROLLED_BACK
	with pytest.raises(Refused, match="nothing to undo"):
		go_back(bench, live, approves=shown["sha256"])


def tidy_runs(*arguments: Any, **options: Any) -> list[str]:
	"""What is removed of runs: the homes of this bench serve other tests, too."""
	return [line for line in tidy(*arguments, **options) if not line.startswith("home ")]


def test_what_was_replaced_is_kept_for_as_long_as_it_may_be_wanted(
	bench: PracticeBench, live: RunDirectory
) -> None:
	opened, ended = Bench.open(bench.path), datetime.now(timezone.utc)
	shown = list_losses(opened, live)
	assert go_back(bench, live) is State.WAITING
	much_later = ended + timedelta(days=400)
	assert tidy_runs(opened, SITE, now=much_later) == [], "an unfinished run still needs all of it"
	put_request(live, "approve", "admin", "known", approves=shown["sha256"])
	assert resume(bench, live) is State.ROLLED_BACK

	quarantine = quarantine_of(load_state(live))
	assert tidy_runs(opened, SITE, now=ended + timedelta(days=6)) == []
	assert tidy_runs(opened, SITE, {live.name}, now=much_later) == [], "its follow-up is open"
	assert "of a user" in names_in(quarantine)
	assert any("quarantine" in line for line in tidy_runs(opened, SITE, now=much_later))
	assert not quarantine.exists() and "of a user" not in names(bench)
	assert not live.final_backup_of(SITE).exists() and not (live.backup / "quarantine").exists()
	assert_in_order(bench, live)


def test_a_rollback_that_comes_when_its_time_is_over_is_refused_and_the_site_stays_open(
	bench: PracticeBench, live: RunDirectory
) -> None:
	assert live.final_backup_of(SITE).is_dir()
	much_later = datetime.now(timezone.utc) + timedelta(days=400)
	assert len(tidy_runs(Bench.open(bench.path), SITE, now=much_later)) == 2
	assert not live.final_backup_of(SITE).exists()
	config = Bench.open(bench.path).site_config(SITE)
	before = names(bench), config.read_bytes(), live.journal.read_bytes()
	with pytest.raises(Refused, match="not there any more"):
		go_back(bench, live, database=True)
	assert (names(bench), config.read_bytes(), live.journal.read_bytes()) == before


@pytest.mark.parametrize("approves", ["", "yes", "0" * 63, "'; DROP TABLE items; --"])
def test_what_is_no_hash_approves_nothing(bench: PracticeBench, live: RunDirectory, approves: str) -> None:
	with pytest.raises(InputError, match="approve"):
		go_back(bench, live, approves=approves)
	with pytest.raises(InputError, match="approve"):
		put_request(live, "approve", "admin", "yes", approves=approves)


def _announce_rollback(bench: PracticeBench, run: RunDirectory, asked: dict[str, Any]) -> None:
	"""Begin the rollback and die at once, so that the killed runner goes on with it."""
	journal = Journal(run.journal)
	facts = {"cause": "admin: it is wrong", "by": "admin", "error": None, "database": False}
	journal.append("rollback-started", {**facts, **asked})
	journal.close()


def _let_the_deadline_pass(run: RunDirectory) -> None:
	deadline = load_state(run).waiting["deadline"]
	wait_until(lambda: time.time() > deadline, "the deadline")
