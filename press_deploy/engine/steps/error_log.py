"""After opening: the Error Log without the rows that the run's own maintenance left there.

Invariant: nothing that goes wrong here changes how the run ends; what could not be removed stays, and is noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.maintenance_errors import closed_times

CLEAR_SECONDS = 120


@dataclass(eq=False)
class ClearErrorLog(Step):
	"""Right after opening: what waits in Redis is inserted with a later time, and then looks like anybody's."""

	site_processes: SiteProcesses

	name, title, phase = "clear-error-log", "Clear the Error Log of maintenance", Phase.OPEN
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		times, removed, left = closed_times(run.journal.records), {}, []
		for site in run.spec.site_names:
			try:
				answer = self.site_processes.call(
					"clear_maintenance_errors", site, timeout=CLEAR_SECONDS, times=times
				)
				removed[site] = int(answer["removed"])
			except Exception as error:
				run.log_exception()
				why = error.why if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
				left.append(site)
				run.note(f"Rows of {site} that only say that maintenance was on stay in its Error Log: {why}")
		found = f"{sum(removed.values())} row(s) that only said that maintenance was on were removed"
		return {"removed": removed, "found": f"{found}; not those of {', '.join(left)}" if left else found}


class RollbackClearErrorLog(ClearErrorLog):
	name, phase = "rollback-clear-error-log", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.was_announced("maintenance") else "the run had closed nothing"
