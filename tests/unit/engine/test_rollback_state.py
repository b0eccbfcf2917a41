"""Whether users may have worked since the backup, and whether anything was put back: told from the journal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.requests import find_stop
from press_deploy.engine.journal.state import RunState, State, StepState
from press_deploy.engine.steps.rollback import RollbackPauseJobs


def step(name: str, status: str = "done", **before: object) -> StepState:
	return StepState(name, "rollback", name, status, "2030-01-01T00:00:00+00:00", before=dict(before))


def record(seq: int, event: str, **data: object) -> Record:
	return Record(seq, "2030-01-01T00:00:00+00:00", event, data, "")


def run_with(*steps: StepState, earlier: tuple[StepState, ...] = ()) -> RunState:
	return RunState("run", steps={each.name: each for each in steps}, earlier_rollbacks=list(earlier))


CLOSED = (step("maintenance"), step("final-backup"), step("migrate", "failed"))


def test_behind_closed_doors_nobody_worked():
	assert not run_with(*CLOSED).was_opened


@pytest.mark.parametrize(
	"state",
	[run_with(*CLOSED, step("open")), run_with(step("maintenance"))],
	ids=["opened by the run", "a backup of before the closing"],
)
def test_whoever_may_have_worked_is_asked(state):
	assert state.was_opened


@pytest.mark.parametrize("later", ["rollback-started", None])
@pytest.mark.parametrize(("ended", "left"), [(State.FATAL, True), (State.SUCCEEDED, False)])
def test_from_a_fatal_end_on_the_run_was_left_to_people(ended, left, later):
	state = run_with(*CLOSED)
	state.follow(record(1, "run-ended", state=ended.value, reason="it stopped"))
	if later:
		state.follow(record(2, later, cause="admin: mended", by="admin"))
	assert state.was_left is left


@pytest.mark.parametrize(
	("earlier", "untouched"),
	[
		((), True),
		((step("rollback-maintenance"), step("undo-switch-code", "skipped")), True),
		((step("undo-switch-code"),), False),
		((step("rollback-database", "failed"),), False),
	],
)
def test_what_was_half_put_back_is_no_release_to_keep(earlier, untouched):
	assert run_with(*CLOSED, step("open"), earlier=earlier).may_stay_as_it_is is untouched


def test_only_the_list_itself_approves():
	state = run_with(*CLOSED)
	state.requests = [
		{"by": "admin", "approves": "c" * 64, "seq": 3},
		{"by": "admin", "approves": "a" * 64, "seq": 9},
	]
	state.rollback = {"by": "boss", "approves": "b" * 64, "seq": 5}
	assert state.approval_of("a" * 64) == "admin" and state.approval_of("b" * 64) == "boss"
	assert state.approval_of("c" * 64) is None, "what was approved for an earlier rollback"
	assert state.approval_of("d" * 64) is None


@pytest.mark.parametrize(("closed", "skipped"), [((), True), ((step("maintenance"),), False)])
def test_where_nothing_was_closed_no_scheduler_is_paused(closed, skipped):
	state = run_with(*closed)
	state.rollback = {"database": True}
	assert bool(RollbackPauseJobs(None, None).skip_reason(SimpleNamespace(state=state))) is skipped


ASKED = {"by": "ada", "reason": "so"}
GIVEN_UP = [
	("rollback-started", {"cause": "ada: so", "by": "ada"}),
	("rollback-abandoned", {"reason": "nobody approved"}),
]


def asks(action: str) -> tuple[str, dict]:
	return "request-taken", {**ASKED, "action": action, "name": action}


def told(*events: tuple[str, dict], state: RunState | None = None) -> RunState:
	state = state or run_with(*CLOSED, step("open"))
	for seq, (event, data) in enumerate(events, state.last_seq + 1):
		state.follow(record(seq, event, **data))
	return state


WENT_ON = ("went-on", {"step": "verdict", "by": "ada"})


@pytest.mark.parametrize(
	("events", "stops"),
	[
		([asks("go")], None),
		([asks("approve")], None),
		([asks("no-go")], "no-go"),
		([asks("abort"), asks("rollback")], "abort"),
		([asks("no-go"), asks("go"), WENT_ON], None),
		([asks("abort"), asks("go"), WENT_ON], "abort"),
		([WENT_ON, asks("no-go")], "no-go"),
		([asks("rollback"), *GIVEN_UP], None),
		([asks("rollback"), *GIVEN_UP, asks("rollback")], "rollback"),
	],
)
def test_what_is_answered_stops_nothing(events, stops):
	request = find_stop(told(*events))
	assert (request and request["action"]) == stops


def test_a_step_that_was_left_for_a_rollback_is_under_way_again():
	announced = {"step": "monitor", "phase": "monitor", "title": "Monitor", "before": {"was": 1}}
	failed = {
		"step": "smoke-tests",
		"phase": "validate",
		"title": "Smoke tests",
		"error": {"kind": "StepFailed"},
	}
	state = told(("step-failed", failed), ("step-announced", announced), *GIVEN_UP)
	assert state.step("monitor").status == "failed"
	told(("went-forward", {"reason": "nobody approved"}), state=state)
	monitor = state.step("monitor")
	assert (state.state, monitor.status, monitor.error) == (State.RUNNING, "announced", None)
	assert monitor.before == {"was": 1} and state.phase == "monitor"
	assert state.step("smoke-tests").status == "failed", "what really failed stays so"
