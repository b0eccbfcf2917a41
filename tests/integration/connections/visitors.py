"""Other people at work on a site's database, each over a connection of their own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pymysql

from press_deploy.engine.databases.mariadb.server import Server

LIVE = "my_shop"
# A report of 100 seconds over the table that is altered.
REPORT = "SELECT SLEEP(0.05)\n\n  FROM tabItem"
ALTER = "ALTER TABLE tabItem ADD COLUMN colour VARCHAR(10)"
HANG_SECONDS = 60
# Far longer than a test may take: who is ended by this limit fails the test.
NEVER = 7000.0


AT_REPORT = "INFO LIKE '%FROM tabItem' AND STATE = 'User sleep'"
IDLE = f"COMMAND = 'Sleep' AND DB = '{LIVE}'"
AT_ALTER = "STATE = 'Waiting for table metadata lock'"


class Visitors:
	"""Connections of other people, each with a statement at work; how it ended is in its future."""

	def __init__(self, pool: ThreadPoolExecutor, stack: ExitStack):
		self._pool, self._stack = pool, stack

	def begin(self, server: Server, *statements: str, database: str | None = LIVE) -> Visitor:
		connection = server.connect(database)
		self._stack.callback(_close, connection)
		return Visitor(connection, self._pool.submit(_execute, connection, statements))


class Visitor:
	def __init__(self, connection: pymysql.Connection, future: Future):
		self.number, self.future = connection.thread_id(), future

	@property
	def was_ended(self) -> bool:
		return isinstance(self.future.exception(HANG_SECONDS), pymysql.Error)


def _close(connection: pymysql.Connection) -> None:
	# Whoever was ended has no connection to close.
	with suppress(pymysql.Error):
		connection.close()


def _execute(connection: pymysql.Connection, statements: tuple[str, ...]) -> None:
	with connection.cursor() as cursor:
		for statement in statements:
			cursor.execute(statement)
