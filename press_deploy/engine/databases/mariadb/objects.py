"""Views, triggers, routines and events of a database: read, dropped, and made again in another database.

`RENAME TABLE` takes none of them along: it refuses tables with triggers (error 1435) and views (1450).

Invariant: what was read holds all that the server needs to make the object again: the definer, the SQL mode
and the character set it was made with, and the bytes of its statement as they were sent once. Kinds that are not
known are an error, never left out; what can't be made again says so ("why").
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import pymysql

from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.databases.mariadb.server_errors import is_refusal, number_of
from press_deploy.engine.databases.mariadb.trigger_text import free_statement, names_database
from press_deploy.engine.ground.errors import StepFailed

# In the order in which they are made: each may use those before it.
ROUTINES = ("FUNCTION", "PROCEDURE")
KINDS = (*ROUTINES, "VIEW", "TRIGGER", "EVENT")
# After what SHOW CREATE EVENT prints; the body comes later.
_EVENT_STATUS = re.compile(r"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON SLAVE|DISABLE)\b")
StoredObject = dict[str, str]


def list_objects(cursor: Any, database: str) -> list[tuple[str, str]]:
	"""(kind, name) of all of them, in the order of `KINDS`. Raises `StepFailed` for a kind that isn't known."""
	found: list[tuple[str, str]] = []
	for kinds, column, table, schema, order in (
		("ROUTINE_TYPE", "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA", "2"),
		("'VIEW'", "TABLE_NAME", "VIEWS", "TABLE_SCHEMA", "2"),
		# The order in which they act.
		(
			*("'TRIGGER'", "TRIGGER_NAME", "TRIGGERS", "TRIGGER_SCHEMA"),
			"EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
		),
		("'EVENT'", "EVENT_NAME", "EVENTS", "EVENT_SCHEMA", "2"),
	):
		cursor.execute(
			f"SELECT {kinds}, {column} FROM information_schema.{table} WHERE {schema} = %s ORDER BY {order}",
			(database,),
		)
		found += cursor.fetchall()
	unknown = sorted(f"{kind.lower()} {name}" for kind, name in found if kind not in KINDS)
	if unknown:
		raise StepFailed(
			"Reading",
			f"database {database}",
			f"it has {', '.join(unknown)}, which can't be moved",
			"drop them in the site's database (bench --site SITE mariadb), then back up again",
		)
	return sorted(found, key=lambda each: KINDS.index(each[0]))


def read_objects(cursor: Any, database: str) -> list[StoredObject]:
	"""All of them, in an order in which they can be made again; plain data, for a note on the disk.

	Events that were to run once, in the past, are no more: the server drops them when it is told to make them.
	"""
	names, over = list_objects(cursor, database), _find_events_over(cursor, database)
	cursor.execute(f"USE {quote(database)}")
	# Conversions, the server's and Python's, lose what a client once sent in another character set.
	cursor.execute("SET SESSION sql_mode = '', character_set_results = binary")
	try:
		return [
			_read_object(cursor, kind, name) for kind, name in names if kind != "EVENT" or name not in over
		]
	finally:
		_reset(cursor)


def tell_unreadable(objects: list[StoredObject]) -> list[str]:
	"""Those of which it is known already that they can't be made again, in words."""
	return [f"{each['kind'].lower()} {each['name']} ({each['why']})" for each in objects if "why" in each]


def tell_unmovable(cursor: Any, database: str) -> list[str]:
	"""What no backup could bring back, in words, for a check beforehand. Raises `StepFailed` for unknown kinds."""
	found = tell_unreadable(read_objects(cursor, database))
	for kind, name in list_objects(cursor, database):
		if kind == "TRIGGER":
			cursor.execute(f"SHOW CREATE TRIGGER {quote(database)}.{quote(name)}")
			if names_database(cursor.fetchone()[2]):
				found.append(f"trigger {name} (it was made with the name of the database in its statement)")
	return found


def drop_objects(cursor: Any, database: str, kept: Collection[tuple[str, str]] = ()) -> None:
	"""Drop all of them but those `kept`; a second call finds nothing to do."""
	for kind, name in reversed(list_objects(cursor, database)):
		if (kind, name) not in kept:
			cursor.execute(f"DROP {kind} IF EXISTS {quote(database)}.{quote(name)}")


def make_objects(
	cursor: Any, database: str, objects: list[StoredObject], *, events: bool = True, insist: bool = True
) -> list[StoredObject]:
	"""Make them in `database`, where there are none. Events are asleep unless `events`.

	Returns what can't be made, with the server's words as "why": a view of a table that is not there is
	read as well as any, and made nowhere. Whatever else the server refuses raises `pymysql.Error`; unless
	`insist`, it is returned as well.
	"""
	cursor.execute(f"USE {quote(database)}")
	unreadable = [each for each in objects if "why" in each]
	waiting = [each for each in objects if "why" not in each]
	try:
		while waiting:
			failed = [
				{**each, "why": why} for each in waiting if (why := _make(cursor, each, events, insist))
			]
			if len(failed) == len(waiting):
				return unreadable + failed
			# Views may use each other: those that failed are tried again after the others.
			waiting = failed
		return unreadable
	finally:
		_reset(cursor)


def put_asleep(cursor: Any, database: str) -> None:
	"""Let the events of a database that is not in use be disabled.

	They are made again: `ALTER EVENT` would give them the character set and collation of our connection.
	"""
	cursor.execute(
		"SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s AND STATUS <> 'DISABLED'",
		(database,),
	)
	awake = {name for (name,) in cursor.fetchall()}
	if not awake:
		return
	events = [
		each for each in read_objects(cursor, database) if each["kind"] == "EVENT" and each["name"] in awake
	]
	for each in events:
		cursor.execute(f"DROP EVENT {quote(database)}.{quote(each['name'])}")
	if failed := make_objects(cursor, database, events, events=False):
		raise StepFailed(
			"Disabling",
			f"the events of database {database}",
			f"these can't be made again: {', '.join(tell_unreadable(failed))}",
			"create them again in the site's database, and back up again",
		)


def without_status(objects: list[StoredObject]) -> list[StoredObject]:
	"""For comparing: as they are, but whether an event is asleep does not count."""
	return [{**each, "create": _EVENT_STATUS.sub(r"\1", each["create"], count=1)} for each in objects]


def _find_events_over(cursor: Any, database: str) -> set[str]:
	cursor.execute(
		"SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s AND EVENT_TYPE = 'ONE TIME' "
		"AND ON_COMPLETION = 'NOT PRESERVE' AND CONVERT_TZ(EXECUTE_AT, TIME_ZONE, @@SESSION.time_zone) < NOW()",
		(database,),
	)
	return {row[0] for row in cursor.fetchall()}


def _read_object(cursor: Any, kind: str, name: str) -> StoredObject:
	try:
		cursor.execute(f"SHOW CREATE {kind} {quote(name)}")
	except pymysql.Error as error:
		if kind != "VIEW" or not is_refusal(error):
			raise
		return _read_broken_view(cursor, name, str(error.args[-1]))
	row = _fetch_bytes(cursor)
	statement = row["SQL Original Statement" if kind == "TRIGGER" else f"Create {kind.capitalize()}"]
	if not statement:
		raise StepFailed(
			"Reading",
			f"{kind.lower()} {name}",
			"its definition is not shown to this account",
			f"name the database's administrator ({WHERE_NAMED})",
		)
	create, encoding = _decode(statement)
	found = {
		**{"kind": kind, "name": name, "create": create, "encoding": encoding},
		"sql_mode": row.get("sql_mode", b"").decode(),
		"charset": row["character_set_client"].decode(),
		"collation": row["collation_connection"].decode(),
		**({"time_zone": row["time_zone"].decode()} if kind == "EVENT" else {}),
	}
	if kind != "TRIGGER":
		return found
	free = free_statement(create)
	# The statement as it was typed may name the database.
	return {**found, "create": free} if free else {**found, "why": "its definition begins in an unknown way"}


def _read_broken_view(cursor: Any, name: str, why: str) -> StoredObject:
	"""For whoever makes it again by hand: it can be made nowhere, and the server doesn't show how it was."""
	cursor.execute(
		"SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
		(name,),
	)
	create, encoding = _decode(_fetch_bytes(cursor)["VIEW_DEFINITION"] or b"")
	return {"kind": "VIEW", "name": name, "create": create, "encoding": encoding, "why": why}


def _fetch_bytes(cursor: Any) -> dict[str, bytes]:
	titles = [column[0] for column in cursor.description]
	return dict(zip(titles, cursor.fetchone(), strict=True))


def _decode(statement: bytes) -> tuple[str, str]:
	"""As text that can be turned back: readable if it is UTF-8, letters for bytes if not."""
	try:
		return statement.decode(), "utf-8"
	except UnicodeDecodeError:
		return statement.decode("latin-1"), "latin-1"


def _make(cursor: Any, each: StoredObject, events: bool, insist: bool) -> str | None:
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
	try:
		cursor.execute(f"SET {assignments}")
		cursor.execute(create.encode(each["encoding"]))
	except pymysql.Error as error:
		if number_of(error) in _MISSING or (not insist and is_refusal(error)):
			return str(error.args[-1])
		raise
	return None


# No such table, column, routine; a view that refers to such; a table that is none.
_MISSING = {1146, 1054, 1305, 1356, 1347}


def _reset(cursor: Any) -> None:
	try:
		cursor.execute("SET NAMES utf8mb4")
		cursor.execute("SET SESSION sql_mode = DEFAULT, SESSION time_zone = DEFAULT")
	except pymysql.Error:
		# The connection was lost, and what was done over it has said so.
		pass


def _literal(value: str) -> str:
	# Names of modes, character sets and time zones; quoted so that no sql_mode changes what it says.
	return "'" + value.replace("'", "''") + "'"
