"""A site's visitors, as a thread: they read and write twenty times a second, as long as the site is open.

**Invariant:** a visit counts only when its row was committed; what counts is kept, to be looked for later.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pymysql

from press_deploy.engine.databases.mariadb.server import Server

VISITS_A_SECOND = 20
TABLE = "tabVisit"
DEFINITION = f"CREATE TABLE `{TABLE}` (name bigint NOT NULL PRIMARY KEY, moment double NOT NULL)"


class Visitors:
	"""`open_site` and `close_site` are the maintenance mode; closing waits for the visit under way."""

	def __init__(self, server: Server, database: str, first: int = 1):
		self._server, self._database = server, database
		self._open, self._stopped = True, threading.Event()
		self._visit = threading.Lock()
		self._thread = threading.Thread(target=self._go_on)
		self.served: list[float] = []
		self.first = self._next = first

	def __enter__(self) -> Visitors:
		self._thread.start()
		self.wait_for_visits(5)
		return self

	def __exit__(self, *_: object) -> None:
		self._stopped.set()
		self._thread.join()

	@property
	def written(self) -> range:
		"""The names of the rows that were committed."""
		return range(self.first, self._next)

	def close_site(self) -> None:
		with self._visit:
			self._open = False

	def open_site(self) -> None:
		self._open = True

	def wait_for_visits(self, count: int) -> None:
		"""Until so many more were served."""
		wanted = len(self.served) + count
		while len(self.served) < wanted:
			if not self._thread.is_alive():
				raise RuntimeError("the visitors are gone")
			self._stopped.wait(1 / VISITS_A_SECOND)

	def measure_downtime(self, act: Callable[[], object]) -> float:
		"""Close the site, act, open it; returns the longest time without a visit, in seconds."""
		since = len(self.served) - 1
		self.close_site()
		act()
		self.open_site()
		self.wait_for_visits(5)
		moments = self.served[since:]
		return max(later - earlier for earlier, later in itertools.pairwise(moments))

	def _go_on(self) -> None:
		connection: pymysql.Connection | None = None
		while not self._stopped.wait(1 / VISITS_A_SECOND):
			with self._visit:
				if not self._open:
					continue
				try:
					connection = connection or self._server.connect(self._database)
					self._serve(connection)
				except (pymysql.Error, OSError):
					# A visitor who was turned away comes back; a row that was not acknowledged is not counted.
					connection = None
		if connection:
			connection.close()

	def _serve(self, connection: pymysql.Connection) -> None:
		with connection.cursor() as cursor:
			cursor.execute(f"REPLACE INTO `{TABLE}` VALUES (%s, %s)", (self._next, time.time()))
			cursor.execute("SELECT name FROM tabVersion ORDER BY name DESC LIMIT 1")
			if cursor.fetchone() is None:
				return
		self._next += 1
		self.served.append(time.monotonic())
