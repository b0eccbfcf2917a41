"""Which logs of a bench are watched: the files in its log directories, and the journal where systemd runs it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.services import Services
from press_deploy.engine.ground.errors import ServiceError
from press_deploy.engine.watching import journald, logs


class WatchedLogs:
	"""Those of a bench and of some of its sites; what can't be found out goes to `log`."""

	def __init__(self, bench: Bench, sites: list[str], services: Services, log: Callable[[str], None]):
		self._bench, self._sites, self._services, self._log = bench, sites, services, log

	def files(self) -> list[Path]:
		sites = (self._bench.site(site) / "logs" for site in self._sites)
		return logs.log_files([self._bench.logs, *sites])

	def units(self) -> list[str]:
		"""The units of systemd that run the bench; what they write may be in the journal."""
		try:
			return journald.find_units(self._services.programs())
		except ServiceError as error:
			self._log(f"Whether the services write to the journal is not known: {error}")
			return []

	def mark(self) -> dict[str, Any]:
		"""Where they end now: {"marks": of the files, "journal": of the units, None without such}."""
		units = self.units()
		return {
			"marks": logs.mark(self.files()),
			"journal": journald.mark_journal(units) if units else None,
		}

	def read(self, marks: dict[str, Any], settled: dict[str, Any]) -> list[logs.Finding]:
		"""What they say went wrong since `marks`; both are as `mark` returns them, `settled` may be empty."""
		files, journal = self.files(), marks.get("journal")
		if not files and not marks["marks"] and not journal:
			where = f"there is no *.log in {self._bench.logs}, and no unit of systemd"
			return [logs.unread(f"no log of this bench is watched: {where}")]
		sources = logs.file_sources(marks["marks"], files, settled.get("marks"))
		if journal:
			sources = chain(sources, journald.journal_sources(journal, settled.get("journal")))
		return logs.collect(sources)
