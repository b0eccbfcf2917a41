"""A person decides, stops a run or rolls it back: heard once, and by the question that was meant."""

from __future__ import annotations

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine import steps
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import roll_back
from press_deploy.engine.journal.lifecycle import FIRST_CHANGE
from press_deploy.engine.journal.requests import put_request
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.steps.base import Step
from tests.faults.bench_state import (
	HANG_SECONDS,
	assert_in_order,
	create_run,
	kill_runner_at,
	publish,
	quick_plan,
	resume,
	take_picture,
)
from tests.faults.conftest import NeedsOf
from tests.faults.needs import ends_of_phases
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import wait_until


@pytest.mark.parametrize(
	("action", "reached", "version"),
	[("go", State.SUCCEEDED, "6.0.0"), ("no-go", State.ROLLED_BACK, "1.0.0")],
)
def test_waiting_run_follows_a_persons_decision(
	bench: PracticeBench, action: str, reached: State, version: str
) -> None:
	commit = publish(bench, "odd-home", {"shop/__init__.py": '__version__ = "6.0.0"\n'})
	smoke_test = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}
	triggers = {"error_rate": "ask", "critical_tests": "ask", "latency": "ask", "log_errors": "ask"}
	plan = quick_plan(
		bench,
		"good",
		apps=[{"name": "shop", "ref": "odd-home", "expected_commit": commit}],
		smoke_tests=[smoke_test],
		triggers=triggers,
	)
	run = create_run(bench, plan)
	assert resume(bench, run) is State.WAITING, load_state(run).reason
	assert bench.ask().status == 503
	assert resume(bench, run) is State.WAITING, "nobody has decided yet"

	put_request(run, action, "admin", "looked at it")
	state = resume(bench, run)
	while state is State.WAITING:  # after opening, the public smoke test asks the same question again
		put_request(run, action, "admin", "looked at it again")
		state = resume(bench, run)

	assert state is reached
	assert_in_order(bench, run)
	assert bench.served_version() == version


def test_waiting_run_rolls_back_when_nobody_decides(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	triggers = {"error_rate": "ask", "critical_tests": "ask", "latency": "ask", "log_errors": "ask"}
	run = create_run(bench, quick_plan(bench, "http-errors", triggers=triggers, decision_seconds=10))
	before = take_picture(bench)
	assert resume(bench, run) is State.WAITING, load_state(run).reason

	wait_until(lambda: load_state(run).state is State.ROLLED_BACK, "the deadline to pass", HANG_SECONDS)

	wait_until(lambda: not bench.helper.status()["leases"], "the end of the lease")
	assert take_picture(bench) == before


def test_request_to_stop_in_the_window_rolls_back(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before = take_picture(bench)
	saboteur = Saboteur(
		"step-observed", "restart", lambda: put_request(run, "abort", "admin", "second thoughts")
	)

	assert run_sabotaged(bench, run, saboteur) is State.ROLLED_BACK, load_state(run).reason

	assert load_state(run).rollback["by"] == "admin"
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_migrated_and_opened_database_is_not_rolled_back_without_a_person(bench: PracticeBench) -> None:
	smoke_test = {"kind": "http", "name": "Home page", "path": "/", "expected_text": "Anchor"}
	run = create_run(bench, quick_plan(bench, "migrating", smoke_tests=[smoke_test]))
	before = take_picture(bench)
	saboteur = Saboteur("step-announced", "monitor", lambda: break_home_page(bench))
	assert run_sabotaged(bench, run, saboteur) is State.WAITING, load_state(run).reason
	assert "everything written after that is lost" in load_state(run).waiting["reason"]
	assert load_state(run).waiting["accepts_go"] is False

	put_request(run, "rollback", "admin", "the loss is known")
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	assert_in_order(bench, run)
	assert take_picture(bench) == before


@pytest.mark.parametrize("step", ends_of_phases(steps.FORWARD))
def test_dead_run_is_rolled_back(bench: PracticeBench, needs_of: NeedsOf, step: Step) -> None:
	"""What is there to be taken back is as where the step is refused (`test_refusals`): it was but announced."""
	run = create_run(bench, quick_plan(bench, "good", **needs_of(step.name)))
	before = take_picture(bench)
	kill_runner_at(bench, run, "step-announced", step.name)
	# A closing that was only announced is looked at: it had no effect yet.
	had_begun = load_state(run).was_announced(FIRST_CHANGE) and step.name != FIRST_CHANGE

	reached = roll_back(Bench.open(bench.path), run, "admin", "it died")

	assert reached is (State.ROLLED_BACK if had_begun else State.ABORTED), load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_request_that_was_taken_before_a_kill_is_heeded(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before = take_picture(bench)
	kill_runner_at(bench, run, "step-observed", "switch-code")
	put_request(run, "abort", "admin", "second thoughts")
	kill_runner_at(bench, run, "request-taken")

	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	assert take_picture(bench) == before


def test_stale_go_answers_no_later_question(bench: PracticeBench) -> None:
	smoke_test = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}
	triggers = {"error_rate": "ask", "critical_tests": "ask", "latency": "ask", "log_errors": "ask"}
	run = create_run(bench, quick_plan(bench, "good", smoke_tests=[smoke_test], triggers=triggers))
	assert resume(bench, run) is State.WAITING
	for _click in range(2):
		put_request(run, "go", "admin", "looked at it")

	assert resume(bench, run) is State.WAITING, "the public smoke tests ask anew"
	assert resume(bench, run) is State.WAITING


def test_person_may_keep_a_migrated_release_in_spite_of_a_trigger(bench: PracticeBench) -> None:
	smoke_test = {"kind": "http", "name": "Home page", "path": "/", "expected_text": "Anchor"}
	run = create_run(bench, quick_plan(bench, "migrating", smoke_tests=[smoke_test]))
	saboteur = Saboteur("step-announced", "monitor", lambda: break_home_page(bench))
	assert run_sabotaged(bench, run, saboteur) is State.WAITING

	put_request(run, "go", "admin", "a false alarm")
	assert resume(bench, run) is State.SUCCEEDED

	assert "kept by admin" in assert_in_order(bench, run).reason
	assert bench.served_version() != "1.0.0"


def break_home_page(bench: PracticeBench) -> None:
	with (bench.path / "logs" / "web.log").open("a") as log:
		log.write("2026-01-01 00:00:00 ERROR something of the release is broken\n")
