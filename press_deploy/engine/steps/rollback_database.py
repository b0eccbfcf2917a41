"""The rollback's database part: the swap, or the import where there is no standby; and the files.

Invariant: what leaves the live database leaves for the quarantine, never for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine import backup, durable, site_files
from press_deploy.engine.backup.restorable import prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.errors import DeployError, StepFailed
from press_deploy.engine.mariadb.scratch_server import find_server_program
from press_deploy.engine.state import Phase
from press_deploy.engine.steps.backup import FinalBackup
from press_deploy.engine.steps.base import Observation, Step
from press_deploy.engine.steps.standby_of_run import can_be_made_again, is_listable, make_again

if TYPE_CHECKING:
	from press_deploy.engine.context import Context

RESTORE_SECONDS = 7200
SWAP, RESTORE = "swap", "restore"
# In the quarantine of a database that was imported, once it was.
RESTORED = "restored"


class RollbackDatabase(Step):
	"""Swap the standby databases in; where there is none, import the final backup."""

	name, title, phase = "rollback-database", "Put the database back", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		return None if context.state.rolls_database_back else "the database stays as it is"

	def prepare(self, context: Context) -> dict[str, Any]:
		if (
			context.spec.critical_tests
			and not context.spec.tests_run_on_production
			and _was_migrated(context)
		):
			context.note(f"The test site {context.spec.test_site} was migrated too, and stays so.")
		return {"sites": {site: self._describe(context, site) for site in context.spec.site_names}}

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				self._swap(context, site)
			elif not _is_restored(way):
				self._restore(context, site, Path(way["quarantine"]))
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site, way in before["sites"].items():
			if way["how"] == SWAP:
				observed = context.standbys[site].observe_swapped()
				if not observed.done:
					return Observation(False, f"{site}: {observed.found}")
			elif not _is_restored(way):
				return Observation(False, f"{site} is not restored")
		kept = ", ".join(way["quarantine"] for way in before["sites"].values())
		return Observation(
			True, f"{len(before['sites'])} database(s) as in the backup; what was replaced is kept: {kept}"
		)

	def _describe(self, context: Context, site: str) -> dict[str, Any]:
		standby = context.standbys[site]
		if is_listable(standby) or can_be_made_again(context, site):
			return {"how": SWAP, "standby": standby.name, "quarantine": standby.quarantine}
		# What an earlier rollback has imported is live, and what users wrote since stays live with it.
		for step in context.state.earlier_rollbacks:
			way = step.before.get("sites", {}).get(site) if step.name == self.name else None
			if way and way["how"] == RESTORE and _is_restored(way):
				return way
		# A place of its own for each rollback, so that none is lost.
		place = context.run.backup / "quarantine" / str(context.state.rollback["seq"]) / site
		return {"how": RESTORE, "quarantine": str(place)}

	def _swap(self, context: Context, site: str) -> None:
		standby = context.standbys[site]
		if not is_listable(standby):
			make_again(context, site)
		# Our own look into the database would be one that holds on to it.
		context.databases[site].close()
		try:
			ended = standby.swap()["ended"]
		except StepFailed as error:
			try:
				standby.undo_swap()
			except DeployError as also:
				context.note(f"The swap of {site} could not be undone either: {also}")
			raise error
		if ended:
			context.note(f"Ended, because they held tables of {site}: {', '.join(map(str, ended))}")

	def _restore(self, context: Context, site: str, quarantine: Path) -> None:
		dump = self._choose_dump(context, site)
		self._prove_first(context, site, dump.parent)
		quarantine.mkdir(parents=True, exist_ok=True)
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
		if backup.is_verified(final):
			return backup.database_file(final)
		if context.state.is_done(FinalBackup.name):
			raise StepFailed(
				"Putting back",
				f"the database of {site}",
				f"{final} holds what changed since {context.backup_of(site)}, and the two come together only in a "
				"standby database, for which the database's administrator is not known any more",
				"name it: root_login and root_password, or /etc/press_deploy/database.cnf",
			)
		return backup.database_file(context.backup_of(site))

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


class RollbackFiles(Step):
	"""Public and private files as they were with the backup: later ones to quarantine, changed ones put back."""

	name, title, phase = "rollback-files", "Put the files back", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		if not context.state.rolls_database_back:
			return "the database stays as it is, and the files with it"
		if not any(self._kept(context, site).is_dir() for site in context.spec.site_names):
			return "without a final backup there is no list of what they were; they stay as they are"
		return None

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for site in context.spec.site_names:
			found = site_files.put_back(*self._places(context, site), self._quarantine(context, site))
			context.log(f"{site}: {found}")
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site in context.spec.site_names:
			observed = site_files.observe_put_back(*self._places(context, site))
			if not observed.done:
				return Observation(False, f"{site}: {observed.found}")
		return Observation(True, f"files of {len(context.spec.site_names)} site(s) as in the final backup")

	def _kept(self, context: Context, site: str) -> Path:
		return context.final_backup_of(site) / "files"

	def _places(self, context: Context, site: str) -> tuple[Path, list[Path], Path]:
		return context.bench.site(site), backup.archives(context.backup_of(site)), self._kept(context, site)

	def _quarantine(self, context: Context, site: str) -> Path:
		return context.run.backup / "quarantine" / "files" / site


def _is_restored(way: dict[str, Any]) -> bool:
	return (Path(way["quarantine"]) / RESTORED).exists()


def _was_migrated(context: Context) -> bool:
	return context.state.was_announced("migrate")
