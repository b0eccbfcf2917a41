"""Deploy: bring the sites' databases to the new code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from press_deploy.engine.databases import inventory, patches
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.foreign_statements import watch_for_holders
from press_deploy.engine.steps.install import find_former_errors, why_not_needed

if TYPE_CHECKING:
	from press_deploy.engine.steps.context import Context

MIGRATE_SECONDS = 7200


class Migrate(Step):
	"""Migrate the sites. From here on code alone can't be rolled back: the database goes with it
	(see `RollbackDatabase`)."""

	name, title, phase = "migrate", "Migrate", Phase.DEPLOY
	inventory_of = "before-migrate-{}.json"

	def skip_reason(self, context: Context) -> str | None:
		return why_not_needed(context, "migrate")

	def prepare(self, context: Context) -> dict[str, Any]:
		"""Names and numbers of rows of what migrate may remove: for `Removals`, in a file of this run alone.

		And what the former release's processes have logged until now: what a patch logs is the release's.
		"""
		counts = {}
		for site in context.spec.site_names:
			found = inventory.take_inventory(context.bench, site)
			context.run.save_private(self.inventory_of.format(site), found)
			counts[site] = len(found["doctypes"])
		return {"doctypes": counts, "former_errors": find_former_errors(context)}

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for site in self._sites(context):
			try:
				# The test site is open: who holds it up is shown, and has every right.
				with watch_for_holders(context, site, ends=site in context.spec.site_names):
					context.site_processes.call("migrate", site, timeout=MIGRATE_SECONDS)
			except DeployError as error:
				raise self._explain(context, site, error) from error
		return {"migrated": self._sites(context)}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		sites = self._sites(context)
		for site in sites:
			if pending := patches.list_pending(context.bench, site, [app.name for app in context.spec.apps]):
				why = f"{len(pending)} patch(es) have not run, the first is {pending[0]}"
				return Observation(False, f"the Patch Log of {site}: {why}")
		if result is None:
			# Patches come first. To migrate again after a crash is what Frappe's migrate is made for.
			return Observation(False, "whether it came to its end is not known; migrated again")
		return Observation(True, f"migrated {', '.join(sites)}; every patch is in the Patch Log")

	@classmethod
	def read_before(cls, context: Context, site: str) -> dict[str, Any] | None:
		"""What was on a site before it was migrated; None where that was not noted."""
		try:
			return context.run.load_private(cls.inventory_of.format(site))
		except FileNotFoundError:
			return None

	def _sites(self, context: Context) -> list[str]:
		"""The plan's, and the one for critical tests, which need the schema of the code they test."""
		sites, test_site = [*context.spec.site_names], context.spec.test_site
		return (
			[*sites, test_site] if context.spec.critical_tests and test_site not in (None, *sites) else sites
		)

	def _explain(self, context: Context, site: str, error: DeployError) -> StepFailed:
		"""Who, what and where is in Frappe's own message; here comes which site, and what to read and to do."""
		said = error.why.partition("\n")[0].removeprefix(f"Migrating {site}: ")
		log = context.run.step_log(self.name)
		again = context.bench.command_to_type("status", context.run.name)
		return StepFailed(
			"Migrating",
			site,
			f"{site}, {said} (whole traceback: {log})",
			f"less {log}; mend that in the app and deploy the mended commit. How this run goes on: {again}",
		)
