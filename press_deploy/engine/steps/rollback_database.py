"""The rollback's database part: what would be lost, the swap, the files, and the list that is kept.

Invariant: data that users may have written since the backup leaves the live database only after a person
approved exactly the list of it; and it leaves for the quarantine, never for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine import backup, durable, site_files
from press_deploy.engine.backup.restorable import prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.errors import DeployError, Refused, StepFailed
from press_deploy.engine.interrupts import WaitForPerson
from press_deploy.engine.losses import export, find_losses
from press_deploy.engine.losses.of_run import describe_all, find_all, open_former
from press_deploy.engine.mariadb.scratch_server import find_server_program
from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.finding import find_standbys
from press_deploy.engine.state import Phase
from press_deploy.engine.steps.backup import FinalBackup, LoadStandby
from press_deploy.engine.steps.base import Observation, Step

if TYPE_CHECKING:
	from press_deploy.engine.bench import Bench
	from press_deploy.engine.context import Context
	from press_deploy.engine.run_directory import RunDirectory
	from press_deploy.engine.state import RunState

RESTORE_SECONDS = 7200
SWAP, RESTORE = "swap", "restore"
# In the quarantine of a database that was imported, once it was.
RESTORED = "restored"


class LostDocuments(Step):
	"""Where users may have worked since the backup: a person approves what would be lost, behind closed doors."""

	name, title, phase = "lost-documents", "What would be lost", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		if not context.state.rolls_database_back:
			return "the database stays as it is"
		state = context.state
		# While a run was left to people, one of them may have opened the sites by hand.
		if state.was_opened or state.was_left or not context.spec.backup.automatic_rollback:
			return None
		return "nobody could write since the final backup, and the plan lets the database go back by itself"

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		waiting = self._choose_listed(context)
		if not waiting:
			if context.state.rollback["by"] is None and not context.spec.backup.automatic_rollback:
				reason = "the plan lets no database go back by itself, and what would be lost can't be listed"
				raise WaitForPerson(reason, when_nobody_decides="wait", accepts_go=False)
			return {"found": "nothing is to be compared"}
		listed = describe_all(find_all(waiting))
		shown = context.state.losses
		if shown is None or shown["sha256"] != listed["sha256"]:
			context.journal.append("losses", listed)
		for line in listed["lines"]:
			context.log(line)
		if not listed["total"]:
			return {"found": "nothing"}
		if by := context.state.approval_of(listed["sha256"]):
			return {
				"approved_by": by,
				"sha256": listed["sha256"],
				"found": f"{by} approved: {listed['summary']}",
			}
		may_stay = context.state.may_stay_as_it_is
		raise WaitForPerson(
			f"rolling the database back would lose: {listed['summary']}",
			when_nobody_decides="keep" if may_stay else "wait",
			accepts_go=may_stay,
			approve=listed["sha256"],
		)

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return Observation(result is not None, (result or {}).get("found", "to be listed again"))

	def _choose_listed(self, context: Context) -> dict[str, StandbyDatabase | None]:
		"""Not those that an earlier rollback has swapped already: what is live there stays live."""
		waiting = {site: each for site, each in context.standbys.items() if not _is_swapped(each)}
		if context.state.was_opened:
			return waiting
		for site in [site for site, standby in waiting.items() if not _is_listable(standby)]:
			if _can_be_made_again(context, site):
				make_again(context, site)
				continue
			# The run opened nothing; it must not stay closed for want of a list that is only a precaution.
			context.note(
				f"Without a standby database nobody can say what was written on {site} since the final backup; "
				"what is replaced is kept"
			)
			del waiting[site]
		return waiting


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
		if _is_listable(standby) or _can_be_made_again(context, site):
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
		if not _is_listable(standby):
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


class ExportLosses(Step):
	"""Keep the rows that are not live any more, so that people can enter or import them again."""

	name, title, phase = "export-losses", "Export what was lost", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		if _swapped_sites(context):
			return None
		restored = context.state.before(RollbackDatabase.name)
		return (
			"without a standby there is nothing to compare" if restored else "the database stayed as it was"
		)

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		try:
			return self._export(context)
		except (DeployError, OSError) as error:
			# The sites are open and healthy again; what is lost lies in quarantine, list or no list.
			context.note(f"{self.title}: {error}")
			return {"found": f"not exported: {error}. Everything is still in quarantine"}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return Observation(result is not None, (result or {}).get("found", "to be exported again"))

	def _export(self, context: Context) -> dict[str, Any]:
		losses, files = {}, []
		for site in _swapped_sites(context):
			if site not in context.former:
				context.note(
					f"What was lost on {site} is listed against what users have written since it is open."
				)
				open_former_data(context, site)
			reader, former, replaced = context.former[site]
			losses[site] = find_losses(reader, former, replaced)
			files += export(losses[site], reader, former, replaced, context.run.losses / site)
		listed = describe_all(losses)
		context.journal.append("losses", {**listed, "files": [str(file) for file in files]})
		return {"files": len(files), "found": f"{listed['summary']}; with their rows in {context.run.losses}"}


def check_listable(bench: Bench, run: RunDirectory, state: RunState, database: bool) -> None:
	"""Before sites that are open are closed for it: raise `Refused` where the rollback could not go on."""
	if not state.was_announced("maintenance") or not (database or state.was_announced("migrate")):
		return
	for site, standby in find_standbys(bench, run, run.read_plan().site_names).items():
		is_closed = bool(bench.read_config(site).get("maintenance_mode"))
		if (is_closed and not state.was_opened) or _is_listable(standby):
			continue
		raise Refused(
			"Rolling back",
			f"run {run.name}",
			f"the database of {site} would go back, and without its standby nobody can say what would be lost",
			f"nothing was changed, the site is {'in maintenance' if is_closed else 'open'}; "
			+ (
				"restore a backup by hand"
				if standby is None
				else f"make it again first: press-deploy standby --load {run.name}"
			),
		)


def make_again(context: Context, site: str) -> None:
	"""Make a standby that was lost again, as the final backup left it. Raises `StepFailed`."""
	context.note(f"The standby database of {site} was lost; it was made again from the backups.")
	final = context.final_backup_of(site) if context.state.is_done(FinalBackup.name) else None
	meter = context.measure(f"{site}, making the standby database again")
	context.standbys[site].rebuild(context.backup_of(site), final, meter)


def _can_be_made_again(context: Context, site: str) -> bool:
	"""A final backup that is whole in itself was made because there was no standby, and is imported instead."""
	had_one = context.state.is_done(LoadStandby.name) and not backup.is_verified(
		context.final_backup_of(site)
	)
	return had_one and context.standbys[site] is not None


def _is_restored(way: dict[str, Any]) -> bool:
	return (Path(way["quarantine"]) / RESTORED).exists()


def _is_listable(standby: StandbyDatabase | None) -> bool:
	return standby is not None and (standby.is_loaded() or standby.is_swap_begun())


def _is_swapped(standby: StandbyDatabase | None) -> bool:
	"""Whether what is live may be the backup already: a swap that was begun is completed, not listed."""
	return standby is not None and standby.is_swap_begun()


def open_all_former_data(context: Context) -> None:
	"""Before the sites are opened: see the data of before as it is now, for the list that is made afterwards."""
	for site in _swapped_sites(context):
		try:
			open_former_data(context, site)
		except (DeployError, OSError) as error:
			context.log(f"The former data of {site} can't be looked at yet: {error}")


def open_former_data(context: Context, site: str) -> None:
	backup_of, final = context.backup_of(site), context.final_backup_of(site)
	opened = open_former(context.standbys[site], backup_of, final)
	context.former[site] = context.open_resources.enter_context(opened)


def _swapped_sites(context: Context) -> list[str]:
	ways = context.state.before(RollbackDatabase.name).get("sites", {})
	return [site for site, way in ways.items() if way["how"] == SWAP]


def _was_migrated(context: Context) -> bool:
	return context.state.was_announced("migrate")
