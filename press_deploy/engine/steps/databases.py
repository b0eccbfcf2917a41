"""The port of databases: those of the sites, and the standbys that may take their place."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import cached_property

from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.standby.base import Former, StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.steps.run import Run


class Databases:
	"""The databases of one run's sites. Each connection is opened when it is first asked, and again after a failure."""

	def __init__(self, run: Run):
		self._run = run
		self._open, self.former = ExitStack(), {}

	@cached_property
	def sites(self) -> dict[str, Database]:
		return {site: Database(self._run.bench, site) for site in self._run.spec.site_names}

	@cached_property
	def standbys(self) -> dict[str, StandbyDatabase | None]:
		"""Where each site's backup is kept loaded; None where preflight found that there can be none."""
		run = self._run
		return find_standbys(run.bench, run.directory, run.spec.site_names, run.state.sites_without_standby)

	def wants_standby(self, site: str) -> bool:
		"""Whether the site's backup is to be kept loaded as its standby database."""
		return self._run.required_rung() >= Rung.RESTORABLE and self.standbys[site] is not None

	def keep_former(self, site: str, opened: AbstractContextManager[Former]) -> None:
		"""After a rollback: keep the site's replaced data as it is now, until the run ends."""
		self.former[site] = self._open.enter_context(opened)

	def close(self) -> None:
		self._open.close()
		for database in self.sites.values():
			database.close()
