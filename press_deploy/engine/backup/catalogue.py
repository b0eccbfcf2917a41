"""Every backup that a bench has: those of its runs, and those that were made by themselves.

Invariant: a backup is found by its place and named by when it was made, never guessed as “the newest file” of
somebody's directory; one that is not whole is listed as what it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.making import Maker
from press_deploy.engine.backup.manifest import MADE, database_file, is_verified
from press_deploy.engine.backup.restorable import prove_restorable
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import DeployError, Refused
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.programs import Programs
from press_deploy.engine.progress import ProgressMeter
from press_deploy.engine.run_directory import list_runs
from press_deploy.engine.site_processes import SiteProcesses

# Beside the runs, in the directory that is the bench user's alone.
BACKUPS = "backups"
Say = Callable[[str], None]


@dataclass(frozen=True)
class BackupEntry:
	"""One backup of one site; `made` is ISO time, `bytes` all its files, `run` the run that made it."""

	directory: Path
	site: str
	made: str
	method: str
	bytes: int
	reached: Rung
	run: str | None
	proof: dict[str, Any]

	@property
	def name(self) -> str:
		return self.run or self.directory.name


def find_backups(bench: Bench, site: str | None = None) -> list[BackupEntry]:
	"""The backups of a bench, or of one site, newest first."""
	found = [entry for directory, run in _directories(bench) if (entry := _read(directory, run))]
	wanted = [entry for entry in found if site in (None, entry.site)]
	return sorted(wanted, key=lambda entry: (entry.made, entry.directory.name), reverse=True)


def back_up_site(
	bench: Bench, site: str, settings: Backup | None = None, say: Say = lambda line: None
) -> BackupEntry:
	"""Back one site up, outside of any run, and see that it is whole. Raises `Refused`, `StepFailed`."""
	stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
	directory = bench.deployments / BACKUPS / site / f"{stamp}-{secrets.token_hex(2)}"
	directory.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
	settings = settings or Backup()
	maker = Maker(
		bench,
		SiteProcesses(bench, directory.parent, Programs()),
		settings,
		lambda what: ProgressMeter(lambda line: say(f"{what}: {line}")),
	)
	method = maker.make(site, directory, with_files=settings.with_files)
	say(f"{site}: made by method {method.name} ({method.reason})")
	maker.verify(site, directory, find_previous_size(bench, site, directory))
	say(f"{site}: whole, in {directory}")
	return _read(directory, None)


def prove_latest(bench: Bench, site: str, say: Say = lambda line: None) -> BackupEntry:
	"""Restore the newest backup of a site into a database of its own, compare, and drop that again: rung 4.

	Raises `Refused` when there is no backup, and `StepFailed`; the failure is recorded with the backup.
	"""
	newest = next(iter(find_backups(bench, site)), None)
	if newest is None:
		raise Refused(
			"Proving", f"the newest backup of {site}", "there is none", f"press-deploy backup {site}"
		)
	say(f"{site}: proving {newest.directory}")
	proof = Proof(newest.directory)
	try:
		meter = ProgressMeter(lambda line: say(f"{site}: {line}"))
		facts = prove_restorable(bench, site, newest.directory, meter)
	except DeployError as error:
		proof.record_failure(Rung.RESTORABLE, "restore", error.why)
		raise
	proof.record(Rung.RESTORABLE, facts)
	say(f"{site}: restored, and compared with the backup: {proof.describe()}")
	return _read(newest.directory, newest.run)


def find_previous_size(bench: Bench, site: str, directory: Path) -> int | None:
	"""Bytes of the database in the newest other whole backup of this site that was made by the same method."""
	this = _read(directory, None)
	for entry in find_backups(bench, site):
		is_other = entry.directory != directory and this and entry.method == this.method
		if is_other and is_verified(entry.directory):
			return database_file(entry.directory).stat().st_size
	return None


def _directories(bench: Bench) -> list[tuple[Path, str | None]]:
	of_runs = [(site, run.name) for run in list_runs(bench.path) for site in sorted(run.backup.glob("*"))]
	return [*of_runs, *((path, None) for path in sorted((bench.deployments / BACKUPS).glob("*/*")))]


def _read(directory: Path, run: str | None) -> BackupEntry | None:
	try:
		made = json.loads((directory / MADE).read_text())
		size = sum(Path(file["path"]).stat().st_size for file in made["files"])
		facts = made["site"], made["made"], made["method"]
	except (OSError, ValueError, KeyError, TypeError):
		return None
	proof = Proof(directory)
	return BackupEntry(directory, *facts, size, proof.reached(), run, proof.as_data())
