"""The way back, from the list of steps: who undoes what, and that nobody is forgotten."""

from __future__ import annotations

import pytest

from press_deploy.engine import steps
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.rollback import Undo

BACK = {step.name: step for step in steps.ROLLBACK}
UNDOING = [step for step in steps.ROLLBACK if isinstance(step, Undo)]


@pytest.mark.parametrize("step", steps.FORWARD, ids=lambda step: step.name)
def test_each_step_says_by_itself_who_undoes_it(step: Step) -> None:
	assert "undone_by" in vars(type(step)), "say who undoes it, or that there is nothing to undo"
	assert set(step.undone_by) <= set(BACK)


@pytest.mark.parametrize("step", steps.FORWARD, ids=lambda step: step.name)
def test_an_undo_is_reached_and_none_is_missing(step: Step) -> None:
	"""`undo` is called by an `Undo` in the way back, and by nothing else."""
	named = f"undo-{step.name}"
	has_undo = type(step).undo is not Step.undo
	assert (named in step.undone_by) == has_undo == (named in BACK)


@pytest.mark.parametrize("undo", UNDOING, ids=lambda step: step.name)
def test_whatever_is_undone_is_observed(undo: Undo) -> None:
	assert undo.step.undone_by == (undo.name,)
	assert undo.step.undo_is_observable is (type(undo.step).observe_undone is not Step.observe_undone)


def test_every_step_of_the_way_back_is_named_by_a_step_of_the_way_there() -> None:
	"""But for those that look, list, or tell."""
	named = {name for step in steps.FORWARD for name in step.undone_by}
	assert set(BACK) - named == {
		*("lost-documents", "health-check", "rollback-clear-error-log", "export-losses"),
	}
