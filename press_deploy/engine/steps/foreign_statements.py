"""Behind closed doors nobody else's statement has a right to wait for: before a migration, and while it works.

Invariant: whoever is ended is named in the journal before, with age, account and statement; our own are spared.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.processes import list_ports_of
from press_deploy.engine.databases.mariadb.foreigners import (
	Connection,
	choose_observer,
	end_connection,
	list_busy,
	tell_how_to_end,
)
from press_deploy.engine.databases.mariadb.lock_watch import LockWatch
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.run import Run

DOING = "Looking for others' statements on"
POLL_SECONDS = 0.5
# The server tells the age of a transaction in whole seconds.
TOLERANCE_SECONDS = 1.5
_AGE = re.compile(r"\bfor \d+ s\b")


@dataclass(eq=False)
class ForeignStatements(Step):
	"""Others' statements and transactions on the sites' databases get the plan's limit, then they are ended.

	Waited for is who is found at the first look; whoever comes later meets the watch over the migration.
	"""

	databases: Databases

	name, title, phase = "foreign-statements", "Others' statements on the databases", Phase.DEPLOY
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.is_closed:
			return "the sites are open, so others have every right to work on them"
		return (
			None
			if run.state.needs("migrate")["needed"]
			else "nothing is migrated, so nobody stands in the way"
		)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		found, begun = [], time.monotonic()
		for site in run.spec.site_names:
			if (config := _server_config(run, site)) is None:
				found.append(f"{site}: no server, so nobody else can hold a table")
				continue
			with translate_server_errors(DOING, site):
				found.append(f"{site}: {_Farewell(run, self.databases, site, config).say(begun)}")
		return {"found": "; ".join(found)}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		# Asked again after a crash: who is at work now is another question than who was.
		return Observation(result is not None, (result or {}).get("found", "not known; looked at again"))


class _Farewell:
	"""One site's database: look, wait, end."""

	def __init__(self, run: Run, databases: Databases, site: str, config: dict[str, Any]):
		self._run, self._site, self._own = run, site, databases.sites[site]
		self._server, self._database = choose_observer(config), config["db_name"]
		self._limit = run.spec.drain.foreign_seconds

	def say(self, begun: float) -> str:
		"""`begun`: when the step did, on the monotonic clock; all sites share the limit."""
		# Our own look into the database would be one that is found; it connects again by itself.
		self._own.close()
		with self._server.session() as cursor:
			waited_for, told = {each.number for each in list_busy(cursor, self._database)}, ""
			if not waited_for:
				return f"nobody else at work on {self._database}"
			while left := self._find_left(cursor, waited_for, time.monotonic() - begun):
				told = self._show(left, told)
				if (rest := begun + self._limit - time.monotonic()) <= 0:
					return self._end(cursor, left)
				self._run.stop_if_asked()
				time.sleep(min(POLL_SECONDS, rest))
			return "others have finished, or have only just begun"

	def _find_left(self, cursor: Any, waited_for: set[int], passed: float) -> list[Connection]:
		"""Those who still do what they did when the step began; a connection in use may have gone on to another."""
		return [
			each
			for each in list_busy(cursor, self._database)
			if each.number in waited_for and each.age + TOLERANCE_SECONDS >= passed
		]

	def _show(self, left: list[Connection], told: str) -> str:
		line = f"{self._site}: at work on {self._database}: {'; '.join(map(str, left))}"
		self._run.on_progress(line)
		who = str([(each.number, each.statement) for each in left])
		if who != told:
			self._run.log(line)
		return who

	def _end(self, cursor: Any, left: list[Connection]) -> str:
		refused = 0
		for each in left:
			self._run.note(f"Ending {each}: {self._site} is closed, and {self._limit:g} s have passed")
			if not end_connection(cursor, each.number):
				refused += 1
				self._run.note(
					f"{self._server.user} may not end connection {each.number}; as the database's administrator: "
					f"{tell_how_to_end(each)}"
				)
		ended = f"{len(left) - refused} connection(s) of others ended after {self._limit:g} s"
		return f"{ended}, {refused} still at work, which this account may not end" if refused else ended


@contextmanager
def watch_for_holders(run: Run, databases: Databases, site: str, ends: bool = True) -> Iterator[None]:
	"""While a site process changes a site's database: show who keeps it waiting, and end who is foreign if it `ends`."""
	config = _server_config(run, site)
	if config is None:
		yield
		return
	if site in databases.sites:
		# Nothing of ours may be older than what begins now; it connects again by itself.
		databases.sites[site].close()
	told: set[str] = set()

	def tell(line: str) -> None:
		run.on_progress(line)
		# The same wait, some seconds older, is worth one line in the log.
		if (wait := _AGE.sub("", line)) not in told:
			told.add(wait)
			run.log(line)

	with LockWatch(
		choose_observer(config),
		config["db_name"],
		Server.of_site(config).user,
		run.spec.drain.foreign_seconds if ends else math.inf,
		tell,
		run.note,
		lambda: list_ports_of(run.name),
	):
		yield


def _server_config(run: Run, site: str) -> dict[str, Any] | None:
	"""The configuration of a site on MariaDB; None for any other."""
	config = run.bench.read_config(site)
	return config if (config.get("db_type") or "mariadb") == "mariadb" and config.get("db_name") else None
