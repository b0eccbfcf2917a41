"""A run that an earlier version executed is rolled back by this one, which knows other steps.

The steps of the earlier version are made of those of this one: as one step did then what several do now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine import steps
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.report.writing import build_report, write_report
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run
from tests.faults.bench_state import (
	SITE,
	assert_in_order,
	create_run,
	names,
	quick_plan,
	resume,
	take_picture,
	write,
)
from tests.faults.going_back import go_back

# The step of the earlier version, and those whose work it did before its own, or after it.
BEFORE = {"migrate": ["former-errors", "inventory"], "restart": ["clear-caches"]}
AFTER = {"standby": ["restorable"], "final-backup": ["final-files"]}
UNKNOWN = {"bootable", *(name for parts in (*BEFORE.values(), *AFTER.values()) for name in parts)}


def list_earlier(forward: Callable[[Ports], list[Step]]) -> Callable[[Ports], list[Step]]:
	"""The steps of the earlier version, in their order."""

	def listing(ports: Ports) -> list[Step]:
		now = {step.name: step for step in forward(ports)}
		for name in (*BEFORE, *AFTER):
			join(
				now[name],
				[now[part] for part in BEFORE.get(name, ())],
				[now[part] for part in AFTER.get(name, ())],
			)
		now["restart"].prepare = lambda run: {"former_errors": run.state.before("migrate")["former_errors"]}
		return [step for name, step in now.items() if name not in UNKNOWN]

	return listing


def join(step: Step, before: list[Step], after: list[Step]) -> None:
	"""Let a step do the work of others: what comes before it was noted in its announcement."""
	apply = step.apply

	def prepare(run: Run) -> dict[str, Any]:
		noted: dict[str, Any] = {}
		for part in before:
			if not part.skip_reason(run):
				noted |= part.apply(run, {})
		return noted

	def apply_all(run: Run, found: dict[str, Any]) -> dict[str, Any]:
		result = apply(run, found)
		for part in after:
			if not part.skip_reason(run):
				part.apply(run, {})
		return result

	step.prepare, step.apply = prepare, apply_all  # type: ignore[method-assign]


@pytest.fixture
def earlier(bench: PracticeBench, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
	"""A run of the earlier version that migrated and is live."""
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	with monkeypatch.context() as patch:
		patch.setattr(steps, "forward", list_earlier(steps.forward))
		assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	assert not UNKNOWN & {*load_state(run).steps}
	return run


def test_it_is_rolled_back_with_its_database_and_its_files(
	bench: PracticeBench, request: pytest.FixtureRequest
) -> None:
	before, rows = take_picture(bench), names(bench)
	earlier = request.getfixturevalue("earlier")
	write(bench, "of a user")
	logo = bench.path / "sites" / SITE / "public" / "files" / "logo.svg"
	kept = logo.read_text()
	logo.write_text("drawn anew")

	shown = list_losses(Bench.open(bench.path), earlier)
	assert go_back(bench, earlier, approves=shown["sha256"]) is State.ROLLED_BACK, load_state(earlier).reason

	state = assert_in_order(bench, earlier)
	assert state.before("rollback-database")["sites"][SITE]["how"] == "swap"
	assert state.is_done("rollback-files") and logo.read_text() == kept
	assert take_picture(bench) == before and names(bench) == rows


def test_its_report_is_written(bench: PracticeBench, earlier: RunDirectory) -> None:
	opened = Bench.open(bench.path)
	write_report(opened, earlier)
	report = build_report(opened, earlier)
	assert {"standby", "final-backup", "migrate", "restart"} <= {step["name"] for step in report["steps"]}
	assert "Standby database" in earlier.report_html.read_text()
