"""SIGKILL at every point of every step, then resume: the run converges, and nothing shows that it died.

The points are made from the step lists, so that a new step is covered without anybody remembering it.
"""

from __future__ import annotations

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine import steps
from press_deploy.engine.journal.journal import read_journal
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import (
	assert_in_order,
	create_run,
	kill_runner_at,
	publish,
	quick_plan,
	resume,
	take_picture,
)
from tests.faults.conftest import NeedsOf
from tests.faults.needs import (
	FORWARD_RELEASES,
	kill_points,
	plan_to_go_back_from,
)


@pytest.mark.parametrize("points", kill_points(steps.FORWARD))
def test_run_goes_on_after_a_kill(
	bench: PracticeBench, needs_of: NeedsOf, points: list[tuple[str, str]]
) -> None:
	step = points[0][0]
	release = FORWARD_RELEASES.get(step, "good")
	run = create_run(bench, quick_plan(bench, release, **needs_of(step)))
	before = take_picture(bench)

	for step, point in points:
		kill_runner_at(bench, run, point, step)
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason

	state = assert_in_order(bench, run)
	assert state.resumes == len(points)
	after = take_picture(bench)
	assert after.head.startswith(state.result("fetch-code")["targets"]["shop"]["commit"])
	assert after.version != before.version and not after.changes
	assert (after.assets != before.assets) == (after.packages != before.packages) == (release == "equipped")
	assert after.doctypes == before.doctypes
	assert_every_step_recorded_once(run)
	assert_told_once(bench, run)


@pytest.mark.parametrize("points", kill_points(steps.ROLLBACK))
def test_rollback_goes_on_after_a_kill(bench: PracticeBench, points: list[tuple[str, str]]) -> None:
	run = create_run(bench, plan_to_go_back_from(bench, points[0][0]))
	before = take_picture(bench)

	for step, point in points:
		kill_runner_at(bench, run, point, step)
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	assert_in_order(bench, run)
	assert take_picture(bench) == before
	assert_every_step_recorded_once(run)
	assert_told_once(bench, run)


@pytest.mark.parametrize(
	("release", "event", "step"),
	[
		("http-errors", "run-created", ""),
		("http-errors", "verdict", ""),
		("http-errors", "rollback-started", ""),
		("http-errors", "run-ended", ""),
		("broken-patch", "step-failed", "migrate"),
	],
)
def test_run_goes_on_after_a_kill_between_steps(
	bench: PracticeBench, release: str, event: str, step: str
) -> None:
	commit = publish(bench, "broken-patch", {"shop/patches.txt": "no_such_patch\n"})
	apps = [{"name": "shop", "ref": "broken-patch", "expected_commit": commit}]
	plan = quick_plan(bench, "good", apps=apps) if release == "broken-patch" else quick_plan(bench, release)
	run = create_run(bench, plan)
	before = take_picture(bench)

	kill_runner_at(bench, run, event, step)
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert take_picture(bench) == before
	assert not [note for note in state.notes if "test site" in note["text"]], "it was never reached"


def assert_every_step_recorded_once(run) -> None:
	recorded = [
		record.data["step"] for record in read_journal(run.journal) if record.event == "step-observed"
	]
	assert len(recorded) == len(set(recorded))


def assert_told_once(bench: PracticeBench, run) -> None:
	"""A message can't be taken back: no announcement was sent twice."""
	lines = (bench.path / "logs" / "notifications.log").read_text().splitlines()
	mine = [line for line in lines if run.name in line]
	assert len(mine) == len({line.partition("Deployment")[2] for line in mine})
