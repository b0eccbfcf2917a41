"""A run that left its straight way goes on where it left it: heard late, corrected, or not rolled back after all."""

from __future__ import annotations

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution import waiting
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.journal.requests import Action, put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.steps.ports import Ports
from tests.faults.bench_state import (
	assert_in_order,
	create_run,
	kill_runner_at,
	names,
	quick_plan,
	resume,
	take_picture,
	write,
)
from tests.faults.saboteur import Saboteur, run_sabotaged

ASKS = {name: "ask" for name in ("error_rate", "critical_tests", "latency", "log_errors")}
FAILING = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}


@pytest.fixture
def asking(bench: PracticeBench) -> RunDirectory:
	"""A run that waits for a person behind closed doors, and once more when the sites are open."""
	return create_run(bench, quick_plan(bench, "good", smoke_tests=[FAILING], triggers=ASKS))


def test_a_go_that_comes_while_the_report_is_written_is_heard(
	bench: PracticeBench, asking: RunDirectory
) -> None:
	saboteur = Saboteur("waiting", "verdict", lambda: say(asking, "go"))
	assert run_sabotaged(bench, asking, saboteur) is State.WAITING
	assert load_state(asking).resumes == 0, "it was heard only when the runner had left"
	assert_asked_again(bench, asking)


def test_a_go_that_comes_while_the_runner_leaves_is_heard(
	bench: PracticeBench, asking: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
	close, said = Ports.close, []

	def close_and_say_go(ports: Ports) -> None:
		close(ports)
		if not said:
			said.append(say(asking, "go"))

	monkeypatch.setattr(Ports, "close", close_and_say_go)
	assert resume(bench, asking) is State.WAITING and said
	assert_asked_again(bench, asking)


def test_a_go_corrects_the_no_go_before_it(bench: PracticeBench, asking: RunDirectory) -> None:
	assert resume(bench, asking) is State.WAITING
	say(asking, "no-go")
	say(asking, "go")
	assert resume(bench, asking) is State.WAITING, load_state(asking).reason
	assert_asked_again(bench, asking)


def test_a_go_takes_nobodys_abort_back(bench: PracticeBench, asking: RunDirectory) -> None:
	before = take_picture(bench)
	assert resume(bench, asking) is State.WAITING
	say(asking, "abort")
	say(asking, "go")
	assert resume(bench, asking) is State.ROLLED_BACK, load_state(asking).reason
	assert_in_order(bench, asking)
	assert take_picture(bench) == before


@pytest.fixture
def returning(bench: PracticeBench) -> RunDirectory:
	"""A run that somebody wants back while it is monitored; it waits for what would be lost to be approved."""
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))

	def ask() -> None:
		write(bench, "of a user")
		put_request(run, "rollback", "admin", "it is wrong")

	assert run_sabotaged(bench, run, Saboteur("step-announced", "monitor", ask)) is State.WAITING
	state = load_state(run)
	assert state.waiting["approve"] and not any(
		each["stage"] == "after monitoring" for each in state.verdicts
	)
	return run


@pytest.mark.parametrize("how", ["a person", "the deadline"])
def test_a_rollback_that_is_given_up_leaves_the_verdict_to_be_given(
	bench: PracticeBench, returning: RunDirectory, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
	if how == "a person":
		say(returning, "go")
	else:
		monkeypatch.setattr(waiting, "_is_over", lambda question: True)
	assert resume(bench, returning) is State.SUCCEEDED, load_state(returning).reason
	assert_watched_to_the_end(bench, returning)


@pytest.mark.parametrize("point", [("step-observed", "rollback-open"), ("went-forward", "")])
def test_going_forward_again_survives_a_kill(
	bench: PracticeBench, returning: RunDirectory, point: tuple[str, str]
) -> None:
	say(returning, "go")
	kill_runner_at(bench, returning, *point)
	assert resume(bench, returning) is State.SUCCEEDED, load_state(returning).reason
	assert_watched_to_the_end(bench, returning)


def test_a_run_that_goes_forward_again_may_be_rolled_back_again(
	bench: PracticeBench, returning: RunDirectory
) -> None:
	say(returning, "go")
	saboteur = Saboteur("went-forward", "", lambda: say(returning, "rollback"))
	assert run_sabotaged(bench, returning, saboteur) is State.WAITING, load_state(returning).reason
	put_request(returning, "approve", "admin", "known", approves=load_state(returning).waiting["approve"])
	assert resume(bench, returning) is State.ROLLED_BACK, load_state(returning).reason
	assert_in_order(bench, returning)
	assert "of a user" not in names(bench)


def say(run: RunDirectory, action: Action) -> bool:
	return bool(put_request(run, action, "admin", "looked at it"))


def assert_asked_again(bench: PracticeBench, run: RunDirectory) -> None:
	"""The GO behind closed doors was taken: the sites are open, and the public smoke tests ask anew."""
	state = load_state(run)
	assert state.accepted == {"verdict": "admin"} and state.waiting["step"] == "public-smoke-tests"
	assert not state.is_closed and bench.ask().status == 200
	say(run, "go")
	assert execute(Bench.open(bench.path), run) is State.SUCCEEDED, load_state(run).reason
	assert_in_order(bench, run)


def assert_watched_to_the_end(bench: PracticeBench, run: RunDirectory) -> RunState:
	state = assert_in_order(bench, run)
	assert state.verdicts[-1]["stage"] == "after monitoring" and state.verdict == "GO"
	assert state.step("monitor").ended_seq > state.step("rollback-open").ended_seq
	assert any("Not rolled back" in note["text"] for note in state.notes)
	assert "of a user" in names(bench)
	return state
