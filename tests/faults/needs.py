"""Which steps only some plans need, and what makes a plan need them."""

from __future__ import annotations

from typing import Any

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.plan import PlanSpec
from tests.faults.bench_state import backup_settings, quick_plan

# Steps that only some releases need.
FORWARD_NEEDS = {
	"standby": {"migrate": "always"},
	"foreign-statements": {"migrate": "always"},
	"final-backup": {"migrate": "always"},
	"migrate": {"migrate": "always"},
	"removals": {"migrate": "always"},
	"build": {"build": "always"},
	"requirements": {"requirements": "always"},
}
# Releases that show what these steps do by what they change.
FORWARD_RELEASES = {
	**{"migrate": "migrating", "removals": "migrating"},
	**{"requirements": "equipped", "build": "equipped"},
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


def plan_to_go_back_from(bench: PracticeBench, step: str) -> PlanSpec:
	"""The plan of a bad release whose rollback needs this step."""
	needs: dict[str, Any] = ROLLBACK_NEEDS.get(step, {})
	if step == "lost-documents":
		# It is asked for only where the plan does not let the database go back by itself.
		needs = {**needs, "backup": {**backup_settings(bench), "automatic_rollback": False}}
	release = "migrating-bad" if "migrate" in needs else ROLLBACK_RELEASES.get(step, "http-errors")
	return quick_plan(bench, release, **needs)
