"""Who holds on to a database: connections that use it, or those of a site's own user that use none.

Invariant: nobody is ended but them: not our own connections, and nobody whose database is another one; sites may
share a user, and two databases may differ in capitals alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.server_errors import number_of

NO_SUCH_CONNECTION = 1094
SHOWN_LENGTH = 80


@dataclass(frozen=True)
class Holder:
	"""One connection to the server, in its own words."""

	number: int
	user: str
	database: str | None
	seconds: int
	doing: str

	def __str__(self) -> str:
		return f"connection {self.number} of {self.user} ({self.doing}, {self.seconds} s)"


def find_holders(cursor: Any, databases: list[str], users: list[str]) -> list[Holder]:
	"""Connections to any of these databases, or of these users to none; not this cursor's own.

	Without the right PROCESS the server shows those of the same user alone.
	"""
	places = ", ".join(["%s"] * len(databases))
	people = ", ".join(["%s"] * len(users)) or "NULL"
	# Where the server knows no capitals in names, it may tell another spelling than ours.
	return _list_connections(
		cursor,
		f"(DB IN ({places}) AND (@@lower_case_table_names <> 0 OR BINARY DB IN ({places}))) "
		f"OR (DB IS NULL AND BINARY USER IN ({people}))",
		[*databases, *databases, *users],
	)


def find_suspects(cursor: Any) -> list[Holder]:
	"""Connections with an open transaction, to whatever database: one of them may have read a table of ours.

	The server tells which one only with its plugin METADATA_LOCK_INFO. They are named, and never ended.
	"""
	numbers = list(find_transactions(cursor, 0))
	return _list_connections(cursor, f"ID IN ({', '.join(map(str, numbers))})", []) if numbers else []


def find_transactions(cursor: Any, seconds: int) -> dict[int, int]:
	"""{connection: seconds} of the transactions open for at least so long; {} without the right PROCESS.

	The server renews what it tells here only when nobody has read it for 0.1 s: asked more often than that,
	it repeats itself for ever (MySQL manual, "Persistence and Consistency of InnoDB Transaction and Locking
	Information").
	"""
	try:
		cursor.execute(
			"SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) FROM information_schema.INNODB_TRX "
			"WHERE trx_mysql_thread_id <> 0 AND trx_mysql_thread_id <> CONNECTION_ID() "
			"AND TIMESTAMPDIFF(SECOND, trx_started, NOW()) >= %s",
			(seconds,),
		)
	except pymysql.OperationalError:
		return {}
	return {int(number): int(age) for number, age in cursor.fetchall()}


def _list_connections(cursor: Any, condition: str, values: list[str]) -> list[Holder]:
	cursor.execute(
		"SELECT ID, USER, DB, TIME, COMMAND, COALESCE(LEFT(INFO, %s), '') FROM information_schema.PROCESSLIST "
		f"WHERE ({condition}) AND ID <> CONNECTION_ID() "
		"AND COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Killed') ORDER BY ID",
		(SHOWN_LENGTH, *values),
	)
	return [
		Holder(
			int(number), user, database, int(seconds or 0), f"{command} {' '.join(statement.split())}".strip()
		)
		for number, user, database, seconds, command, statement in cursor.fetchall()
	]


def end_holders(cursor: Any, holders: list[Holder]) -> list[str]:
	"""End these connections; returns them in words. One that is gone by itself is ended, too."""
	for holder in holders:
		try:
			cursor.execute(f"KILL CONNECTION {holder.number}")
		except pymysql.Error as error:
			if number_of(error) != NO_SUCH_CONNECTION:
				raise
	return [str(holder) for holder in holders]
