"""What users would lose, and have lost, when a database goes back: shown, approved, exported.

Invariant: data that users may have written since the backup leaves the live database only after a person
approved exactly the list of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from press_deploy.engine.databases.losses.export import Exported, export
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.of_run import describe_all
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.ground.errors import DeployError, Refused, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.approval import had_jobs_at_work, require_approval
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.interrupts import WaitForPerson
from press_deploy.engine.steps.proving import LoadStandby
from press_deploy.engine.steps.rollback_database import RollbackDatabase
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.standby_of_run import (
	can_be_made_again,
	has_backups,
	is_listable,
	make_again,
)
from press_deploy.engine.steps.unread_losses import choose_listed
from press_deploy.engine.steps.ways_back import SWAP, find_earlier_way

if TYPE_CHECKING:
	from press_deploy.engine.bench.bench import Bench
	from press_deploy.engine.journal.run_directory import RunDirectory
	from press_deploy.engine.journal.state import RunState


@dataclass(eq=False)
class LostDocuments(Step):
	"""Where users may have worked since the backup: a person approves what would be lost, behind closed doors."""

	databases: Databases

	name, title, phase = "lost-documents", "What would be lost", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.rolls_database_back:
			return "the database stays as it is"
		state = run.state
		# While a run was left to people, one of them may have opened the sites by hand.
		if state.was_opened or state.was_left or had_jobs_at_work(state):
			return None
		if not run.spec.backup.automatic_rollback:
			return None
		return "nobody could write since the final backup, and the plan lets the database go back by itself"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		waiting = self._choose_listed(run)
		if not waiting:
			if run.state.rollback["by"] is None and not run.spec.backup.automatic_rollback:
				reason = "the plan lets no database go back by itself, and what would be lost can't be listed"
				raise WaitForPerson(reason, when_nobody_decides="wait", accepts_go=False)
			return {"found": "nothing is to be compared"}
		return require_approval(run, waiting)

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return Observation(result is not None, (result or {}).get("found", "to be listed again"))

	def _choose_listed(self, run: Run) -> dict[str, StandbyDatabase | None]:
		waiting = choose_listed(run.state, self.databases.standbys)
		if run.state.was_opened:
			return waiting
		for site in [site for site, standby in waiting.items() if not is_listable(standby)]:
			if can_be_made_again(run, self.databases.standbys[site]):
				make_again(run, self.databases.standbys[site])
				continue
			# The run opened nothing; it must not stay closed for want of a list that is only a precaution.
			run.note(
				f"Without a standby database nobody can say what was written on {site} since the final backup; "
				"what is replaced is kept"
			)
			del waiting[site]
		return waiting


@dataclass(eq=False)
class ExportLosses(Step):
	"""Keep the rows that are not live any more, so that people can enter or import them again."""

	databases: Databases

	name, title, phase = "export-losses", "Export what was lost", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		if _swapped_sites(run):
			return None
		restored = run.state.before(RollbackDatabase.name)
		return (
			"without a standby there is nothing to compare" if restored else "the database stayed as it was"
		)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		try:
			return self._export(run)
		except (DeployError, OSError) as error:
			# The sites are open and healthy again; what is lost lies in quarantine, list or no list.
			run.note(f"{self.title}: {error}")
			return {"found": f"not exported: {error}. Everything is still in quarantine"}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return Observation(result is not None, (result or {}).get("found", "to be exported again"))

	def _export(self, run: Run) -> dict[str, Any]:
		losses, files, left_out = {}, [], {}
		for site in _swapped_sites(run):
			if site in self.databases.former:
				try:
					losses[site], exported = _export_site(run, self.databases, site)
				except StepFailed as error:
					# Users may alter tables since the site is open; as they were before, they can't be read any more.
					run.note(f"{self.title}, tried once more: {error}")
					del self.databases.former[site]
			if site not in self.databases.former:
				run.note(
					f"What was lost on {site} is listed against what users have written since it is open."
				)
				open_former_data(run, self.databases, site)
				losses[site], exported = _export_site(run, self.databases, site)
			files += exported.files
			if exported.left_out:
				left_out[site] = exported.left_out
		listed = describe_all(losses)
		run.journal.append("losses", {**listed, "files": [str(file) for file in files]})
		found = f"{listed['summary']}; with their rows in {run.directory.losses}"
		if left_out:
			names = "; ".join(f"{site}: {', '.join(each)}" for site, each in left_out.items())
			found += f", but for secrets and the like, which are kept in the quarantine alone: {names}"
		return {"files": len(files), "left_out": left_out, "found": found}


def check_listable(bench: Bench, run: RunDirectory, state: RunState, database: bool) -> None:
	"""Before sites that are open are closed for it: raise `Refused` where the rollback could not go on."""
	if not state.was_announced("maintenance") or not (database or state.was_announced("migrate")):
		return
	standbys = find_standbys(bench, run, run.read_plan().site_names, state.sites_without_standby)
	for site, standby in standbys.items():
		is_closed = bool(bench.read_config(site).get("maintenance_mode"))
		is_gone = not has_backups(run, state, site)
		if (is_closed and not state.was_opened and not is_gone) or is_listable(standby):
			continue
		if find_earlier_way(state, standby, site):
			continue
		raise Refused(
			"Rolling back",
			f"run {run.name}",
			f"the database of {site} would go back, and "
			+ (
				"what it would be put back from is not there any more; that goes when its days are over"
				if is_gone
				else "without its standby nobody can say what would be lost"
			),
			f"nothing was changed, the site is {'in maintenance' if is_closed else 'open'}; "
			+ (
				"restore a backup by hand"
				if is_gone or standby is None or not state.is_done(LoadStandby.name)
				else f"make it again first: {bench.command_to_type('standby', '--load', run.name)}"
			),
		)


def _export_site(run: Run, databases: Databases, site: str) -> tuple[Losses, Exported]:
	reader, former, replaced = databases.former[site]
	losses = find_losses(reader, former, replaced)
	return losses, export(losses, reader, former, replaced, run.directory.losses / site)


def open_all_former_data(run: Run, databases: Databases) -> None:
	"""Before the sites are opened: see the data of before as it is now, for the list that is made afterwards."""
	for site in _swapped_sites(run):
		try:
			open_former_data(run, databases, site)
		except (DeployError, OSError) as error:
			run.log(f"The former data of {site} can't be looked at yet: {error}")


def open_former_data(run: Run, databases: Databases, site: str) -> None:
	backup_of, final = run.directory.backup_of(site), run.directory.final_backup_of(site)
	opened = databases.standbys[site].open_former(backup_of, final)
	databases.keep_former(site, opened)


def _swapped_sites(run: Run) -> list[str]:
	ways = run.state.before(RollbackDatabase.name).get("sites", {})
	return [site for site, way in ways.items() if way["how"] == SWAP]
