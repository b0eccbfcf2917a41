"""Rung 1: a backup of one site is made, by the fastest method that the bench offers.

Configuration and files always come from Frappe's own backup, in a site process; so does the database, unless
a faster method gives the same guarantees.

Invariant: a backup has every part that was asked for and is named by whoever asked, or there is none.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.config_secrets import KEY_NAME, protect_config
from press_deploy.engine.backup.verifying import verify
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.databases.backup_files import MADE
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.dumps.facts import Expectation
from press_deploy.engine.databases.dumps.method import FRAPPE, Measure, Method
from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import STEP_LOG, StepFailed
from press_deploy.engine.plan.backup import Backup

BACKUP_SECONDS = 7200


@dataclass(frozen=True)
class Maker:
	"""Makes backups of a bench's sites. `measure` gives the progress of something that takes long."""

	bench: Bench
	site_processes: SiteProcesses
	settings: Backup = field(default_factory=Backup)
	measure: Measure = lambda what: None

	def make(self, site: str, directory: Path, *, with_files: bool, as_dump: bool = False) -> Method:
		"""Back one site up into an empty directory. What an interrupted call left there goes.

		Raises `StepFailed`, and `Refused` where nobody may read all of the database.

		`as_dump`: the site itself is to import it, which can read nothing else.
		"""
		config = self.bench.read_config(site)
		dumping = engine_of(config.get("db_type")).dumping
		size = _size_of(self.bench, site)
		method = dumping.choose_method(self.settings.method, config, size, as_dump=as_dump)
		dumping.require_whole(method, config)
		shutil.rmtree(directory, ignore_errors=True)
		directory.mkdir(parents=True, mode=0o700)
		made = self.site_processes.call(
			"backup",
			site,
			timeout=BACKUP_SECONDS,
			directory=str(directory),
			with_files=with_files,
			with_database=method.name == FRAPPE,
		)
		files = [*made["files"], *dumping.dump(method, config, site, directory, self.measure)]
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
		wanted = engine_of(config.get("db_type")).dumping.name_in_dump(config)
		expected = Expectation(previous_size=previous_size, database=wanted)
		return verify(directory, expected, progress=self.measure(f"{site}, reading the backup"))

	def _protect(self, files: list[dict[str, str]]) -> None:
		key_file = self.bench.deployments / KEY_NAME
		for file in files:
			if file["kind"] == "config":
				file["path"] = str(protect_config(Path(file["path"]), self.settings.config_secrets, key_file))
			os.chmod(file["path"], 0o600)


def _size_of(bench: Bench, site: str) -> int | None:
	database = Database(bench, site)
	try:
		return database.size_bytes()
	except DatabaseUnavailable:
		return None
	finally:
		database.close()


def _check_parts(site: str, files: list[dict[str, str]], made: dict[str, Any], with_files: bool) -> None:
	kinds = {"database" if file["kind"] == "physical" else file["kind"] for file in files}
	wanted = {"database", "config"} | ({"public_files", "private_files"} if with_files else set())
	if made.get("partial") or not wanted <= kinds:
		has = ", ".join(sorted(kinds)) or "nothing"
		why = f"the backup is not complete: it has {has}"
		raise StepFailed("Backing up", site, why, f"see {STEP_LOG}")
