"""Watches over work on a database: who keeps it waiting for a lock is shown, and ended when foreign and old enough.

Invariant: the work never fails over its watch, and ends no sooner or later for it. What is ended is announced
before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from types import TracebackType

import pymysql

from press_deploy.engine.databases.mariadb.foreigners import (
	Connection,
	Ourselves,
	Wait,
	end_connection,
	find_wait,
	tell_how_to_end,
)
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import DeployError

LOOK_SECONDS = 0.5
# A shorter wait is everyday life, and told to nobody.
SHOWN_SECONDS = 1.0
READ_SECONDS = 15


class LockWatch:
	"""Looks from a thread for as long as the `with` block lasts.

	`tell` hears each look at a wait, `note` what an admin should read afterwards, and before somebody is ended.
	`list_ports` says which ports our own processes have open. `limit` is in seconds.
	"""

	def __init__(
		self,
		server: Server,
		database: str,
		account: str,
		limit: float,
		tell: Callable[[str], None],
		note: Callable[[str], None],
		list_ports: Callable[[], set[int]],
	):
		self._server, self._database, self._account, self._limit = server, database, account, limit
		self._tell, self._note, self._list_ports = tell, note, list_ports
		self._over = threading.Event()
		self._spared: set[int] = set()
		self._thread: threading.Thread | None = None

	def __enter__(self) -> LockWatch:
		try:
			connection = self._server.connect(read_seconds=READ_SECONDS)
		except (pymysql.Error, OSError) as error:
			self._tell(f"Whoever holds {self._database} up will not be seen: {error}")
			return self
		# Whatever has a smaller number was there before the work began.
		ourselves = Ourselves(self._account, connection.thread_id())
		self._thread = threading.Thread(
			target=self._watch, args=(connection, ourselves), name="lock watch", daemon=True
		)
		self._thread.start()
		return self

	def __exit__(
		self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
	) -> None:
		self._over.set()
		if self._thread:
			self._thread.join()

	def _watch(self, connection: pymysql.Connection | None, ourselves: Ourselves) -> None:
		while not self._over.wait(LOOK_SECONDS):
			try:
				connection = connection or self._server.connect(read_seconds=READ_SECONDS)
				with connection.cursor() as cursor:
					self._look(cursor, ourselves)
			except (pymysql.Error, OSError) as error:
				# Somebody may end this one, too; the next look is over a new one.
				self._tell(f"Whoever holds {self._database} up could not be seen: {error}")
				_close(connection)
				connection = None
			except DeployError:
				# The journal can't be written: the run itself meets that at its next record.
				break
		_close(connection)

	def _look(self, cursor: pymysql.cursors.Cursor, ourselves: Ourselves) -> None:
		wait, listed = find_wait(cursor, self._database, ourselves)
		if wait is None or wait.waiting.seconds < SHOWN_SECONDS:
			return
		self._tell(self._describe(wait))
		# Read after the list: a port that is in no process of ours by now was none of ours when it was listed.
		foreign = {each.number for each in ourselves.find_foreign(listed, self._list_ports())}
		for each in wait.holders:
			if each.age >= self._limit and each.number not in self._spared:
				self._end(cursor, each, wait, each.number in foreign)

	def _end(self, cursor: pymysql.cursors.Cursor, each: Connection, wait: Wait, is_foreign: bool) -> None:
		held_up = f"it holds up {wait.waiting.statement or 'this run'} on {self._database}"
		if not is_foreign:
			self._spared.add(each.number)
			self._note(
				f"Not ended, since it may be one of this run's own: {each}; {held_up}. If it is none: "
				f"{tell_how_to_end(each)}"
			)
			return
		self._note(f"Ending {each}: {held_up}, and is older than {self._limit:g} s")
		if not end_connection(cursor, each.number):
			self._spared.add(each.number)
			self._note(
				f"{self._server.user} may not end connection {each.number}; as the database's administrator: "
				f"{tell_how_to_end(each)}"
			)

	def _describe(self, wait: Wait) -> str:
		holders = "; ".join(map(str, wait.holders))
		nobody = (
			f"nobody whom {self._server.user} may see; as the database's administrator: "
			"sudo mariadb -e 'SHOW FULL PROCESSLIST', then KILL with its number"
		)
		return (
			f"{self._database} has been waiting for a lock for {wait.waiting.seconds:.0f} s "
			f"({wait.waiting.statement}), held by {holders or nobody}"
		)


def _close(connection: pymysql.Connection | None) -> None:
	if connection is not None:
		try:
			with closing(connection):
				pass
		except pymysql.Error:
			# It was lost before.
			pass
