"""The rollback's database part: the swap, or the import where there is no standby.

Invariant: what leaves the live database leaves for the quarantine, never for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.restorable import prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.approval import require_approval_again
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.final_backup import FinalBackup
from press_deploy.engine.steps.foreign_statements import watch_for_holders
from press_deploy.engine.steps.run import Run
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

RESTORE_SECONDS = 7200


@dataclass(eq=False)
class RollbackDatabase(Step):
	"""Swap the standby databases in; where there is none, import the final backup."""

	databases: Databases
	site_processes: SiteProcesses

	name, title, phase = STEP, "Put the database back", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		return None if run.state.rolls_database_back else "the database stays as it is"

	def prepare(self, run: Run) -> dict[str, Any]:
		ways = {site: self._describe(run, site) for site in run.spec.site_names}
		approval = self._ask_again(run, ways)
		if how := _reached_test_site(run):
			run.note(f"The test site {run.spec.test_site} was migrated {how}, and stays so.")
		return {"sites": ways, "approval": approval}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				self._swap(run, site)
			elif not is_restored(way):
				self._restore(run, site, Path(way["quarantine"]))
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				observed = self.databases.standbys[site].observe_swapped()
				if not observed.done:
					return Observation(False, f"{site}: {observed.found}")
			elif not is_restored(way):
				return Observation(False, f"{site} is not restored")
		kept = ", ".join(way["quarantine"] for way in before["sites"].values())
		return Observation(
			True, f"{len(before['sites'])} database(s) as in the backup; what was replaced is kept: {kept}"
		)

	def _describe(self, run: Run, site: str) -> dict[str, Any]:
		standby = self.databases.standbys[site]
		if earlier := find_earlier_way(run.state, standby, site):
			return earlier
		if is_listable(standby) or can_be_made_again(run, standby):
			return {"how": SWAP, "standby": standby.name, "quarantine": standby.quarantine}
		# A place of its own for each rollback, so that none is lost.
		place = run.directory.backup / "quarantine" / str(run.state.rollback["seq"]) / site
		return {"how": RESTORE, "quarantine": str(place)}

	def _ask_again(self, run: Run, ways: dict[str, Any]) -> dict[str, Any]:
		"""Before anything is announced, so that whoever is asked may still take the code back alone."""
		swaps = {site: self.databases.standbys[site] for site, way in ways.items() if way["how"] == SWAP}
		return require_approval_again(
			run, {site: standby for site, standby in swaps.items() if not is_swapped(standby)}
		)

	def _swap(self, run: Run, site: str) -> None:
		standby = self.databases.standbys[site]
		if is_swap_complete(standby):
			# Nothing may be undone for want of a server that answers: users may have worked on it since.
			return
		if not is_listable(standby):
			make_again(run, standby)
		# Our own look into the database would be one that holds on to it.
		self.databases.sites[site].close()
		try:
			done = standby.swap()
		except StepFailed as error:
			try:
				standby.undo_swap()
			except DeployError as also:
				run.note(f"The swap of {site} could not be undone either: {also}")
			raise error
		if done["ended"]:
			run.note(f"Ended, because they held tables of {site}: {', '.join(map(str, done['ended']))}")
		if done["not_made"]:
			run.note(
				f"Kept beside what was replaced of {site} as definitions in {standby.swap_note.path} alone, since they "
				f"can't be made again: {'; '.join(done['not_made'])}"
			)

	def _restore(self, run: Run, site: str, quarantine: Path) -> None:
		dump = self._choose_dump(run, site)
		self._prove_first(run, site, dump.parent)
		quarantine.mkdir(parents=True, exist_ok=True)
		# Only shown: the administrator may import, and the watch takes none but the site's own account for ours.
		with watch_for_holders(run, self.databases, site, ends=False):
			self.site_processes.call(
				"restore",
				site,
				timeout=RESTORE_SECONDS,
				database=str(dump),
				quarantine=str(quarantine / "replaced.gz"),
			)
		durable.write_text(quarantine / RESTORED, "")

	def _choose_dump(self, run: Run, site: str) -> Path:
		final = run.directory.final_backup_of(site)
		if backup_files.is_verified(final):
			return backup_files.database_file(final)
		if run.state.is_done(FinalBackup.name):
			raise StepFailed(
				"Putting back",
				f"the database of {site}",
				f"{final} holds what changed since {run.directory.backup_of(site)}, and the two come together only in a "
				"standby database, for which the database's administrator is not known any more",
				f"name it: {WHERE_NAMED}",
			)
		return backup_files.database_file(run.directory.backup_of(site))

	def _prove_first(self, run: Run, site: str, directory: Path) -> None:
		"""What is imported replaces the live database at once: see it restored somewhere else before."""
		engine = engine_of(run.bench.read_config(site).get("db_type"))
		if not engine.loading.REPLACES_AT_ONCE:
			return
		if missing := engine.proving.find_missing_program():
			run.note(
				f"The final backup of {site} was not restored elsewhere before: there is no {missing} here."
			)
			return
		proof = Proof(directory)
		if not proof.has(Rung.RESTORABLE):
			meter = run.measure(f"{site}, proving")
			proof.record(Rung.RESTORABLE, prove_in_scratch(run.bench, directory, meter))


def _reached_test_site(run: Run) -> str:
	"""How far the migration came on a test site beside the sites of the plan; empty where it was never begun."""
	spec, migrate = run.spec, run.state.step("migrate")
	if migrate is None or not spec.critical_tests or spec.tests_run_on_production:
		return ""
	if migrate.status == "done":
		return "too"
	# It comes last: a failure that names another site kept the migration from it.
	return "in part" if (migrate.error or {}).get("what") == spec.test_site else ""
