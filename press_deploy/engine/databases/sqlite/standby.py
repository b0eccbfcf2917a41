"""The standby of a site on SQLite: where it lies, and what is left of standbys beside the sites' files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.sqlite.place import directory_in, file_in
from press_deploy.engine.databases.sqlite.standby_file import SQLiteStandby
from press_deploy.engine.databases.standby.base import StandbyDatabase, require_database_name
from press_deploy.engine.databases.standby.names import PURPOSES, name_database


def open_standby(bench: Bench, site: str, run: str, directory: Path) -> StandbyDatabase | None:
	live, places = require_database_name(bench, site), directory_in(bench.site(site))
	name, quarantine = (places / f"{name_database(live, each, run)}.db" for each in PURPOSES)
	return SQLiteStandby(site, run, file_in(bench.site(site), live), name, quarantine, directory)


def list_kept(bench: Bench, sites: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
	runs = [path.name for path in bench.deployments.iterdir()] if bench.deployments.is_dir() else []
	return [each for site in sites for each in _list_of(bench, site, runs)], []


def _list_of(bench: Bench, site: str, runs: list[str]) -> list[dict[str, Any]]:
	found: list[dict[str, Any]] = []
	database = bench.read_config(site).get("db_name")
	for purpose in PURPOSES if database else ():
		known = {name_database(database, purpose, run): run for run in runs}
		for path in sorted(directory_in(bench.site(site)).glob(f"*_{purpose}_*.db")):
			status = path.stat()
			created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
			found.append(
				{
					**{"name": str(path), "purpose": purpose, "site": site, "run": known.get(path.stem)},
					**{"bytes": status.st_size, "created": created},
				}
			)
	return found
