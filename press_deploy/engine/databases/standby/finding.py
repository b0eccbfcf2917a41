"""Whether a site can have a standby database, and which.

Invariant: without the administrator's rights, or on a kind of database that nobody tested, there is none; it
is never made with other rights than those that were meant for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.opening import open_standby
from press_deploy.engine.journal.run_directory import RunDirectory


def find_standbys(
	bench: Bench, run: RunDirectory, sites: Iterable[str], without: Collection[str] = ()
) -> dict[str, StandbyDatabase | None]:
	"""Those of one run, site by site; see `find_standby`. `without`: those for which preflight chose none."""
	return {
		site: None if site in without else find_standby(bench, site, run.name, run.private / "standby" / site)
		for site in sites
	}


def find_standby(bench: Bench, site: str, run: str, directory: Path) -> StandbyDatabase | None:
	"""The standby of one site and run, made or not; None where there can't be one.

	`directory` is the run's own, for notes. Raises `Refused` when the administrator's credentials can't be used.
	"""
	config = bench.read_config(site)
	kind = config.get("db_type") or "mariadb"
	if kind == "sqlite":
		return open_standby(bench, site, run, directory, None)
	administrator = find_administrator(config) if kind == "mariadb" else None
	return open_standby(bench, site, run, directory, administrator) if administrator else None
