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
from press_deploy.engine.backup.restorable import prove_restorable
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases.backup_files import MADE, MANIFEST, database_file, is_verified
from press_deploy.engine.ground.errors import DeployError, Refused
from press_deploy.engine.ground.progress import ProgressMeter
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.plan.backup import Backup

# Beside the runs, in the directory that is the bench user's alone.
BACKUPS = "backups"
# How a directory is called as soon as it is being removed: it may be half gone.
EXPIRED = ".expired-"
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
	present = [(path, run) for path, run in _directories(bench) if not path.name.startswith(EXPIRED)]
	found = [entry for path, run in present if (entry := _read(path, run))]
	wanted = [entry for entry in found if site in (None, entry.site)]
	return sorted(wanted, key=lambda entry: (entry.made, entry.directory.name), reverse=True)


def back_up_site(
	bench: Bench, site: str, settings: Backup | None = None, say: Say = lambda line: None
) -> BackupEntry:
	"""Back one site up, outside of any run, and see that it is whole. Raises `Refused`, `StepFailed`.

	What its programs say is kept beside the site's backups until the next one is made; errors name that file.
	"""
	stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
	directory = bench.deployments / BACKUPS / site / f"{stamp}-{secrets.token_hex(2)}"
	directory.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
	settings = settings or Backup()
	programs, log = Programs(), bench.deployments / BACKUPS / f"{site}.log"
	log.unlink(missing_ok=True)
	maker = Maker(
		bench,
		SiteProcesses(bench, programs),
		settings,
		lambda what: ProgressMeter(lambda line: say(f"{what}: {line}")),
	)
	with programs.logging_to(log):
		method = maker.make(site, directory, with_files=settings.with_files)
		say(f"{site}: made by method {method.name} ({method.reason})")
		maker.verify(site, directory, find_previous_size(bench, site, directory))
	say(f"{site}: whole, in {directory}")
	return _read(directory, None)


def prove_latest(bench: Bench, site: str, say: Say = lambda line: None) -> BackupEntry:
	"""Restore the newest backup of a site into a database of its own, compare, and drop that again: rung 4.

	It is the newest that was seen to be whole and that no run is at work on. Raises `Refused` when there is none, and
	`StepFailed`; the failure is recorded with the backup. A run may start meanwhile, and prove its own.
	"""
	newest = _find_provable(bench, site)
	say(f"{site}: proving {newest.directory}, made {newest.made}")
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


def _find_provable(bench: Bench, site: str) -> BackupEntry:
	entries = find_backups(bench, site)
	for entry in entries:
		# One whose files were lost since has a manifest, and fails its proof.
		if (entry.directory / MANIFEST).is_file() and not _may_be_at_work(bench, entry.run):
			return entry
	none = f"none of {len(entries)} was seen to be whole, and is of no run that is still at work"
	why = none if entries else "there is none"
	raise Refused("Proving", f"the newest backup of {site}", why, bench.command_to_type("backup", site))


def _may_be_at_work(bench: Bench, run: str | None) -> bool:
	"""Whether the run that made a backup is not over, and proves it itself. Not known is yes."""
	try:
		return run is not None and load_state(RunDirectory.open(bench.path, run)).is_unfinished
	except DeployError:
		return True


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
