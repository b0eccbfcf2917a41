"""The rollback's database part: the swap, or the import where there is no standby.

Invariant: what leaves the live database leaves for the quarantine, never for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine.backup.restorable import prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.mariadb.administrator import WHERE_NAMED
from press_deploy.engine.databases.mariadb.scratch_server import find_server_program
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.approval import require_approval_again
from press_deploy.engine.steps.backup import FinalBackup
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.foreign_statements import watch_for_holders
from press_deploy.engine.steps.standby_of_run import (
	can_be_made_again,
	is_listable,
	is_swap_complete,
	is_swapped,
	make_again,
)
from press_deploy.engine.steps.ways_back import (
	RESTORE,
	RESTORED,
	STEP,
	SWAP,
	find_earlier_way,
	is_restored,
)

if TYPE_CHECKING:
	from press_deploy.engine.steps.context import Context

RESTORE_SECONDS = 7200


class RollbackDatabase(Step):
	"""Swap the standby databases in; where there is none, import the final backup."""

	name, title, phase = STEP, "Put the database back", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		return None if context.state.rolls_database_back else "the database stays as it is"

	def prepare(self, context: Context) -> dict[str, Any]:
		ways = {site: self._describe(context, site) for site in context.spec.site_names}
		approval = self._ask_again(context, ways)
		if how := _reached_test_site(context):
			context.note(f"The test site {context.spec.test_site} was migrated {how}, and stays so.")
		return {"sites": ways, "approval": approval}

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				self._swap(context, site)
			elif not is_restored(way):
				self._restore(context, site, Path(way["quarantine"]))
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				observed = context.standbys[site].observe_swapped()
				if not observed.done:
					return Observation(False, f"{site}: {observed.found}")
			elif not is_restored(way):
				return Observation(False, f"{site} is not restored")
		kept = ", ".join(way["quarantine"] for way in before["sites"].values())
		return Observation(
			True, f"{len(before['sites'])} database(s) as in the backup; what was replaced is kept: {kept}"
		)

	def _describe(self, context: Context, site: str) -> dict[str, Any]:
		standby = context.standbys[site]
		if earlier := find_earlier_way(context.state, standby, site):
			return earlier
		if is_listable(standby) or can_be_made_again(context, site):
			return {"how": SWAP, "standby": standby.name, "quarantine": standby.quarantine}
		# A place of its own for each rollback, so that none is lost.
		place = context.run.backup / "quarantine" / str(context.state.rollback["seq"]) / site
		return {"how": RESTORE, "quarantine": str(place)}

	def _ask_again(self, context: Context, ways: dict[str, Any]) -> dict[str, Any]:
		"""Before anything is announced, so that whoever is asked may still take the code back alone."""
		swaps = {site: context.standbys[site] for site, way in ways.items() if way["how"] == SWAP}
		return require_approval_again(
			context, {site: standby for site, standby in swaps.items() if not is_swapped(standby)}
		)

	def _swap(self, context: Context, site: str) -> None:
		standby = context.standbys[site]
		if is_swap_complete(standby):
			# Nothing may be undone for want of a server that answers: users may have worked on it since.
			return
		if not is_listable(standby):
			make_again(context, site)
		# Our own look into the database would be one that holds on to it.
		context.databases[site].close()
		try:
			done = standby.swap()
		except StepFailed as error:
			try:
				standby.undo_swap()
			except DeployError as also:
				context.note(f"The swap of {site} could not be undone either: {also}")
			raise error
		if done["ended"]:
			context.note(f"Ended, because they held tables of {site}: {', '.join(map(str, done['ended']))}")
		if done["not_made"]:
			context.note(
				f"Kept beside what was replaced of {site} as definitions in {standby.swap_note.path} alone, since they "
				f"can't be made again: {'; '.join(done['not_made'])}"
			)

	def _restore(self, context: Context, site: str, quarantine: Path) -> None:
		dump = self._choose_dump(context, site)
		self._prove_first(context, site, dump.parent)
		quarantine.mkdir(parents=True, exist_ok=True)
		# Only shown: the administrator may import, and the watch takes none but the site's own account for ours.
		with watch_for_holders(context, site, ends=False):
			context.site_processes.call(
				"restore",
				site,
				timeout=RESTORE_SECONDS,
				database=str(dump),
				quarantine=str(quarantine / "replaced.gz"),
			)
		durable.write_text(quarantine / RESTORED, "")

	def _choose_dump(self, context: Context, site: str) -> Path:
		final = context.final_backup_of(site)
		if backup_files.is_verified(final):
			return backup_files.database_file(final)
		if context.state.is_done(FinalBackup.name):
			raise StepFailed(
				"Putting back",
				f"the database of {site}",
				f"{final} holds what changed since {context.backup_of(site)}, and the two come together only in a "
				"standby database, for which the database's administrator is not known any more",
				f"name it: {WHERE_NAMED}",
			)
		return backup_files.database_file(context.backup_of(site))

	def _prove_first(self, context: Context, site: str, directory: Path) -> None:
		"""What is imported replaces the live database at once: see it restored somewhere else before."""
		if (context.bench.read_config(site).get("db_type") or "mariadb") != "mariadb":
			return
		if find_server_program() is None:
			context.note(
				f"The final backup of {site} was not restored elsewhere before: there is no mariadbd here."
			)
			return
		proof = Proof(directory)
		if not proof.has(Rung.RESTORABLE):
			meter = context.measure(f"{site}, proving")
			proof.record(Rung.RESTORABLE, prove_in_scratch(context.bench, directory, meter))


def _reached_test_site(context: Context) -> str:
	"""How far the migration came on a test site beside the sites of the plan; empty where it was never begun."""
	spec, migrate = context.spec, context.state.step("migrate")
	if migrate is None or not spec.critical_tests or spec.tests_run_on_production:
		return ""
	if migrate.status == "done":
		return "too"
	# It comes last: a failure that names another site kept the migration from it.
	return "in part" if (migrate.error or {}).get("what") == spec.test_site else ""
