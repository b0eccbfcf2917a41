"""Prepare, second part: backups, each as good as what was shown of it, and the way back that they make.

Invariant: the window opens only when every site's backup has reached the rung that the plan requires.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine import site_files
from press_deploy.engine.backup.catalogue import find_previous_size
from press_deploy.engine.backup.restorable import check_standby, prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.standby.final_record import read_record
from press_deploy.engine.ground.errors import DeployError, StepFailed, Stopped
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.safe_places.base import SafePlace, StoredFile
from press_deploy.engine.snapshots.base import SnapshotStatus
from press_deploy.engine.snapshots.taking import take_snapshot
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.copies import Copies
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.run import Run


@dataclass(eq=False)
class Backup(Step):
	"""Back every site up, database and files, and show that what was written is whole."""

	copies: Copies
	databases: Databases

	name, title, phase = "backup", "Backup", Phase.PREPARE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		methods, size = {}, 0
		for site in run.spec.site_names:
			directory = run.directory.backup_of(site)
			if not backup_files.is_verified(directory):
				if self.databases.wants_standby(site):
					self.databases.standbys[site].remember_live()
				self.copies.maker.make(site, directory, with_files=run.spec.backup.with_files)
				self.copies.maker.verify(site, directory, find_previous_size(run.bench, site, directory))
			made = backup_files.describe(directory)
			methods[site] = {key: made[key] for key in ("method", "reason")}
			size += made["bytes"]
		return {"bytes": size, "methods": methods}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		sites = run.spec.site_names
		if missing := [site for site in sites if not backup_files.is_verified(run.directory.backup_of(site))]:
			return Observation(False, f"no verified backup of {', '.join(missing)}")
		methods = {backup_files.describe(run.directory.backup_of(site))["method"] for site in sites}
		return Observation(
			True,
			f"{len(sites)} site(s) backed up ({', '.join(sorted(methods))}): whole, closing line and SHA-256 checked",
		)


@dataclass(eq=False)
class CopyToSafePlaces(Step):
	"""Copy the backups off, read them again there and compare."""

	copies: Copies

	name, title, phase = "safe-place", "Copy to the safe places", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.backup.places else "the plan names no safe place"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in run.spec.site_names:
			directory = run.directory.backup_of(site)
			locations = []
			for place in self.copies.safe_places():
				stored = self._store(run, place, site)
				locations.append({"place": place.describe(), "files": len(stored)})
			Proof(directory).record(Rung.SAFE, {"places": locations})
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site in run.spec.site_names:
			if Proof(run.directory.backup_of(site)).reached() < Rung.SAFE:
				return Observation(False, f"the backup of {site} was not yet read again in every safe place")
			for place in self.copies.safe_places():
				held = place.holds(_files(run.directory.backup_of(site)), self._below(run, site))
				if not held.done:
					return Observation(False, f"{place.describe()}: {held.found}")
		places = ", ".join(place.describe() for place in self.copies.safe_places())
		return Observation(True, f"copied to {places}; read again and compared")

	def _store(self, run: Run, place: SafePlace, site: str) -> list[dict[str, Any]]:
		files, meter = _files(run.directory.backup_of(site)), run.measure(f"{site} to {place.describe()}")
		size = sum(file.size for file in files)

		def tell(done: int) -> None:
			meter(done, size)
			run.stop_if_asked()

		try:
			return place.store(files, self._below(run, site), tell)
		except StepFailed as error:
			# Only the reason is shown where there is little room.
			why = f"{place.describe()}: {error.why}"
			raise StepFailed(error.doing, error.what, why, error.remedy) from error

	def _below(self, run: Run, site: str) -> str:
		return f"{run.bench.name}/{run.name}/{site}"


@dataclass(eq=False)
class CloudSnapshot(Step):
	"""Let the provider take a snapshot of the volume (runbook 1.2)."""

	copies: Copies

	name, title, phase = "cloud-snapshot", "Cloud snapshot", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.backup.snapshot else "the plan asks for none"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		spec, tags = run.spec.backup.snapshot, {"run": run.name, "plan": run.spec.title}

		def tell(status: SnapshotStatus) -> None:
			percent = f", {status.progress:g} %" if status.progress is not None else ""
			run.log(f"snapshot {status.id or '(not known yet)'}: {status.state}{percent} {status.message}")
			run.stop_if_asked()

		try:
			provider = self.copies.provider(spec)
			evidence = take_snapshot(provider, spec, tags, tell)
		except Stopped:
			raise
		except DeployError as error:
			if spec.when_failed == "block":
				raise
			run.note(f"There is no cloud snapshot, and the plan goes on without: {error}")
			return {"found": f"none: {error.why}"}
		found = f"{evidence['snapshot']} of {evidence['volume']} is {evidence['state']}"
		return {"snapshot": evidence, "found": f"{found} after {evidence['waited_seconds']:g} s"}


@dataclass(eq=False)
class LoadStandby(Step):
	"""Restore the backup into the standby database, which stays loaded, and compare it with the site."""

	copies: Copies
	databases: Databases

	name, title, phase = "standby", "Standby database", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		if run.required_rung() >= Rung.RESTORABLE:
			return None
		return f"the plan asks for rung {run.required_rung()} of the backup, and does not migrate"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		found = []
		for site in run.spec.site_names:
			directory = run.directory.backup_of(site)
			try:
				facts = self._prove(run, site, directory)
			except DeployError as error:
				Proof(directory).record_failure(Rung.RESTORABLE, "restore", error.why)
				raise
			Proof(directory).record(Rung.RESTORABLE, facts)
			found.append(f"{site}: {facts['tables']} tables, compared with {facts['compared_with']}")
			if run.required_rung() >= Rung.BOOTABLE:
				self._boot(run, site, directory)
				found.append("answers from it")
		return {"found": "; ".join(found)}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		for site in run.spec.site_names:
			if not Proof(run.directory.backup_of(site)).has(Rung(max(run.required_rung(), Rung.RESTORABLE))):
				return Observation(False, f"the backup of {site} is not proven")
			if self.databases.wants_standby(site) and not self.databases.standbys[site].is_loaded():
				return Observation(False, f"the standby database of {site} is not loaded")
		return Observation(True, (result or {}).get("found", "loaded, and compared with the sites"))

	def _boot(self, run: Run, site: str, directory: Path) -> None:
		try:
			answers = self.copies.booting.boot(
				site, self.databases.standbys[site], run.spec.backup.boot_check
			)
		except DeployError as error:
			Proof(directory).record_failure(Rung.BOOTABLE, "boot", error.why)
			raise
		Proof(directory).record(Rung.BOOTABLE, answers)

	def _prove(self, run: Run, site: str, directory: Path) -> dict[str, Any]:
		if not self.databases.wants_standby(site):
			# No administrator's rights: a private server shows that it can be restored.
			return prove_in_scratch(run.bench, directory, run.measure(f"{site}, proving"))
		standby = self.databases.standbys[site]
		if not standby.is_loaded():
			meter = run.measure(f"{site} into {Path(standby.name).name}")
			standby.load_backup(directory, run.directory.path / "loading", meter)
		compared = standby.prove()
		return {**compared, **check_standby(run.bench, standby, directory, compared)}


class CheckProof(Step):
	"""Never open the window on a backup that is worse than the plan requires."""

	name, title, phase = "proof", "Proof of the backups", Phase.PREPARE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		wanted, found = run.required_rung(), []
		for site in run.spec.site_names:
			proof = Proof(run.directory.backup_of(site))
			reached = proof.reached()
			if reached < wanted:
				raise StepFailed(
					"Proving",
					f"the backup of {site}",
					f"it reached rung {reached:d} ({reached.words}), the plan requires {wanted:d} "
					f"({Rung(wanted).words}): {proof.why_not(Rung(wanted))}",
					f"mend that, then start the plan again: {run.bench.command_to_type('run', str(run.directory.plan))}",
				)
			found.append(f"{site}: rung {reached:d}, {reached.words}")
		return {"found": "; ".join(found)}


@dataclass(eq=False)
class FinalBackup(Step):
	"""Behind closed doors nobody writes any more: this is the backup a migration is rolled back to."""

	copies: Copies
	databases: Databases

	name, title, phase = "final-backup", "Final backup", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		if run.state.needs("migrate")["needed"]:
			return None
		return "nothing is migrated, so the database won't change"

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
			if run.spec.backup.with_files:
				site_files.take_inventory(
					run.bench.site(site), self._archives(run, site), directory / "files"
				)
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
		if run.spec.backup.with_files and not site_files.has_inventory(directory / "files"):
			return f"{directory / 'files'} has no list of its files"
		return ""

	def _archives(self, run: Run, site: str) -> list[Path]:
		return backup_files.archives(run.directory.backup_of(site))


def _files(directory: Path) -> list[StoredFile]:
	return [
		StoredFile(directory / file["name"], file["name"], file["size"], file["sha256"])
		for file in backup_files.files_to_keep(directory)
	]
