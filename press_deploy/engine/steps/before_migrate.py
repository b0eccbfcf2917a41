"""Deploy: what is there before anything of the release works on it, to be compared with afterwards.

Invariant: what is noted here is noted once. A run that is beyond it is never asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.databases import inventory
from press_deploy.engine.journal.state import Phase, RunState
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.deploy import MarkLogs
from press_deploy.engine.steps.install import why_not_needed
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.watched_logs import WatchedLogs


@dataclass(eq=False)
class FormerErrors(Step):
	"""What was logged since the switch, by processes that run the old code on a bench that is half switched.

	Of the release nothing but its imports and its build has run until now: what a patch logs is the release's.
	"""

	watched_logs: WatchedLogs

	name, title, phase = "former-errors", "Errors of the former release", Phase.DEPLOY
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		marks = run.state.result(MarkLogs.name)
		found = self.watched_logs.read(marks, {}) if "marks" in marks else []
		errors = sorted({each.fingerprint for each in found if each.log_class.weight is Weight.AGAINST})
		return {
			"former_errors": errors,
			"found": f"{len(errors)} kind(s), not to be held against the release",
		}

	@classmethod
	def read(cls, state: RunState) -> list[str]:
		"""Their fingerprints. Runs of earlier versions noted them when they announced the restart."""
		noted = state.result(cls.name) or state.before("restart")
		return noted.get("former_errors", [])


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
