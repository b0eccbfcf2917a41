"""Around migrate: what is there before it, what it removed, and whether the run may go on with that."""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases import inventory
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.decision import decide
from press_deploy.engine.steps.install import why_not_needed
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition, wants_rollback
from press_deploy.engine.verdict.removals import judge_removals, show_names


class Inventory(Step):
	"""Names and numbers of rows of what migrate may remove: for `Removals`, in a file of this run alone."""

	name, title, phase = "inventory", "List what migrate may remove", Phase.DEPLOY
	undone_by = NOTHING
	file = "before-migrate-{}.json"

	def skip_reason(self, run: Run) -> str | None:
		return why_not_needed(run, "migrate")

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		counts = {}
		for site in run.spec.site_names:
			found = inventory.take_inventory(run.bench, site)
			run.directory.save_private(self.file.format(site), found)
			counts[site] = len(found["doctypes"])
		return {
			"doctypes": counts,
			"found": "; ".join(f"{site}: {count} DocTypes" for site, count in counts.items()),
		}

	@classmethod
	def read(cls, run: Run, site: str) -> dict[str, Any] | None:
		"""What was on a site before it was migrated; None where that was not noted."""
		try:
			return run.directory.load_private(cls.file.format(site))
		except FileNotFoundError:
			return None


class Removals(Step):
	"""Compare what is on the sites with what was before migrate.

	What rolls the run back does so here, before the services are restarted: what a site answers without one of its
	DocTypes would be the wrong reason to go back for. What a person has to decide is asked by the verdict before
	opening, which judges these conditions again; until then no program is to run the old code on the new schema.
	"""

	name, title, phase = "removals", "What migrate removed", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.is_done(Migrate.name) else "nothing was migrated"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		conditions, removed = self._look(run)
		if wants_rollback(conditions, run.spec.triggers):
			decide(run, self.name, "after migrating", lambda: conditions)
		for site, gone in removed.items():
			if gone:
				named = "; ".join(f"{kind}: {show_names(names)}" for kind, names in gone.items())
				run.note(f"Migrate removed from {site}: {named}")
		return {
			"conditions": [each.as_data() for each in conditions],
			"removed": removed,
			"found": "; ".join(f"{site}: {_count(gone)}" for site, gone in removed.items()),
		}

	def _look(self, run: Run) -> tuple[list[Condition], dict[str, dict[str, list[str]]]]:
		conditions, removed = [], {}
		for site in run.spec.site_names:
			was = Inventory.read(run, site)
			if was is None:
				wanted, why = "listed", "a run of an older version did not note what was there before"
				conditions.append(Condition(f"Removed by migrate from {site}", None, "unknown", wanted, why))
				continue
			found, removed[site] = judge_removals(run.bench, site, was)
			conditions += found
			for kind, names in removed[site].items():
				run.log(f"{site}: {kind} gone: {', '.join(names)}")
		return conditions, removed


def _count(gone: dict[str, list[str]]) -> str:
	return ", ".join(f"{len(names)} {kind}" for kind, names in gone.items()) or "nothing is gone"
