"""What Frappe keeps of a release outside of its processes: hooks, and the list of apps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.run import Run

CACHE_SECONDS = 120


@dataclass(eq=False)
class ClearCaches(Step):
	"""Before the restart: what starts then must not find what the other release cached."""

	site_processes: SiteProcesses

	name, title, phase = "clear-caches", "Clear the caches", Phase.DEPLOY
	undone_by = ("rollback-clear-caches",)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		sites = run.spec.site_names
		self.site_processes.call_each("clear_cache", sites, timeout=CACHE_SECONDS * len(sites))
		return {"found": f"those of {len(sites)} site(s)"}
