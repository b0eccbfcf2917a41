"""The state: the same journal tells every reader the same run."""

import pytest

from press_deploy.engine.ground.errors import JournalDamaged
from press_deploy.engine.journal.journal import Journal, Record
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import (
	EXIT_CODES,
	UNFINISHED,
	RunState,
	State,
	load_state,
	unfinished_runs,
)

from .support import make_bench, make_spec

CREATED = ("run-created", {"plan_sha256": "0" * 64, "dry_run": False, "run": "r"})


def step(name, phase="deploy", **data):
	return {"step": name, "phase": phase, "title": name.capitalize(), **data}


def announced(name, before=None, **more):
	return ("step-announced", step(name, before=before or {}, **more))


def observed(name, result=None, **more):
	return ("step-observed", step(name, result=result or {}, found="done", **more))


def failed(name, **more):
	return ("step-failed", step(name, error={"why": "no"}, **more))


def ended(state):
	return ("run-ended", {"state": state.value, "reason": "so"})


WAITS = ("waiting", {"step": "verdict", "reason": "?", "deadline": 0, "accepts_go": True})


def taken(name, action="go", **more):
	return ("request-taken", {"name": name, "action": action, "by": "ada", "reason": "so", **more})


@pytest.fixture
def run(tmp_path):
	return RunDirectory.create(make_bench(tmp_path / "bench"), make_spec())


@pytest.fixture
def tell(run):
	"""The state after these events."""

	def write(*events) -> RunState:
		journal = Journal(run.journal)
		for event, data in events:
			journal.append(event, data)
		journal.close()
		return load_state(run)

	return write


@pytest.mark.parametrize(
	"events,state,unfinished",
	[
		([], State.PENDING, True),
		([CREATED], State.RUNNING, True),
		([CREATED, announced("a"), failed("a")], State.RUNNING, True),
		([CREATED, WAITS], State.WAITING, True),
		([CREATED, WAITS, ("went-on", {"step": "verdict", "by": "ada"})], State.RUNNING, True),
		([CREATED, ("rollback-started", {"cause": "x"})], State.ROLLING_BACK, True),
		([CREATED, WAITS, ("rollback-started", {"cause": "x"})], State.ROLLING_BACK, True),
		([CREATED, ended(State.SUCCEEDED)], State.SUCCEEDED, False),
		([CREATED, ended(State.FATAL)], State.FATAL, False),
		([CREATED, ended(State.SUCCEEDED), ("rollback-started", {"cause": "x"})], State.ROLLING_BACK, True),
		([CREATED, ("an-event-of-the-future", {})], State.RUNNING, True),
	],
)
def test_the_state_follows_the_events(tell, events, state, unfinished):
	found = tell(*events)
	assert (found.state, found.is_unfinished) == (state, unfinished)


def test_only_go_exits_with_0():
	assert {state for state in State if EXIT_CODES.get(state, 1) == 0} == {State.SUCCEEDED, State.CHECKED}
	assert not {State.SUCCEEDED, State.ROLLED_BACK, State.FATAL, State.ABORTED, State.REFUSED} & UNFINISHED


def test_a_second_announcement_keeps_what_was_there_before(tell):
	state = tell(CREATED, announced("a", {"was": 1}), announced("a", {"was": 2}))
	assert state.before("a") == {"was": 1}


def test_after_it_was_done_an_announcement_is_a_new_one(tell):
	state = tell(CREATED, announced("a", {"was": 1}), observed("a"), announced("a", {"was": 2}))
	assert state.before("a") == {"was": 2} and not state.is_done("a")


@pytest.mark.parametrize(
	"events,was_announced,is_done",
	[
		([], False, False),
		([announced("a")], True, False),
		([announced("a"), failed("a")], True, False),
		([announced("a"), observed("a")], True, True),
		([("step-skipped", step("a", reason="no need"))], False, False),
	],
)
def test_what_may_have_been_done_is_told_from_what_was(tell, events, was_announced, is_done):
	state = tell(CREATED, *events)
	assert (state.was_announced("a"), state.is_done("a")) == (was_announced, is_done)
	assert bool(state.moment_of("a")) is is_done


def test_a_decision_counts_only_since_the_run_waits(tell):
	assert tell(CREATED, taken("1"), WAITS).decision() is None
	assert tell(taken("2", "no-go")).decision()["action"] == "no-go"
	state = tell(WAITS)
	assert state.decision() is None and state.taken_requests == {"1", "2"}


def test_a_second_rollback_does_not_hide_the_first(tell):
	first = [announced("undo", phase="rollback"), failed("undo", phase="rollback")]
	state = tell(CREATED, ("rollback-started", {"cause": "1"}), *first, ("rollback-started", {"cause": "2"}))
	assert "undo" not in state.steps and [each.name for each in state.earlier_rollbacks] == ["undo"]
	assert state.rollback["cause"] == "2"


@pytest.mark.parametrize(
	"events,closed",
	[
		([], False),
		([announced("maintenance")], True),
		([announced("maintenance"), failed("maintenance")], True),
		([announced("maintenance"), announced("open")], True),
		([announced("maintenance"), announced("open"), observed("open")], False),
		([announced("maintenance"), announced("open"), failed("open")], True),
		(
			[
				announced("maintenance"),
				announced("open"),
				observed("open"),
				announced("rollback-maintenance"),
			],
			True,
		),
	],
)
def test_sites_are_closed_until_they_were_seen_open(tell, events, closed):
	assert tell(CREATED, *events).is_closed is closed


def test_a_clock_that_is_set_back_opens_no_site(run):
	state = RunState(run.name)
	events = [
		announced("maintenance"),
		announced("open"),
		observed("open"),
		announced("rollback-maintenance"),
	]
	for seq, (event, data) in enumerate(events, 1):
		state.follow(Record(seq, f"2030-01-01T{12 - seq:02}:00:00+00:00", event, data, ""))
	assert state.is_closed


def test_a_go_answers_the_question_that_was_open_whatever_the_clock_says(tell):
	question = tell(CREATED, WAITS).waiting["seq"]
	assert tell(taken("1", answers=question - 1)).decision() is None
	assert tell(taken("2", answers=None)).decision() is None
	assert tell(taken("3", answers=question)).decision()["name"] == "3"


def test_reading_and_following_are_the_same(run, tell):
	journal, followed = Journal(run.journal), RunState(run.name)
	journal.on_append = followed.follow
	for event, data in (CREATED, announced("a"), observed("a"), WAITS, taken("1"), ended(State.FATAL)):
		journal.append(event, data)
	journal.close()
	assert load_state(run) == followed


def test_a_damaged_journal_has_no_state(run, tell):
	tell(CREATED, announced("a"))
	run.journal.write_bytes(run.journal.read_bytes().replace(b"announced", b"observed!"))
	with pytest.raises(JournalDamaged):
		load_state(run)


def test_runs_that_only_were_planned_are_not_unfinished(run, tell):
	bench = run.path.parent.parent
	assert unfinished_runs(bench) == []
	tell(CREATED)
	assert [state.run for state in unfinished_runs(bench)] == [run.name]
	tell(ended(State.SUCCEEDED))
	assert unfinished_runs(bench) == []
