"""What users have lost when a database went back: written down with its rows, so that it can be entered again.

Invariant: what can't be exported stays in quarantine, and keeps no site closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.databases.losses.export import Exported, export
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.of_run import describe_all
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.rollback_database import RollbackDatabase
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.ways_back import SWAP


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
