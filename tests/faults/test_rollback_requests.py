"""A rollback that is asked for at the wrong moment, or that can't be made: heard, or refused, never forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine import steps
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import ask_to_roll_back, roll_back
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.requests import Action, put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import (
	assert_in_order,
	backup_settings,
	create_run,
	names,
	quick_plan,
	take_picture,
	write,
)
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import git

FAILING = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}


def ask(run: RunDirectory, *, database: bool = False) -> None:
	put_request(run, "rollback", "admin", "it is wrong", database=database)


def test_a_request_in_the_last_step_is_heeded(bench: PracticeBench) -> None:
	before = take_picture(bench)
	run = create_run(bench, quick_plan(bench, "good"))
	last = steps.FORWARD[-1].name
	assert run_sabotaged(bench, run, Saboteur("step-announced", last, lambda: ask(run))) is State.ROLLED_BACK
	assert_in_order(bench, run)
	assert take_picture(bench) == before


@pytest.mark.parametrize(
	("step", "answer"), [("undo-switch-code", "on its way back"), ("rollback-open", "asked too late")]
)
def test_a_request_while_it_goes_back_is_answered(bench: PracticeBench, step: str, answer: str) -> None:
	run = create_run(bench, quick_plan(bench, "good", smoke_tests=[FAILING]))
	asking = Saboteur("step-announced", step, lambda: ask(run, database=step == "rollback-open"))
	assert run_sabotaged(bench, run, asking) is State.ROLLED_BACK
	assert any(answer in note["text"] for note in assert_in_order(bench, run).notes)


@pytest.mark.parametrize("action", ["abort", "rollback"])
def test_a_request_before_anything_was_changed_changes_nothing(bench: PracticeBench, action: Action) -> None:
	before = take_picture(bench)
	run = create_run(bench, quick_plan(bench, "good"))
	asking = Saboteur(
		"step-announced",
		"safe-place",
		lambda: put_request(run, action, "admin", "it is wrong", database=action == "rollback"),
	)
	assert run_sabotaged(bench, run, asking) is State.ABORTED, load_state(run).reason
	state = assert_in_order(bench, run)
	assert "Nothing was changed" in state.reason and state.rollback is None
	assert not state.is_done("safe-place"), "it was heard only after the upload"
	assert take_picture(bench) == before


def test_a_snapshot_that_may_fail_is_no_reason_to_go_on(bench: PracticeBench, volume: dict[str, Any]) -> None:
	settings = {**backup_settings(bench), "snapshot": {**volume, "when_failed": "warn"}}
	run = create_run(bench, quick_plan(bench, "good", backup=settings))
	asking = Saboteur("step-announced", "cloud-snapshot", lambda: ask(run))
	assert run_sabotaged(bench, run, asking) is State.ABORTED, load_state(run).reason
	state = assert_in_order(bench, run)
	assert not state.is_done("cloud-snapshot") and not state.notes


def test_an_approval_that_nobody_waits_for_rolls_nothing_back(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	approve = {"action": "approve", "by": "admin", "reason": "the wrong run", "approves": "0" * 64}
	saboteur = Saboteur("step-observed", "restart", lambda: put_request(run, **approve))
	assert run_sabotaged(bench, run, saboteur) is State.SUCCEEDED, load_state(run).reason
	assert [each["action"] for each in assert_in_order(bench, run).requests] == ["approve"]


@pytest.fixture
def failing(bench: PracticeBench) -> RunDirectory:
	"""A run with a standby, whose smoke test fails before the opening: its code alone goes back."""
	settings = {**backup_settings(bench), "required_rung": 4}
	return create_run(bench, quick_plan(bench, "good", smoke_tests=[FAILING], backup=settings))


def test_the_database_may_be_asked_for_while_the_code_goes_back(
	bench: PracticeBench, failing: RunDirectory
) -> None:
	saboteur = Saboteur("step-observed", "undo-switch-code", lambda: ask(failing, database=True))
	assert run_sabotaged(bench, failing, saboteur) is State.ROLLED_BACK, load_state(failing).reason
	state = assert_in_order(bench, failing)
	assert state.is_done("rollback-database") and state.rollback["by"] == "admin"


def test_the_database_may_follow_the_code_later(bench: PracticeBench, failing: RunDirectory) -> None:
	saboteur = Saboteur("step-observed", "proof", lambda: write(bench, "between backup and window"))
	assert run_sabotaged(bench, failing, saboteur) is State.ROLLED_BACK
	assert load_state(failing).database_may_follow and "between backup and window" in names(bench)
	git(
		bench,
		"-c",
		"user.name=ada",
		"-c",
		"user.email=ada@example.com",
		"commit",
		"--allow-empty",
		"-qm",
		"mend",
	)
	mended = git(bench, "rev-parse", "HEAD")
	opened = Bench.open(bench.path)
	with pytest.raises(Refused, match="nothing to undo"):
		roll_back(opened, failing, "admin", "once more")

	assert roll_back(opened, failing, "admin", "with the data", database=True) is State.WAITING
	asked = {"database": True, "approves": load_state(failing).waiting["approve"]}
	put_request(failing, "approve", "admin", "known", approves=asked["approves"])
	assert roll_back(opened, failing, "admin", "with the data", **asked) is State.ROLLED_BACK
	assert "between backup and window" not in names(bench)
	assert git(bench, "rev-parse", "HEAD") == mended, "what people did since was put back with the database"
	assert not assert_in_order(bench, failing).database_may_follow
	with pytest.raises(Refused, match="nothing to undo"):
		roll_back(opened, failing, "admin", "once more", database=True)


def test_a_database_that_cannot_go_back_leaves_the_site_open(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	refused = []

	def ask_in_vain() -> None:
		with pytest.raises(Refused, match="nobody can say what would be lost") as failure:
			ask_to_roll_back(Bench.open(bench.path), run, "admin", "with the data", database=True)
		refused.append(failure.value)
		ask(run, database=True)  # as somebody does who passes by the question

	saboteur = Saboteur("step-observed", "public-smoke-tests", ask_in_vain)
	assert run_sabotaged(bench, run, saboteur) is State.SUCCEEDED, load_state(run).reason
	assert refused and "is open" in refused[0].remedy
	state = assert_in_order(bench, run)
	assert any("Not rolled back" in note["text"] for note in state.notes)
	assert state.is_done("final-verdict"), "nobody says that the release is healthy"
