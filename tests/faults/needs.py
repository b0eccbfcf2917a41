"""Which steps only some plans need, and what makes a plan need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.engine.steps.base import Step
from tests.faults.bench_state import backup_settings, quick_plan

# Steps that have no effect at all: the moment after they looked is the moment before.
ONLY_LOOKING = set(
	"preflight baseline present-imports restorable proof release-imports former-errors inventory removals stabilise "
	"smoke-tests log-check verdict public-smoke-tests monitor final-verdict health-check".split()
)
# Steps that a resumed runner takes for done where they were but announced: what was told may have been told, the
# sites are closed already, there are no files to put back. It makes no effect over which it could be killed.
DONE_WHEN_ANNOUNCED = set(
	"announce announce-success announce-rollback rollback-maintenance rollback-files".split()
)
# Steps that only some releases need.
FORWARD_NEEDS = {
	"standby": {"migrate": "always"},
	"restorable": {"migrate": "always"},
	"foreign-statements": {"migrate": "always"},
	"final-backup": {"migrate": "always"},
	"final-files": {"migrate": "always"},
	"inventory": {"migrate": "always"},
	"migrate": {"migrate": "always"},
	"removals": {"migrate": "always"},
	"build": {"build": "always"},
	"keep-environment": {"requirements": "always"},
	"requirements": {"requirements": "always"},
}
# Releases that show what these steps do by what they change.
FORWARD_RELEASES = {
	**{"migrate": "migrating", "removals": "migrating"},
	**dict.fromkeys(("keep-environment", "requirements", "build"), "equipped"),
}
# Steps of a rollback that only some releases need, and what makes a plan need them.
ROLLBACK_NEEDS = {
	"rollback-pause-jobs": {"migrate": "always"},
	"lost-documents": {"migrate": "always"},
	"rollback-database": {"migrate": "always"},
	"rollback-files": {"migrate": "always"},
	"export-losses": {"migrate": "always"},
}
ROLLBACK_RELEASES = {"undo-build": "equipped-bad", "undo-requirements": "equipped-bad"}


def kill_points(listed: Sequence[Step]) -> list[Any]:
	"""(step, points) at which the runners of one run are killed; equal ones only in `make test-full`.

	The points are right after the announcement, after the effect and before its record, and right after the record.
	That last one is right before the next step's announcement, which is a point of its own; and a step that only
	looks has nothing between its announcement and its record.

	One run has both of the first two: the runner that goes on after the first kill finds on the disk what its
	predecessor had in its memory, makes the effect, and is killed over it. Each by itself is in `make test-full`.
	"""
	points = []
	for step in listed:
		is_last, only_looks = step is listed[-1], step.name in ONLY_LOOKING
		both = ("step-announced", "effect")
		tried = [(point,) for point in both] if step.name in DONE_WHEN_ANNOUNCED else [both]
		tried = [both[:1]] if only_looks else tried
		tried += [("step-observed",)] if is_last else []
		for each in [both, *((point,) for point in (*both, "step-observed"))]:
			marks = [] if each in tried else [pytest.mark.full]
			points.append(pytest.param(step.name, each, marks=marks, id=f"{step.name}-{'-'.join(each)}"))
	return points


def each_change(listed: Sequence[Step]) -> list[Any]:
	"""The steps; those that only look leave as much to go back from as the one before: only in `make test-full`."""
	full = [pytest.mark.full]
	return [
		pytest.param(step, marks=full if step.name in ONLY_LOOKING else [], id=step.name) for step in listed
	]


def plan_to_go_back_from(bench: PracticeBench, step: str) -> PlanSpec:
	"""The plan of a bad release whose rollback needs this step."""
	needs: dict[str, Any] = ROLLBACK_NEEDS.get(step, {})
	if step == "lost-documents":
		# It is asked for only where the plan does not let the database go back by itself.
		needs = {**needs, "backup": {**backup_settings(bench), "automatic_rollback": False}}
	release = "migrating-bad" if "migrate" in needs else ROLLBACK_RELEASES.get(step, "http-errors")
	return quick_plan(bench, release, **needs)
