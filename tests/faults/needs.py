"""Which steps only some plans need, and what makes a plan need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.journal.state import Phase
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

# Steps whose plan is like that of no other step: see `needs_of`, and `plan_to_go_back_from`.
OWN_PLAN = ("bootable", "cloud-snapshot", "lost-documents")
# How many steps one run is killed, or refused, at in `make test`.
CHAIN_LENGTH = 4


def kill_points(listed: Sequence[Step]) -> list[Any]:
	"""[(step, point)…] at which the runners of one run are killed; equal ones only in `make test-full`.

	The points are right after the announcement, after the effect and before its record, and right after the record.
	That last one is right before the next step's announcement, which is a point of its own; and a step that only
	looks has nothing between its announcement and its record.

	One run has the points of several steps that lie far apart, and of each step both of the first two: the runner
	that goes on after a kill finds on the disk what its predecessor had in its memory, whoever that was. Each
	point by itself is in `make test-full`.
	"""
	both = ("step-announced", "effect")
	chains = []
	for steps in spread(listed):
		points = []
		for step in steps:
			only_looks = step.name in ONLY_LOOKING
			tried = both[:1] if only_looks or step.name in DONE_WHEN_ANNOUNCED else both
			points += [(step.name, point) for point in tried]
			points += [(step.name, "step-observed")] if step is listed[-1] else []
		chains.append(pytest.param(points, id="-".join(step.name for step in steps)))
	alone = [[(step.name, "effect")] for step in listed if step.name in DONE_WHEN_ANNOUNCED]
	single = [[(step.name, point)] for step in listed for point in (*both, "step-observed")]
	for points in (*single, *([(step.name, point) for point in both] for step in listed)):
		marks = [] if points in alone else [pytest.mark.full]
		name = "-".join([points[0][0], *(point for _step, point in points)])
		chains.append(pytest.param(points, marks=marks, id=name))
	return chains


def spread(listed: Sequence[Step]) -> list[list[Step]]:
	"""The steps in chains of at most `CHAIN_LENGTH` that need the same plan; neighbours are in different ones."""
	groups: dict[str, list[Step]] = {}
	for step in listed:
		groups.setdefault(repr(_plan_of(step)), []).append(step)
	chains = []
	for steps in groups.values():
		count = -(-len(steps) // CHAIN_LENGTH)
		chains += [steps[number::count] for number in range(count)]
	return chains


def _plan_of(step: Step) -> object:
	"""What tells the plans of two steps apart: what they need, and the release that shows what they do."""
	needs = step.name if step.name in OWN_PLAN else (FORWARD_NEEDS | ROLLBACK_NEEDS).get(step.name)
	return needs, (FORWARD_RELEASES | ROLLBACK_RELEASES).get(step.name)


def each_change(listed: Sequence[Step]) -> list[Any]:
	"""The steps; those that only look leave as much to go back from as the one before: only in `make test-full`."""
	return _params(listed, [step for step in listed if step.name not in ONLY_LOOKING])


def ends_of_phases(listed: Sequence[Step]) -> list[Any]:
	"""The steps, all but the first and last change of each phase only in `make test-full`."""
	phases: dict[Phase, list[Step]] = {}
	for step in listed:
		if step.name not in ONLY_LOOKING:
			phases.setdefault(step.phase, []).append(step)
	return _params(listed, [step for phase in phases.values() for step in (phase[0], phase[-1])])


def _params(listed: Sequence[Step], tried: list[Step]) -> list[Any]:
	return [
		pytest.param(step, marks=[] if step in tried else [pytest.mark.full], id=step.name) for step in listed
	]


def plan_to_go_back_from(bench: PracticeBench, step: str) -> PlanSpec:
	"""The plan of a bad release whose rollback needs this step."""
	needs: dict[str, Any] = ROLLBACK_NEEDS.get(step, {})
	if step == "lost-documents":
		# It is asked for only where the plan does not let the database go back by itself.
		needs = {**needs, "backup": {**backup_settings(bench), "automatic_rollback": False}}
	release = "migrating-bad" if "migrate" in needs else ROLLBACK_RELEASES.get(step, "http-errors")
	return quick_plan(bench, release, **needs)
