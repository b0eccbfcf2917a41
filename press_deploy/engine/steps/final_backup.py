"""Behind closed doors nobody writes any more: what is taken here is what a migration is rolled back to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine import site_files
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.standby.final_record import read_record
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.copies import Copies
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.run import Run


@dataclass(eq=False)
class FinalBackup(Step):
	"""The databases: what changed since is brought into the standby, and both are equal then."""

	copies: Copies
	databases: Databases

	name, title, phase = "final-backup", "Final backup", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_needed(run)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		found, files = [], {}
		for site in run.spec.site_names:
			directory = run.directory.final_backup_of(site)
			directory.mkdir(parents=True, mode=0o700, exist_ok=True)
			if self.databases.wants_standby(site):
				facts = self.databases.standbys[site].refresh(directory)
				files[site] = facts["files"]
				changed = len(facts["changed"]) + len(facts["dropped"])
				found.append(
					f"{site}: {changed} of {facts['tables']} tables had changed; the standby is equal now"
				)
			else:
				if not backup_files.is_verified(directory):
					# Without a standby, a rollback lets the site import this.
					self.copies.maker.make(site, directory, with_files=False, as_dump=True)
					self.copies.maker.verify(site, directory)
				found.append(f"{site}: dumped whole")
		return {"files": files, "found": "; ".join(found)}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site in run.spec.site_names:
			files = (result or {}).get("files", {}).get(site, [])
			if amiss := self._find_amiss(run, site, files):
				return Observation(False, f"{site}: {amiss}")
		# What is there may be of before the crash: the sites are still closed, and comparing again costs little.
		return Observation(result is not None, (result or {}).get("found", "not known; compared again"))

	def _find_amiss(self, run: Run, site: str, files: list[str]) -> str:
		"""What of a site's final backup is not there; empty when all of it is, these `files` too."""
		directory = run.directory.final_backup_of(site)
		if missing := [name for name in files if not (directory / name).is_file()]:
			return f"{', '.join(missing)} of its final backup in {directory} is not there"
		if self.databases.wants_standby(site):
			try:
				read_record(directory, "Observing")
			except StepFailed as error:
				return error.why
			if not self.databases.standbys[site].is_loaded():
				return f"its standby database {self.databases.standbys[site].name} is not there, or not whole"
		elif not backup_files.is_verified(directory):
			return f"the dump in {directory} is not there, or not whole"
		return ""


class FinalFiles(Step):
	"""The files: a list of what there is, and copies of what the backup's archives have not, or not any more."""

	name, title, phase = "final-files", "Final list of files", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_needed(run) or (None if run.spec.backup.with_files else "the plan backs up no files")

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in run.spec.site_names:
			archives = backup_files.archives(run.directory.backup_of(site))
			site_files.take_inventory(run.bench.site(site), archives, self.place(run, site))
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site in run.spec.site_names:
			if not site_files.has_inventory(self.place(run, site)):
				return Observation(False, f"{site}: {self.place(run, site)} has no list of its files")
		# As with the database: it may be of before the crash.
		return Observation(result is not None, f"{len(run.spec.site_names)} site(s) listed")

	@classmethod
	def place(cls, run: Run, site: str) -> Path:
		"""Where the list of a site's files is kept, with the copies."""
		return run.directory.final_backup_of(site) / "files"

	@classmethod
	def list_sites(cls, run: Run) -> list[str]:
		"""Those with a list of their files, which counts only as a whole.

		In runs of earlier versions it was made last in the final backup, and counts where that was done.
		"""
		known = run.state.step(cls.name)
		if not (known.is_over if known else run.state.is_done(FinalBackup.name)):
			return []
		return [site for site in run.spec.site_names if site_files.has_inventory(cls.place(run, site))]


def _why_not_needed(run: Run) -> str | None:
	if run.state.needs("migrate")["needed"]:
		return None
	return "nothing is migrated, so that neither database nor files go back"
