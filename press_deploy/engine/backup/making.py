"""Rung 1: a backup of one site is made, by the fastest method that the bench offers.

Configuration and files always come from Frappe's own backup, in a site process; so does the database, unless
a faster method gives the same guarantees.

Invariant: a backup has every part that was asked for and is named by whoever asked, or there is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.config_secrets import KEY_NAME, protect_config
from press_deploy.engine.backup.dumper import choose_dumper, require_frappes_dump
from press_deploy.engine.backup.verifying import verify
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases.backup_files import MADE
from press_deploy.engine.databases.database import Database, DatabaseUnavailable
from press_deploy.engine.databases.dumps.dump_check import Expectation
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.dumping import dump_database
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import STEP_LOG, Refused, StepFailed
from press_deploy.engine.ground.progress import Progress, show_size
from press_deploy.engine.plan.backup import Backup

BACKUP_SECONDS = 7200
# A copy of the server's files holds its system tablespace and its log, too; that pays for large databases.
PHYSICAL_FROM_BYTES = 500_000_000


@dataclass(frozen=True)
class Method:
	"""How a database is backed up, and why like that."""

	name: str
	reason: str


@dataclass(frozen=True)
class Maker:
	"""Makes backups of a bench's sites. `measure` gives the progress of something that takes long."""

	bench: Bench
	site_processes: SiteProcesses
	settings: Backup = field(default_factory=Backup)
	measure: Callable[[str], Progress | None] = lambda what: None

	def make(self, site: str, directory: Path, *, with_files: bool, as_dump: bool = False) -> Method:
		"""Back one site up into an empty directory. What an interrupted call left there goes.

		Raises `StepFailed`, and `Refused` where nobody may read all of the database.

		`as_dump`: the site itself is to import it, which can read nothing else.
		"""
		config = self.bench.read_config(site)
		method = choose_method(self.settings.method, config, _size_of(self.bench, site), as_dump=as_dump)
		if method.name == "frappe" and (config.get("db_type") or "mariadb") == "mariadb":
			require_frappes_dump(config)
		shutil.rmtree(directory, ignore_errors=True)
		directory.mkdir(parents=True, mode=0o700)
		made = self.site_processes.call(
			"backup",
			site,
			timeout=BACKUP_SECONDS,
			directory=str(directory),
			with_files=with_files,
			with_database=method.name == "frappe",
		)
		files = [*made["files"], *self._dump(site, config, directory, method)]
		_check_parts(site, files, made, with_files)
		self._protect(files)
		facts = {
			"site": site,
			"database": config.get("db_name"),
			"method": method.name,
			"reason": method.reason,
		}
		made_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
		durable.write_json(directory / MADE, {**facts, "made": made_at, "files": files})
		return method

	def verify(self, site: str, directory: Path, previous_size: int | None = None) -> dict[str, Any]:
		"""Rung 2: see that every file is whole, and write the manifest. Raises `StepFailed`."""
		config = self.bench.read_config(site)
		wanted = config.get("db_name") if config.get("db_type", "mariadb") == "mariadb" else None
		expected = Expectation(previous_size=previous_size, database=wanted)
		return verify(directory, expected, progress=self.measure(f"{site}, reading the backup"))

	def _dump(
		self, site: str, config: dict[str, Any], directory: Path, method: Method
	) -> list[dict[str, str]]:
		database = config.get("db_name", "")
		if method.name == "stream":
			target = directory / f"{site}-database.sql.zst"
			dump_database(choose_dumper(config), database, target, progress=self.measure(f"{site}, dumping"))
			return [{"kind": "database", "path": str(target)}]
		if method.name == "physical":
			target = directory / f"{site}-database{physical.SUFFIX}"
			physical.back_up(find_administrator(config), database, target, self.measure(f"{site}, copying"))
			return [{"kind": "physical", "path": str(target)}]
		return []

	def _protect(self, files: list[dict[str, str]]) -> None:
		key_file = self.bench.deployments / KEY_NAME
		for file in files:
			if file["kind"] == "config":
				file["path"] = str(protect_config(Path(file["path"]), self.settings.config_secrets, key_file))
			os.chmod(file["path"], 0o600)


def choose_method(
	wanted: str, config: dict[str, Any], size: int | None = None, *, as_dump: bool = False
) -> Method:
	"""The method for a site with this configuration and a database of `size` bytes.

	`as_dump`: not physical, whatever is wanted. Raises `Refused` when the one that is wanted can't be used.
	"""
	kind = config.get("db_type") or "mariadb"
	if kind != "mariadb":
		_refuse_unless(wanted in ("auto", "frappe"), wanted, f"the database is {kind}")
		return Method("frappe", f"{kind}: Frappe's own backup")
	if as_dump and wanted == "physical":
		wanted = "auto"
	no_physical = "the site is to import it" if as_dump else _why_not_physical(config, size, wanted)
	no_stream = _why_not_stream()
	if wanted == "physical" or (wanted == "auto" and no_physical is None):
		_refuse_unless(no_physical is None, wanted, no_physical or "")
		return Method("physical", "the server's files can be copied: fastest to make and to load")
	if wanted == "stream" or (wanted == "auto" and no_stream is None):
		_refuse_unless(no_stream is None, wanted, no_stream or "")
		why = "as the plan says" if wanted == "stream" else f"no physical copy: {no_physical}"
		return Method("stream", why)
	return Method("frappe", "as the plan says" if wanted == "frappe" else f"{no_stream}")


def _why_not_physical(config: dict[str, Any], size: int | None, wanted: str) -> str | None:
	if wanted == "auto" and (size or 0) < PHYSICAL_FROM_BYTES:
		return f"the database has less than {show_size(PHYSICAL_FROM_BYTES)}, which a dump reads soon enough"
	try:
		administrator = find_administrator(config)
	except Refused as error:
		return error.why
	if administrator is None:
		return "no administrator of the database is known"
	return physical.why_not(administrator, config["db_name"])


def _size_of(bench: Bench, site: str) -> int | None:
	database = Database(bench, site)
	try:
		return database.size_bytes()
	except DatabaseUnavailable:
		return None
	finally:
		database.close()


def _why_not_stream() -> str | None:
	return None if shutil.which("mariadb-dump") else "mariadb-dump was not found"


def _refuse_unless(possible: bool, method: str, why: str) -> None:
	if not possible:
		raise Refused(
			"Backing up by method",
			method,
			why,
			"set the method to auto, in the plan's backup or by --method auto, or mend that",
		)


def _check_parts(site: str, files: list[dict[str, str]], made: dict[str, Any], with_files: bool) -> None:
	kinds = {"database" if file["kind"] == "physical" else file["kind"] for file in files}
	wanted = {"database", "config"} | ({"public_files", "private_files"} if with_files else set())
	if made.get("partial") or not wanted <= kinds:
		has = ", ".join(sorted(kinds)) or "nothing"
		why = f"the backup is not complete: it has {has}"
		raise StepFailed("Backing up", site, why, f"see {STEP_LOG}")
