"""What was there before the release: noted by steps of their own, and read where earlier versions noted it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.databases import inventory
from press_deploy.engine.journal.state import RunState, StepState
from press_deploy.engine.steps.deploy import FormerErrors
from press_deploy.engine.steps.removals import Inventory
from press_deploy.engine.watching.log_classes import Weight

from .step_run import StepRun, make_run
from .support import SITE


@pytest.fixture
def run(tmp_path: Path) -> StepRun:
	return make_run(tmp_path)


def state_of(**steps: dict) -> RunState:
	state = RunState("run")
	for name, fields in steps.items():
		known = StepState(
			name.replace("_", "-"), "deploy", name, "done", "2026-01-14T02:00:00+00:00", **fields
		)
		state.steps[known.name] = known
	return state


@dataclass
class Found:
	fingerprint: str
	weight: Weight

	@property
	def log_class(self) -> Found:
		return self


def test_only_what_would_be_held_against_the_release_is_noted():
	state = state_of(mark_logs={"result": {"marks": {"a.log": 7}}})
	found = [Found("b", Weight.AGAINST), Found("a", Weight.AGAINST), Found("c", Weight.NOTHING)]
	step = FormerErrors(SimpleNamespace(read=lambda marks, settled: found))
	assert step.apply(SimpleNamespace(state=state), {})["former_errors"] == ["a", "b"]


def test_a_run_that_marked_no_logs_has_none():
	step = FormerErrors(SimpleNamespace(read=lambda marks, settled: pytest.fail("from where on?")))
	assert step.apply(SimpleNamespace(state=state_of()), {})["former_errors"] == []


@pytest.mark.parametrize(
	("steps", "known"),
	[
		({"former_errors": {"result": {"former_errors": ["new"]}}}, ["new"]),
		({"former_errors": {"result": {"former_errors": []}}, "restart": {"before": {}}}, []),
		({"restart": {"before": {"former_errors": ["of an earlier version"]}}}, ["of an earlier version"]),
		({}, []),
	],
)
def test_they_are_read_where_the_runs_version_noted_them(steps, known):
	assert FormerErrors.read(state_of(**steps)) == known


def test_the_inventory_is_kept_in_the_file_that_earlier_versions_wrote(run, monkeypatch):
	assert Inventory.read(run, SITE) is None
	monkeypatch.setattr(inventory, "take_inventory", lambda bench, site: {"doctypes": {"Order": 3}})
	assert Inventory().apply(run, {})["doctypes"] == {SITE: 1}
	assert Inventory.read(run, SITE) == {"doctypes": {"Order": 3}}
	assert run.directory.load_private(f"before-migrate-{SITE}.json") == {"doctypes": {"Order": 3}}
