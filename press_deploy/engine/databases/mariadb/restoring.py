"""Rung 4 of one file: it is restored into a database of its own, and compared with what was read in it.

Invariant: only databases that this module named are ever dropped, and only while nobody proves in them; the
database that is made is dropped again whatever happens.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.facts import DumpFacts
from press_deploy.engine.databases.dumps.restored import (
	check_frappe_tables,
	compare_names,
	compare_rows,
	list_names,
)
from press_deploy.engine.databases.engine import Look
from press_deploy.engine.databases.mariadb.dump_format import check_server_version
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress, show_size

PREFIX = "press_deploy_prove_"
DOING = "Proving"
_OBJECTS = {
	"views": "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
	"sequences": "SELECT TABLE_NAME FROM information_schema.TABLES "
	"WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'SEQUENCE'",
	"triggers": "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
	"procedures": "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
	"WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'PROCEDURE'",
	"functions": "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
	"WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'FUNCTION'",
	"packages": "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
	"WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'PACKAGE'",
	"package bodies": "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
	"WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'PACKAGE BODY'",
	"events": "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
}
_TABLES = (
	"SELECT TABLE_NAME FROM information_schema.TABLES "
	"WHERE TABLE_SCHEMA = %s AND TABLE_TYPE NOT IN ('VIEW', 'SEQUENCE')"
)


def restore_dump(
	path: Path,
	facts: DumpFacts,
	server: Server,
	*,
	progress: Progress | None = None,
	look: Look | None = None,
) -> dict[str, Any]:
	"""Restore a whole dump into a database of its own, compare, let `look` see it, and drop it again.

	`server` is asked by an account that may create databases. Returns {"server_version", "tables", "rows"}.
	Raises `DamagedFile` (what the comparison found) and `StepFailed` (what could not be done).
	"""
	with translate_server_errors(DOING, f"{path.name} on the server"), scratch_database(server) as scratch:
		cursor, database = scratch
		cursor.execute("SELECT VERSION()")
		version = cursor.fetchone()[0]
		check_server_version(facts.server_version, version)
		_check_events(cursor, facts)
		_check_packet(cursor, facts)
		load_dump(path, server, database, progress=progress)
		cursor.execute(f"USE {quote(database)}")
		compare_names("tables", set(facts.tables), _names(cursor, _TABLES, database))
		found = {table: _count(cursor, table, table in facts.historic) for table in facts.tables}
		compare_rows(facts.tables, found)
		for kind, query in _OBJECTS.items():
			compare_names(kind, set(facts.objects.get(kind, ())), _names(cursor, query, database))
		check_frappe_tables(set(facts.tables))
		if look:
			look(server, database)
	return {"server_version": version, "tables": len(facts.tables), "rows": sum(facts.tables.values())}


@contextmanager
def scratch_database(server: Server) -> Iterator[tuple[Any, str]]:
	"""A database of a name that nobody else has, for the `with` block.

	Whoever proves in it holds a lock of its name. A lock ends with its connection, so that what a killed
	proof left is known by its lock being free.
	"""
	database = f"{PREFIX}{secrets.token_hex(8)}"
	with server.session() as cursor:
		_drop_leftovers(cursor)
		cursor.execute("SELECT GET_LOCK(%s, 0)", (database,))
		if cursor.fetchone()[0] != 1:
			raise StepFailed(
				DOING,
				f"in {database}",
				"another proof holds the lock of this name",
				"try again when it is over; SHOW FULL PROCESSLIST names its connection",
			)
		cursor.execute(f"CREATE DATABASE {quote(database)} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
		try:
			yield cursor, database
		finally:
			_drop(server, database)


def _drop_leftovers(cursor: Any) -> None:
	cursor.execute(
		"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s",
		(PREFIX.replace("_", "\\_") + "%",),
	)
	for (name,) in cursor.fetchall():
		cursor.execute("SELECT IS_FREE_LOCK(%s)", (name,))
		if cursor.fetchone()[0] == 1:
			cursor.execute(f"DROP DATABASE IF EXISTS {quote(name)}")


def _drop(server: Server, database: str) -> None:
	"""Over a connection of its own: the first one may be lost, with whatever went wrong."""
	try:
		with server.session() as cursor:
			cursor.execute(f"DROP DATABASE IF EXISTS {quote(database)}")
	except (pymysql.Error, OSError):
		# The next proof on this server finds it, and drops it.
		pass


def _check_events(cursor: Any, facts: DumpFacts) -> None:
	cursor.execute("SELECT @@GLOBAL.event_scheduler")
	if facts.objects.get("events") and cursor.fetchone()[0] == "ON":
		raise DamagedFile(
			"events",
			f"it holds events ({list_names(facts.objects['events'])}) and this server would run them: restore it into "
			"a server whose event_scheduler is off",
		)


def _check_packet(cursor: Any, facts: DumpFacts) -> None:
	"""A server that gets more at once closes the connection, which looks as if it had died."""
	cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
	limit = cursor.fetchone()[0]
	if facts.longest_statement >= limit:
		raise DamagedFile(
			"max_allowed_packet",
			f"a statement in it has {show_size(facts.longest_statement)}, and this server takes {show_size(limit)} at once → "
			f"raise max_allowed_packet on the server to more than {facts.longest_statement}",
		)


def _names(cursor: Any, query: str, database: str) -> set[str]:
	cursor.execute(query, (database,))
	return {name for (name,) in cursor.fetchall()}


def _count(cursor: Any, table: str, with_history: bool) -> int:
	history = " FOR SYSTEM_TIME ALL" if with_history else ""
	cursor.execute(f"SELECT COUNT(*) FROM {quote(table)}{history}")
	return cursor.fetchone()[0]
