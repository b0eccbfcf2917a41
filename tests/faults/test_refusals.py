"""The port refuses at any step, on the way there and on the way back: nothing that was open ends up closed.

The points are made from the step lists, so that a new step is covered without anybody remembering it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine import steps
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import roll_back
from press_deploy.engine.ground.errors import ServiceError
from press_deploy.engine.journal.lifecycle import FIRST_CHANGE
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import Phase, RunState, State, load_state
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.engine.steps.base import Step
from tests.faults.bench_state import (
	SITE,
	assert_in_order,
	create_run,
	kill_runner_at,
	quick_plan,
	resume,
	take_picture,
)
from tests.faults.conftest import NeedsOf
from tests.faults.needs import each_change, plan_to_go_back_from, spread
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import git
from tests.support.steps import apply_instead

NEW_SITE = "new.localhost"


def refusal_points() -> list[Any]:
	"""Steps of the way back that are refused one after the other; each by itself only in `make test-full`."""
	chains = [(chain, []) for chain in spread(steps.ROLLBACK)]
	alone = [([step], [pytest.mark.full]) for step in steps.ROLLBACK if [step] not in (c for c, _ in chains)]
	return [
		pytest.param(chain, marks=marks, id="-".join(step.name for step in chain))
		for chain, marks in (*chains, *alone)
	]


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, step: Step) -> Iterator[list[str]]:
	"""For as long as this lasts, whatever the step asks for is refused; yields what was refused."""
	refused: list[str] = []

	def refuse(*_arguments: Any) -> None:
		refused.append(step.name)
		raise ServiceError("Asking", "the helper", f"it refuses {step.name}", "ask again")

	with monkeypatch.context() as patch:
		apply_instead(step.name, refuse, patch.setattr)
		yield refused


@pytest.mark.parametrize("step", each_change(steps.FORWARD))
def test_what_is_refused_on_the_way_there_is_taken_back(
	bench: PracticeBench, needs_of: NeedsOf, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
	run = create_run(bench, quick_plan(bench, "good", **needs_of(step.name)))
	before = take_picture(bench)
	with refusing(monkeypatch, step) as refused:
		reached = resume(bench, run)

	assert refused == [step.name]
	state = assert_in_order(bench, run)
	assert f"it refuses {step.name}" in state.reason
	if step.phase is Phase.CLOSE:
		assert reached is State.SUCCEEDED
		return
	assert take_picture(bench) == before
	if step.phase in (Phase.PREFLIGHT, Phase.PREPARE) or step.name == FIRST_CHANGE:
		assert reached is State.ABORTED and "Nothing was changed" in state.reason
	else:
		assert reached is State.ROLLED_BACK


@pytest.mark.parametrize("refusing_steps", refusal_points())
def test_what_is_refused_on_the_way_back_is_fatal_until_it_is_granted(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch, refusing_steps: list[Step]
) -> None:
	"""One is refused, then, when that one is granted, the next."""
	run = create_run(bench, plan_to_go_back_from(bench, refusing_steps[0].name))
	before = take_picture(bench)
	for times, step in enumerate(refusing_steps, 1):
		with refusing(monkeypatch, step) as refused:
			if times == 1:
				reached = resume(bench, run)
			else:
				reached = roll_back(Bench.open(bench.path), run, "admin", "the one before is granted now")

		assert refused == [step.name]
		assert reached is State.FATAL and f"it refuses {step.name}" in load_state(run).reason
		assert bench.helper.status()["leases"] == [], "nothing resumes a run that is over"
		assert_told_of(bench, run, load_state(run), times)

	assert roll_back(Bench.open(bench.path), run, "admin", "it is granted now") is State.ROLLED_BACK
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_a_rollback_that_is_refused_the_closing_leaves_open_what_is_open(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	assert resume(bench, run) is State.SUCCEEDED
	closing = next(step for step in steps.ROLLBACK if step.name == "rollback-maintenance")
	with refusing(monkeypatch, closing) as refused:
		assert roll_back(Bench.open(bench.path), run, "admin", "it is slow") is State.FATAL
	assert refused and bench.ask().status == 200 and "The sites are open" in load_state(run).reason


def test_what_was_refused_on_the_way_back_is_tried_again_by_a_resumed_runner(bench: PracticeBench) -> None:
	"""Killed between the refusal and the end of the run: what stands in the journal is no answer for ever."""
	run = create_run(bench, quick_plan(bench, "http-errors"))
	before = take_picture(bench)
	kill_runner_at(bench, run, "refused", "undo-switch-code")
	assert load_state(run).step("undo-switch-code").status == "failed"

	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_a_closing_that_was_only_announced_leaves_nothing_to_go_back_from(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before = take_picture(bench)
	kill_runner_at(bench, run, "refused", "maintenance")

	assert resume(bench, run) is State.ABORTED, load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_a_step_that_came_with_a_later_version_is_not_caught_up_with(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""A run that an earlier version began, without steps that this one has before where the run is."""
	later = ("present-imports", "release-imports", "removals", "clear-error-log")
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	every = steps.forward
	with monkeypatch.context() as earlier:
		earlier.setattr(
			steps, "forward", lambda ports: [each for each in every(ports) if each.name not in later]
		)
		apply_instead("monitor", _interrupt, earlier.setattr)
		with pytest.raises(KeyboardInterrupt):
			resume(bench, run)
	assert load_state(run).is_done("open") and not load_state(run).step("removals")

	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	state = assert_in_order(bench, run)
	assert {state.step(name).status for name in later} == {"skipped"}


def test_a_configuration_that_can_t_be_read_ends_fatal_and_not_for_ever_rolling_back(
	bench: PracticeBench,
) -> None:
	config = bench.path / "sites" / SITE / "site_config.json"
	run = create_run(bench, quick_plan(bench, "http-errors"))
	before, original = take_picture(bench), ""

	def spoil() -> None:
		nonlocal original
		original = config.read_text()
		config.write_text("{")

	saboteur = Saboteur("step-observed", "health-check", spoil)
	assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason
	state = load_state(run)
	assert "can't be told" in state.reason and state.ended

	config.write_text(original)
	assert roll_back(Bench.open(bench.path), run, "admin", "it is mended") is State.ROLLED_BACK
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_a_window_that_is_over_is_not_used_by_a_run_that_died_before_it_closed(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before = take_picture(bench)
	kill_runner_at(bench, run, "step-announced", "maintenance")
	monkeypatch.setattr(PlanSpec, "is_open_at", lambda self, moment: False)

	assert resume(bench, run) is State.ABORTED
	assert "maintenance window is not open any more" in load_state(run).reason
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_a_site_that_the_helper_does_not_know_is_refused_before_anything_is_done(
	bench: PracticeBench,
) -> None:
	sites = bench.path / "sites"
	shutil.copytree(sites / SITE, sites / NEW_SITE, symlinks=True)
	try:
		run = create_run(bench, quick_plan(bench, "good", sites=[{"name": SITE}, {"name": NEW_SITE}]))
		before = git(bench, "rev-parse", "HEAD")
		assert resume(bench, run) is State.REFUSED
		state = load_state(run)
		check = next(each for each in state.checks if each["name"] == "Helper")
		assert check["outcome"] == "failed" and NEW_SITE in check["found"] and SITE not in check["found"]
		assert "helper install" in check["remedy"]
		assert not state.was_announced("announce") and git(bench, "rev-parse", "HEAD") == before
		assert bench.ask().status == 200
	finally:
		shutil.rmtree(sites / NEW_SITE)


def _interrupt(*_arguments: Any) -> None:
	raise KeyboardInterrupt


def assert_told_of(bench: PracticeBench, run: RunDirectory, state: RunState, times: int = 1) -> None:
	"""Whoever must act was told, at once, why and what now: this time, and each time before."""
	lines = (bench.path / "logs" / "notifications.log").read_text().splitlines()
	told = [line for line in lines if run.name in line and "needs a person at once" in line]
	assert len(told) == times
	assert all('"at_once": true' in line and f"status {run.name}" in line for line in told)
	assert state.told_seq == state.asked_seq > 0
