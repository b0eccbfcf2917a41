"""Open and close: the sites are given back to their users, and people are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.maintenance import OPEN
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.decision import decide
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.http_checks import check_http, http_checks
from press_deploy.engine.steps.jobs import put_scheduler_back
from press_deploy.engine.steps.prepare import Announce
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition
from press_deploy.helper.site_config import get_value


@dataclass(eq=False)
class Open(Step):
	"""Give the sites back: maintenance and scheduler exactly as they were before."""

	doors: Doors

	name, title, phase = "open", "Maintenance off", Phase.OPEN
	undone_by = ("rollback-maintenance",)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		put_scheduler_back(run, self._jobs_before(run))
		self.doors.lease.close()
		self.doors.services.maintenance_off(run.name, run.state.before("maintenance")["previous"])
		self.doors.maintenance.wait_until(run.spec.site_names, OPEN)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		former = {
			"maintenance_mode": run.state.before("maintenance"),
			"pause_scheduler": self._jobs_before(run),
		}
		for key, found in former.items():
			for site, value in found.get("previous", {}).items():
				if get_value(str(run.bench.site_config(site)), key) != value:
					return Observation(False, f"{key} of {site} is not as it was before")
		return self.doors.maintenance.observe(run.spec.site_names, OPEN)

	def _jobs_before(self, run: Run) -> dict[str, Any]:
		"""What the run found before it paused the scheduler, or its rollback did."""
		state = run.state
		return state.before("pause-jobs") or state.before("rollback-pause-jobs") or {"previous": {}}


@dataclass(eq=False)
class PublicSmokeTests(Step):
	"""The same HTTP smoke tests again, now as the public sees the sites."""

	doors: Doors

	name, title, phase = "public-smoke-tests", "Public smoke tests", Phase.OPEN
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if http_checks(run) else "the plan has no HTTP smoke test"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		return decide(run, self.name, "after opening", lambda: self._ask(run))

	def _ask(self, run: Run) -> list[Condition]:
		return [
			check_http(self.doors.web, site, test, None)
			for site in run.spec.site_names
			for test in http_checks(run)
		]


class AnnounceSuccess(Announce):
	name, title, phase = "announce-success", "Announce success", Phase.CLOSE
	undone_by = ("announce-rollback",)
	subject = "Deployment succeeded: {title}"


class FollowUp(Step):
	"""Leave the run to its follow-up: the scheduler records figures every day until it closes."""

	name, title, phase = "follow-up", "Open the follow-up", Phase.CLOSE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.control_site else "no site controls this run, so none keeps a record of it"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		# For how many days is the site's to say, when its record of the run opens it.
		site = run.spec.control_site
		return {"found": f"a figure a day, for as many days as Deployment Settings of {site} say"}
