"""The Error Log after a run: without the rows that its own maintenance left, and with every other."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.ground.errors import SiteProcessFailed
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import SITE, assert_in_order, create_run, kill_runner_at, quick_plan, resume
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import query

TITLE = "Session Stopped"
TURNED_AWAY = (
	'Traceback (most recent call last):\n  File "apps/frappe/frappe/app.py", line 185, in init_request\n'
	"frappe.exceptions.SessionStopped: Session Stopped\n"
)


def add(bench: PracticeBench, title: str, error: str, before: timedelta = timedelta()) -> None:
	created = (datetime.now() - before).isoformat(" ")
	values = (uuid.uuid4().hex, created, title, error)
	query(
		bench, SITE, "INSERT INTO `tabError Log` (name, creation, method, error) VALUES (?, ?, ?, ?)", *values
	)


def turn_visitors_away(bench: PracticeBench) -> None:
	"""What Frappe would write while the site is closed, and something else that happens at that time."""
	for _visitor in range(3):
		add(bench, TITLE, TURNED_AWAY)
	add(bench, "shop.jobs.bill", "Traceback (most recent call last):\nKeyError: 1\n")


def titles(bench: PracticeBench) -> list[str]:
	return [row[0] for row in query(bench, SITE, "SELECT method FROM `tabError Log` ORDER BY creation")]


@pytest.fixture
def earlier(bench: PracticeBench) -> list[str]:
	"""Somebody else's maintenance, an hour ago."""
	add(bench, TITLE, TURNED_AWAY, timedelta(hours=1))
	return [TITLE]


@pytest.mark.parametrize(
	("release", "reached", "step"),
	[
		("good", State.SUCCEEDED, "clear-error-log"),
		("http-errors", State.ROLLED_BACK, "rollback-clear-error-log"),
	],
)
def test_rows_of_our_own_maintenance_are_removed_and_counted_and_nothing_else_is(
	bench: PracticeBench, earlier: list[str], release: str, reached: State, step: str
) -> None:
	run = create_run(bench, quick_plan(bench, release))
	saboteur = Saboteur("step-observed", "maintenance", lambda: turn_visitors_away(bench))
	assert run_sabotaged(bench, run, saboteur) is reached, load_state(run).reason

	state = assert_in_order(bench, run)
	assert titles(bench) == [*earlier, "shop.jobs.bill"]
	assert state.result(step)["removed"] == {SITE: 3}
	assert state.step(step).found.startswith("3 row(s)")


@pytest.mark.parametrize("point", ["step-announced", "effect"])
def test_they_are_removed_although_the_runner_is_killed_over_it(
	bench: PracticeBench, earlier: list[str], point: str
) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "step-observed", "maintenance")
	turn_visitors_away(bench)
	kill_runner_at(bench, run, point, "clear-error-log")
	assert titles(bench).count(TITLE) == (4 if point == "step-announced" else 1)

	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	assert titles(bench) == [*earlier, "shop.jobs.bill"]


def test_what_can_not_be_removed_is_noted_and_changes_no_verdict(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	call = SiteProcesses.call

	def refuse(self: SiteProcesses, task: str, site: str, **arguments: Any) -> Any:
		if task == "clear_maintenance_errors":
			raise SiteProcessFailed("Doing", site, "the table is marked as crashed", "mend it")
		return call(self, task, site, **arguments)

	monkeypatch.setattr(SiteProcesses, "call", refuse)
	run = create_run(bench, quick_plan(bench, "good"))
	saboteur = Saboteur("step-observed", "maintenance", lambda: turn_visitors_away(bench))
	assert run_sabotaged(bench, run, saboteur) is State.SUCCEEDED, load_state(run).reason

	state = assert_in_order(bench, run)
	assert titles(bench).count(TITLE) == 3
	assert any("marked as crashed" in note["text"] for note in state.notes)
	assert "not those of" in state.step("clear-error-log").found


HALF_SWITCHED = "2026-01-01 00:00:00 ERROR module 'lib' has no attribute 'x'\n"


def log(bench: PracticeBench) -> None:
	with (bench.path / "logs" / "web.log").open("a") as file:
		file.write(HALF_SWITCHED)


def test_what_the_former_release_logs_before_its_restart_is_not_held_against_the_new_one(
	bench: PracticeBench,
) -> None:
	"""Until it was restarted a process meets the new packages and files with the old code."""
	run = create_run(bench, quick_plan(bench, "good"))
	# Its last words come while it is being stopped.
	listeners = [Saboteur("step-observed", "switch-code", lambda: log(bench))]
	listeners.append(Saboteur("step-announced", "restart", lambda: log(bench)))

	assert execute(Bench.open(bench.path), run, listeners) is State.SUCCEEDED, load_state(run).reason

	assert [each.fired for each in listeners] == [1, 1]
	(finding,) = (
		each for each in load_state(run).result("log-check")["findings"] if "lib" in each["example"]
	)
	assert (finding["class"], finding["count"], finding["weight"]) == ("former", 2, "nothing")


def test_what_a_migration_logs_is_the_new_release_s(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good", migrate="always"))
	listeners = [Saboteur("step-announced", "migrate", lambda: log(bench))]
	assert execute(Bench.open(bench.path), run, listeners) is State.ROLLED_BACK, load_state(run).reason
	assert [each.fired for each in listeners] == [1] and "has no attribute" in load_state(run).reason


@pytest.mark.parametrize(
	"steps", [["restart"], ["restart", "smoke-tests"], ["switch-code", "smoke-tests"]], ids="+".join
)
def test_what_is_logged_since_the_restart_is_the_new_release_s(
	bench: PracticeBench, steps: list[str]
) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	listeners = [Saboteur("step-announced", step, lambda: log(bench)) for step in steps]
	assert execute(Bench.open(bench.path), run, listeners) is State.ROLLED_BACK, load_state(run).reason
	assert [each.fired for each in listeners] == [1] * len(steps)
	assert "has no attribute" in load_state(run).reason
