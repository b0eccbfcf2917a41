"""The standby of a site, whatever its database is, and what is left of standbys on a server.

Invariant: a kind of database that can't be swapped is refused with a reason, before anything is made.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.administrator import WHERE_NAMED
from press_deploy.engine.databases.mariadb.schemas import QUARANTINE, STANDBY, list_marked, measure_schema
from press_deploy.engine.databases.mariadb.server import Server, name_database
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.swap import Databases
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.mariadb import MariaDBStandby
from press_deploy.engine.databases.standby.sqlite import SQLiteStandby
from press_deploy.engine.ground.errors import DeployError, StepFailed

DOING = "Opening the standby database of"
PURPOSES = (STANDBY, QUARANTINE)


def open_standby(
	bench: Bench, site: str, run: str, directory: Path, administrator: Server | None
) -> StandbyDatabase:
	"""`directory` is a private one of the run's, for notes. Raises `StepFailed` where there can't be one."""
	config = bench.read_config(site)
	live, kind = config.get("db_name"), config.get("db_type") or "mariadb"
	if not live:
		raise StepFailed(
			DOING, site, "its configuration has no db_name", f"write db_name into {bench.site_config(site)}"
		)
	if kind == "sqlite":
		places = bench.site(site) / "db"
		name, quarantine = (places / f"{name_database(live, each, run)}.db" for each in PURPOSES)
		return SQLiteStandby(site, run, places / f"{live}.db", name, quarantine, directory)
	if kind != "mariadb":
		raise StepFailed(
			DOING,
			site,
			f"databases of type {kind} can't be swapped",
			f"restore a backup: bench --site {site} restore FILE",
		)
	if administrator is None:
		raise StepFailed(
			DOING,
			site,
			"the database's administrator is not known",
			f"name the administrator: {WHERE_NAMED}",
		)
	name, quarantine = (name_database(live, each, run) for each in PURPOSES)
	databases = Databases(live, name, quarantine, config.get("db_user") or live)
	return MariaDBStandby(site, run, databases, administrator, directory, _list_site_databases(bench))


def list_databases(bench: Bench, administrator: Server | None) -> list[dict[str, Any]]:
	"""The standby and quarantine databases of the bench's sites, on the administrator's server and in files.

	Each is {"name", "purpose", "site", "run", "bytes", "created"}; the run of a file is None when the bench
	doesn't know it any more. Raises `StepFailed`.
	"""
	found = _list_files(bench)
	if administrator is None:
		return found
	live = _list_site_databases(bench)
	with translate_server_errors("Looking for", "standby databases"), administrator.session() as cursor:
		for schema in list_marked(cursor):
			mark = schema.mark
			if mark and mark.live in live and schema.name not in live:
				size = measure_schema(cursor, schema.name)
				found.append(
					{
						**{"name": schema.name, "purpose": mark.purpose, "site": mark.site, "run": mark.run},
						**{"bytes": size, "created": mark.created},
					}
				)
	return found


def _list_files(bench: Bench) -> list[dict[str, Any]]:
	runs = [path.name for path in bench.deployments.iterdir()] if bench.deployments.is_dir() else []
	found = []
	for site in bench.sites():
		config = _read_config(bench, site)
		if config.get("db_type") != "sqlite" or not config.get("db_name"):
			continue
		for purpose in PURPOSES:
			known = {name_database(config["db_name"], purpose, run): run for run in runs}
			for path in sorted((bench.site(site) / "db").glob(f"*_{purpose}_*.db")):
				status = path.stat()
				created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
				found.append(
					{
						**{"name": str(path), "purpose": purpose, "site": site, "run": known.get(path.stem)},
						**{"bytes": status.st_size, "created": created},
					}
				)
	return found


def _list_site_databases(bench: Bench) -> frozenset[str]:
	names = (_read_config(bench, site).get("db_name") for site in bench.sites())
	return frozenset(name for name in names if name)


def _read_config(bench: Bench, site: str) -> dict[str, Any]:
	"""Nothing for a site whose configuration can't be read: it names no database that could be known."""
	try:
		return bench.read_config(site)
	except DeployError:
		return {}
