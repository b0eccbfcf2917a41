"""Deploy: bring the sites' databases to the new code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases import patches
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.foreign_statements import watch_for_holders
from press_deploy.engine.steps.install import why_not_needed
from press_deploy.engine.steps.run import Run

MIGRATE_SECONDS = 7200


@dataclass(eq=False)
class Migrate(Step):
	"""Migrate the sites. From here on code alone can't be rolled back: the database goes with it
	(see `RollbackDatabase`)."""

	site_processes: SiteProcesses
	databases: Databases

	name, title, phase = "migrate", "Migrate", Phase.DEPLOY
	undone_by = ("rollback-database", "rollback-files")

	def skip_reason(self, run: Run) -> str | None:
		return why_not_needed(run, "migrate")

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in self._sites(run):
			try:
				# The test site is open: who holds it up is shown, and has every right.
				with watch_for_holders(run, self.databases, site, ends=site in run.spec.site_names):
					self.site_processes.call("migrate", site, timeout=MIGRATE_SECONDS)
			except DeployError as error:
				raise self._explain(run, site, error) from error
		return {"migrated": self._sites(run)}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		sites = self._sites(run)
		for site in sites:
			if pending := patches.list_pending(run.bench, site, [app.name for app in run.spec.apps]):
				why = f"{len(pending)} patch(es) have not run, the first is {pending[0]}"
				return Observation(False, f"the Patch Log of {site}: {why}")
		if result is None:
			# Patches come first. To migrate again after a crash is what Frappe's migrate is made for.
			return Observation(False, "whether it came to its end is not known; migrated again")
		return Observation(True, f"migrated {', '.join(sites)}; every patch is in the Patch Log")

	def _sites(self, run: Run) -> list[str]:
		"""The plan's, and the one for critical tests, which need the schema of the code they test."""
		sites, test_site = [*run.spec.site_names], run.spec.test_site
		return [*sites, test_site] if run.spec.critical_tests and test_site not in (None, *sites) else sites

	def _explain(self, run: Run, site: str, error: DeployError) -> StepFailed:
		"""Who, what and where is in Frappe's own message; here comes which site, and what to read and to do."""
		said = error.why.partition("\n")[0].removeprefix(f"Migrating {site}: ")
		log = run.directory.step_log(self.name)
		again = run.bench.command_to_type("status", run.name)
		return StepFailed(
			"Migrating",
			site,
			f"{site}, {said} (whole traceback: {log})",
			f"less {log}; mend that in the app and deploy the mended commit. How this run goes on: {again}",
		)
