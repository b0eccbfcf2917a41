"""Prepare, third part: the backups climb the upper rungs, and the standby databases are what they climb on.

Invariant: the window opens only when every site's backup has reached the rung that the plan requires.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.restorable import check_standby, prove_in_scratch
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.copies import Copies
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.run import Run


@dataclass(eq=False)
class LoadStandby(Step):
	"""Restore each backup into the site's standby database, which stays loaded."""

	databases: Databases

	name, title, phase = "standby", "Standby database", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_asked(run, Rung.RESTORABLE)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in self._sites(run):
			standby, directory = self.databases.standbys[site], run.directory.backup_of(site)
			if not standby.is_loaded():
				meter = run.measure(f"{site} into {Path(standby.name).name}")
				with _noting_failure(directory, Rung.RESTORABLE, "restore"):
					standby.load_backup(directory, run.directory.path / "loading", meter)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		sites = self._sites(run)
		for site in sites:
			if not self.databases.standbys[site].is_loaded():
				return Observation(False, f"the standby database of {site} is not loaded")
		names = ", ".join(Path(self.databases.standbys[site].name).name for site in sites)
		return Observation(
			True, f"loaded: {names}" if sites else "none: there is no administrator to make it"
		)

	def _sites(self, run: Run) -> list[str]:
		return [site for site in run.spec.site_names if self.databases.wants_standby(site)]


@dataclass(eq=False)
class ProveRestorable(Step):
	"""Compare what was restored with the site: in its standby, or without an administrator on a private server."""

	databases: Databases

	name, title, phase = "restorable", "Restored backups compared", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_asked(run, Rung.RESTORABLE)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		found = []
		for site in run.spec.site_names:
			directory = run.directory.backup_of(site)
			with _noting_failure(directory, Rung.RESTORABLE, "restore"):
				facts = self._prove(run, site, directory)
			Proof(directory).record(Rung.RESTORABLE, facts)
			found.append(f"{site}: {facts['tables']} tables, compared with {facts['compared_with']}")
		return {"found": "; ".join(found)}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return _observe_rung(run, Rung.RESTORABLE, (result or {}).get("found", "compared with the sites"))

	def _prove(self, run: Run, site: str, directory: Path) -> dict[str, Any]:
		if not self.databases.wants_standby(site):
			# No administrator's rights: a private server shows that it can be restored.
			return prove_in_scratch(run.bench, directory, run.measure(f"{site}, proving"))
		standby = self.databases.standbys[site]
		compared = standby.prove()
		return {**compared, **check_standby(run.bench, standby, directory, compared)}


@dataclass(eq=False)
class ProveBootable(Step):
	"""Start each site on its standby in private, ask it, and let the plan's own check look."""

	copies: Copies
	databases: Databases

	name, title, phase = "bootable", "Sites started on their standby", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return _why_not_asked(run, Rung.BOOTABLE)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for site in run.spec.site_names:
			directory, standby = run.directory.backup_of(site), self.databases.standbys[site]
			with _noting_failure(directory, Rung.BOOTABLE, "boot"):
				answers = self.copies.booting.boot(site, standby, run.spec.backup.boot_check)
			Proof(directory).record(Rung.BOOTABLE, answers)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return _observe_rung(
			run, Rung.BOOTABLE, f"{len(run.spec.site_names)} site(s) answer from their standby"
		)


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


def _why_not_asked(run: Run, rung: Rung) -> str | None:
	if run.required_rung() >= rung:
		return None
	migrates = "" if run.state.needs("migrate")["needed"] else ", and does not migrate"
	return f"the plan asks for rung {run.required_rung()} of the backup{migrates}"


def _observe_rung(run: Run, rung: Rung, found: str) -> Observation:
	"""What was recorded counts after a crash as well: with the files as they are now."""
	for site in run.spec.site_names:
		if not Proof(run.directory.backup_of(site)).has(rung):
			return Observation(False, f"the backup of {site} is not proven to be {rung.words}")
	return Observation(True, found)


@contextmanager
def _noting_failure(directory: Path, rung: Rung, what: str) -> Iterator[None]:
	"""A backup that failed on a rung is known by that from now on, whatever becomes of the run."""
	try:
		yield
	except DeployError as error:
		Proof(directory).record_failure(rung, what, error.why)
		raise
