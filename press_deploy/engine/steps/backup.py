"""Prepare, second part: every site is backed up, and its backup brought to where nothing that happens here reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.catalogue import find_previous_size
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases import backup_files
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


def _files(directory: Path) -> list[StoredFile]:
	return [
		StoredFile(directory / file["name"], file["name"], file["size"], file["sha256"])
		for file in backup_files.files_to_keep(directory)
	]
