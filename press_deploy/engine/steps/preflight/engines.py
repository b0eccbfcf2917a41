"""Is every site on a database engine of which this app can prove a backup, and put one back?"""

from __future__ import annotations

from collections.abc import Iterator

from press_deploy.engine.databases.engines import engine_of, find_engine
from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run


def check_engines(run: Run, ports: Ports) -> Iterator[Check]:
	for site in _list_sites(run):
		name = f"Database engine: {site}"
		try:
			yield ok(name, engine_of(_find_type(run, site)).title)
		except Refused as error:
			yield fail(name, error.why, error.remedy)


def list_sites_with_engine(run: Run) -> list[str]:
	"""The sites of the plan whose databases can be looked at any further; of the others `check_engines` says it."""
	return [site for site in _list_sites(run) if find_engine(_find_type(run, site))]


def _list_sites(run: Run) -> list[str]:
	return [site for site in run.spec.site_names if site in run.bench.sites()]


def _find_type(run: Run, site: str) -> object:
	return run.bench.read_config(site).get("db_type")
