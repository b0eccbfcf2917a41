"""Whether a site can have a standby database, and which.

Invariant: on an engine that nobody tested, there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.engines import ENGINES, find_engine
from press_deploy.engine.databases.standby.base import StandbyDatabase
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
	engine = find_engine(bench.read_config(site).get("db_type"))
	return engine.standby.open_standby(bench, site, run, directory) if engine else None


def list_kept(bench: Bench) -> tuple[list[dict[str, Any]], list[str]]:
	"""The standby and quarantine databases of a bench, and the sites of which they aren't known.

	See `Standby.list_kept`. Raises `DeployError`.
	"""
	kept: list[dict[str, Any]] = []
	unknown: list[str] = []
	engines = {site: find_engine(bench.read_config(site).get("db_type")) for site in bench.sites()}
	for engine in ENGINES.values():
		found, others = engine.standby.list_kept(bench, [site for site in engines if engines[site] is engine])
		kept += found
		unknown += others
	return kept, unknown
