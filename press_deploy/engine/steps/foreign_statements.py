"""Behind closed doors nobody else's statement has a right to wait for: before a migration, and while it works.

Invariant: whoever is ended is named in the journal before, with age, account and statement; our own are spared.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from operator import not_
from typing import Any

from press_deploy.engine.bench.processes import list_ports_of
from press_deploy.engine.databases.engine import Company, Visitor, Watch
from press_deploy.engine.databases.engines import engine_of, find_engine
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.waiting import wait_until
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.run import Run

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
			found.append(f"{site}: {self._say(run, site, begun)}")
		return {"found": "; ".join(found)}

	def _say(self, run: Run, site: str, begun: float) -> str:
		config = run.bench.read_config(site)
		# Our own look into the database would be one that is found; it connects again by itself.
		self.databases.sites[site].close()
		with engine_of(config.get("db_type")).others.look_at(config, site) as company:
			if company is None:
				return "no server, so nobody else can hold a table"
			return _Farewell(run, site, company).say(begun)

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		# Asked again after a crash: who is at work now is another question than who was.
		return Observation(result is not None, (result or {}).get("found", "not known; looked at again"))


class _Farewell:
	"""One site's database: look, wait, end."""

	def __init__(self, run: Run, site: str, company: Company):
		self._run, self._site, self._company = run, site, company
		self._limit, self._told = run.spec.drain.foreign_seconds, ""

	def say(self, begun: float) -> str:
		"""`begun`: when the step did, on the monotonic clock; all sites share the limit."""
		waited_for = {each.number for each in self._company.list_busy()}
		if not waited_for:
			return f"nobody else at work on {self._company.database}"
		left = wait_until(
			lambda: self._find_left(waited_for, time.monotonic() - begun),
			begun + self._limit - time.monotonic(),
			not_,
			poll_seconds=POLL_SECONDS,
			heed=self._run.stop_if_asked,
		)
		return self._end(left) if left else "others have finished, or have only just begun"

	def _find_left(self, waited_for: set[int], passed: float) -> list[Visitor]:
		"""Those who still do what they did when the step began, and they are shown; a connection in use may have gone
		on to another.
		"""
		left = [
			each
			for each in self._company.list_busy()
			if each.number in waited_for and each.age + TOLERANCE_SECONDS >= passed
		]
		if left:
			self._show(left)
		return left

	def _show(self, left: list[Visitor]) -> None:
		line = f"{self._site}: at work on {self._company.database}: {'; '.join(map(str, left))}"
		self._run.on_progress(line)
		who = str([(each.number, each.statement) for each in left])
		if who != self._told:
			self._told = who
			self._run.log(line)

	def _end(self, left: list[Visitor]) -> str:
		refused = 0
		for each in left:
			self._run.note(f"Ending {each}: {self._site} is closed, and {self._limit:g} s have passed")
			if not self._company.end(each):
				refused += 1
				self._run.note(
					f"{self._company.account} may not end connection {each.number}; as the database's administrator: "
					f"{self._company.tell_how_to_end(each)}"
				)
		ended = f"{len(left) - refused} connection(s) of others ended after {self._limit:g} s"
		return f"{ended}, {refused} still at work, which this account may not end" if refused else ended


@contextmanager
def watch_for_holders(run: Run, databases: Databases, site: str, ends: bool = True) -> Iterator[None]:
	"""While a site process changes a site's database: show who keeps it waiting, and end who is foreign if it `ends`."""
	config = run.bench.read_config(site)
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

	limit = run.spec.drain.foreign_seconds if ends else math.inf
	watch = Watch(limit, tell, run.note, lambda: list_ports_of(run.name))
	# A test site may be on an engine that is not in the table: it is migrated, and never put back.
	engine = find_engine(config.get("db_type"))
	with engine.others.watch_locks(config, watch) if engine else nullcontext():
		yield
