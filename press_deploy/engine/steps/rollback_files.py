"""The rollback's files: as they were with the backup that the database goes back to.

Invariant: files follow their database, once. What users uploaded or changed on a database that was put back
earlier is theirs, and stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine import site_files
from press_deploy.engine.databases import backup_files
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.final_backup import FinalFiles
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.ways_back import find_moment

NAMES_SHOWN = 10


class RollbackFiles(Step):
	"""Public and private files as they were with the backup: later ones to quarantine, changed ones put back."""

	name, title, phase = "rollback-files", "Put the files back", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.rolls_database_back:
			return "the database stays as it is, and the files with it"
		if not FinalFiles.list_sites(run):
			return "without a complete final backup there is no list of what they were; they stay as they are"
		if not self._find_moments(run):
			return "an earlier rollback put them back; what was done with them since stays"
		return None

	def prepare(self, run: Run) -> dict[str, Any]:
		"""Since when each site's present database is live: files that are newer belong to it."""
		if missing := set(run.spec.site_names) - set(FinalFiles.list_sites(run)):
			names = ", ".join(sorted(missing))
			run.note(f"There is no list of what the files of {names} were; they stay as they are.")
		return {"sites": self._find_moments(run)}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site, moment in before["sites"].items():
			quarantine = run.directory.backup / "quarantine" / "files" / site
			found = site_files.put_back(*self._places(run, site), quarantine, moment)
			run.log(f"{site}: {found}")
			if found["later"]:
				names = ", ".join(found["names"]["later"][:NAMES_SHOWN])
				run.note(f"{found['later']} file(s) of {site} are newer than its database, and stay: {names}")
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site, moment in before["sites"].items():
			observed = site_files.observe_put_back(*self._places(run, site), moment)
			if not observed.done:
				return Observation(False, f"{site}: {observed.found}")
		return Observation(True, f"files of {len(before['sites'])} site(s) as in the final backup")

	def _find_moments(self, run: Run) -> dict[str, float]:
		done = [
			step.started_at
			for step in run.state.earlier_rollbacks
			if step.name == self.name and step.status == "done"
		]
		moments = {site: find_moment(run, site) for site in FinalFiles.list_sites(run)}
		# An earlier rollback that put files back before this database was live put back another one's.
		return {site: moment for site, moment in moments.items() if max(done, default=0.0) < moment}

	def _places(self, run: Run, site: str) -> tuple[Path, list[Path], Path]:
		return (
			run.bench.site(site),
			backup_files.archives(run.directory.backup_of(site)),
			FinalFiles.place(run, site),
		)
