"""Views, triggers, routines and events of a database: read, dropped, and made again in another database.

`RENAME TABLE` takes none of them along: it refuses tables with triggers (error 1435) and views (1450).

Invariant: what was read holds all that the server needs to make the object again: the definer, the SQL mode
and the character set it was made with. Kinds that are not known are an error, never left out.
"""

from __future__ import annotations

import re
from typing import Any

import pymysql
from pymysql.charset import charset_by_name

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.server import quote
from press_deploy.engine.mariadb.server_errors import number_of

# In the order in which they are made: each may use those before it.
ROUTINES = ("FUNCTION", "PROCEDURE")
KINDS = (*ROUTINES, "VIEW", "TRIGGER", "EVENT")
# After what SHOW CREATE EVENT prints; the body comes later.
_EVENT_STATUS = re.compile(r"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON SLAVE|DISABLE)\b")
StoredObject = dict[str, str]


def list_objects(cursor: Any, database: str) -> list[tuple[str, str]]:
	"""(kind, name) of all of them, in the order of `KINDS`. Raises `StepFailed` for a kind that isn't known."""
	found = []
	for kinds, column, table, schema in (
		("ROUTINE_TYPE", "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA"),
		("'VIEW'", "TABLE_NAME", "VIEWS", "TABLE_SCHEMA"),
		("'TRIGGER'", "TRIGGER_NAME", "TRIGGERS", "TRIGGER_SCHEMA"),
		("'EVENT'", "EVENT_NAME", "EVENTS", "EVENT_SCHEMA"),
	):
		cursor.execute(
			f"SELECT {kinds}, {column} FROM information_schema.{table} WHERE {schema} = %s", (database,)
		)
		found += cursor.fetchall()
	unknown = sorted(f"{kind.lower()} {name}" for kind, name in found if kind not in KINDS)
	if unknown:
		raise StepFailed(
			"Reading",
			f"database {database}",
			f"it has {', '.join(unknown)}, which can't be moved",
			"drop them",
		)
	return sorted(found, key=lambda each: (KINDS.index(each[0]), each[1]))


def read_objects(cursor: Any, database: str) -> list[StoredObject]:
	"""All of them, in an order in which they can be made again; plain data, for a note on the disk."""
	cursor.execute(f"USE {quote(database)}")
	objects = []
	for kind, name in list_objects(cursor, database):
		if kind != "TRIGGER":
			objects.append(_read_object(cursor, kind, name))
	return _order(objects, _read_triggers(cursor, database))


def drop_objects(cursor: Any, database: str) -> None:
	"""Drop all of them; a second call finds nothing to do."""
	for kind, name in reversed(list_objects(cursor, database)):
		cursor.execute(f"DROP {kind} IF EXISTS {quote(database)}.{quote(name)}")


def make_objects(
	cursor: Any, database: str, objects: list[StoredObject], *, events: bool = True
) -> list[StoredObject]:
	"""Make them in `database`, where there are none. Events are asleep unless `events`.

	Returns what can't be made, with the server's words as "why": a view of a table that is not there is
	read as well as any, and made nowhere.
	"""
	cursor.execute(f"USE {quote(database)}")
	waiting = objects
	try:
		while waiting:
			failed = [{**each, "why": why} for each in waiting if (why := _make(cursor, each, events))]
			if len(failed) == len(waiting):
				return failed
			# Views may use each other: those that failed are tried again after the others.
			waiting = failed
		return []
	finally:
		_reset(cursor)


def put_asleep(cursor: Any, database: str) -> None:
	"""Disable the events of a database that is not in use."""
	for kind, name in list_objects(cursor, database):
		if kind == "EVENT":
			cursor.execute(f"ALTER EVENT {quote(database)}.{quote(name)} DISABLE")


def without_status(objects: list[StoredObject]) -> list[StoredObject]:
	"""For comparing: as they are, but whether an event is asleep does not count."""
	return [{**each, "create": _EVENT_STATUS.sub(r"\1", each["create"], count=1)} for each in objects]


def _read_object(cursor: Any, kind: str, name: str) -> StoredObject:
	cursor.execute(f"SHOW CREATE {kind} {quote(name)}")
	titles = [column[0] for column in cursor.description]
	row = dict(zip(titles, cursor.fetchone(), strict=True))
	create = row[f"Create {kind.capitalize()}"]
	if not create:
		raise StepFailed(
			"Reading", f"{kind.lower()} {name}", "its definition is not shown", "use an administrator"
		)
	return {
		"kind": kind,
		"name": name,
		"create": create,
		"sql_mode": row.get("sql_mode", ""),
		"charset": row["character_set_client"],
		"collation": row["collation_connection"],
		**({"time_zone": row["time_zone"]} if kind == "EVENT" else {}),
	}


def _read_triggers(cursor: Any, database: str) -> list[StoredObject]:
	"""Put together from their parts: the statement as it was typed may name the database."""
	cursor.execute(
		"SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT, DEFINER, "
		"SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM information_schema.TRIGGERS "
		"WHERE TRIGGER_SCHEMA = %s "
		"ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
		(database,),
	)
	triggers = []
	for name, timing, event, table, statement, definer, mode, charset, collation in cursor.fetchall():
		create = (
			f"CREATE DEFINER={_quote_definer(definer)} TRIGGER {quote(name)} {timing} {event} "
			f"ON {quote(table)} FOR EACH ROW {statement}"
		)
		triggers.append(
			{
				**{"kind": "TRIGGER", "name": name, "create": create, "sql_mode": mode},
				**{"charset": charset, "collation": collation},
			}
		)
	return triggers


def _quote_definer(definer: str) -> str:
	user, _, host = definer.rpartition("@")
	# A role has no host.
	return f"{quote(user)}@{quote(host)}" if user and host else quote(user or host)


def _order(objects: list[StoredObject], triggers: list[StoredObject]) -> list[StoredObject]:
	return sorted([*objects, *triggers], key=lambda each: KINDS.index(each["kind"]))


def _make(cursor: Any, each: StoredObject, events: bool) -> str | None:
	"""Make one object; returns the server's words when it refuses because of what the object uses."""
	create = each["create"]
	if each["kind"] == "EVENT" and not events:
		create, replaced = _EVENT_STATUS.subn(r"\1DISABLE", create, count=1)
		if not replaced:
			return "its definition doesn't say whether it is asleep"
	settings = {
		"sql_mode": each["sql_mode"],
		"character_set_client": each["charset"],
		"collation_connection": each["collation"],
		**({"time_zone": each["time_zone"]} if "time_zone" in each else {}),
	}
	assignments = ", ".join(f"SESSION {key} = {_literal(value)}" for key, value in settings.items())
	_query(cursor, f"SET {assignments}")
	try:
		_query(cursor, create, charset_by_name(each["charset"]).encoding)
	except pymysql.Error as error:
		if number_of(error) not in _MISSING:
			raise
		return str(error.args[-1])
	return None


# No such table, column, routine; a view that refers to such; a table that is none.
_MISSING = {1146, 1054, 1305, 1356, 1347}


def _reset(cursor: Any) -> None:
	try:
		_query(cursor, "SET NAMES utf8mb4")
		_query(cursor, "SET SESSION sql_mode = DEFAULT, SESSION time_zone = DEFAULT")
	except pymysql.Error:
		# The connection was lost, and what was done over it has said so.
		pass


def _query(cursor: Any, statement: str, encoding: str = "utf-8") -> None:
	"""Without parameters, and in the character set that the server takes it for."""
	cursor.execute(statement.encode(encoding) if encoding not in ("utf8", "utf-8") else statement)


def _literal(value: str) -> str:
	# Names of modes, character sets and time zones; quoted so that no sql_mode changes what it says.
	return "'" + value.replace("'", "''") + "'"
