"""The standby of a site on MariaDB: where it is, and what is left of standbys on the servers of a bench.

Invariant: it is never made with other rights than the administrator's; without them there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.schemas import list_marked, measure_schema
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.standby_database import MariaDBStandby
from press_deploy.engine.databases.mariadb.swap import Databases
from press_deploy.engine.databases.standby.base import StandbyDatabase, require_database_name
from press_deploy.engine.databases.standby.names import PURPOSES, name_database
from press_deploy.engine.ground.errors import DeployError


def open_standby(bench: Bench, site: str, run: str, directory: Path) -> StandbyDatabase | None:
	administrator = find_administrator(bench.read_config(site))
	return open_on_server(bench, site, run, directory, administrator) if administrator else None


def open_on_server(
	bench: Bench, site: str, run: str, directory: Path, administrator: Server
) -> MariaDBStandby:
	"""The same, as this administrator. Raises `StepFailed`."""
	config = bench.read_config(site)
	live = require_database_name(bench, site)
	name, quarantine = (name_database(live, each, run) for each in PURPOSES)
	databases = Databases(live, name, quarantine, config.get("db_user") or live)
	return MariaDBStandby(site, run, databases, administrator, directory, _list_site_databases(bench))


def list_kept(bench: Bench, sites: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
	administrators = {site: find_administrator(bench.read_config(site)) for site in sites}
	found: list[dict[str, Any]] = []
	for administrator in {each for each in administrators.values() if each}:
		found += [each for each in list_on_server(bench, administrator) if each not in found]
	return found, [site for site, administrator in administrators.items() if administrator is None]


def list_on_server(bench: Bench, administrator: Server) -> list[dict[str, Any]]:
	"""The standby and quarantine databases of the bench's sites on one server. Raises `StepFailed`."""
	live, found = _list_site_databases(bench), []
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


def _list_site_databases(bench: Bench) -> frozenset[str]:
	names = (_read_config(bench, site).get("db_name") for site in bench.sites())
	return frozenset(name for name in names if name)


def _read_config(bench: Bench, site: str) -> dict[str, Any]:
	"""Nothing for a site whose configuration can't be read: it names no database that could be known."""
	try:
		return bench.read_config(site)
	except DeployError:
		return {}
