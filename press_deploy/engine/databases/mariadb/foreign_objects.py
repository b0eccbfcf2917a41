"""Objects of a site's database that an account may not read, or may not make again.

Frappe gives a site's own user all rights on its database. Neither the text of a routine that somebody else made is
among them, nor to make anything in somebody else's name.

Invariant: it changes nothing, and asks with the rights of the account alone. What an account is not shown it can't
tell: the rights by which it is shown everything are asked for, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.rights import find_missing_rights, find_pattern, read_version
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import is_refusal, translate_server_errors
from press_deploy.engine.databases.mariadb.throwaway_user import escape_database

SHOWN_NAMES = 5
# Without one of these, triggers and routines are left out of a dump in silence; others end it.
READING = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE")
# What is made in the name of whoever made it first: kind, name, and where the server lists it.
_DEFINED = (
	("'view'", "TABLE_NAME", "VIEWS", "TABLE_SCHEMA"),
	("'trigger'", "TRIGGER_NAME", "TRIGGERS", "TRIGGER_SCHEMA"),
	("LOWER(ROUTINE_TYPE)", "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA"),
	("'event'", "EVENT_NAME", "EVENTS", "EVENT_SCHEMA"),
)
# The server writes definitions of views in one way: each table behind “from” or “join” and with its database, functions of
# other databases with that, too, and strings in single quotes.
_NAME = r"`(?:[^`]|``)*`"
_WITH_DATABASE = re.compile(
	rf"'(?:[^'\\]|\\.|'')*'|\b(?:from|join) *\(*(?P<of_table>{_NAME})\.{_NAME}|(?P<of_function>{_NAME})\.{_NAME}\(|{_NAME}",
	re.IGNORECASE | re.DOTALL,
)
# With a binary log, the server lets nobody but its administrator make these.
_LOGGED = ("trigger", "function")
# The first server with a right of its own for the text of routines. (MariaDB documentation: SHOW CREATE PROCEDURE.)
_SHOW_CREATE_ROUTINE = (11, 3)


@dataclass(frozen=True)
class Lack:
	"""Objects that an account can't deal with, in words, and the statements that would help; false without any.

	Not every object has a statement: a view that is broken has to be mended.
	"""

	objects: tuple[str, ...] = ()
	statements: tuple[str, ...] = ()

	def __bool__(self) -> bool:
		return bool(self.objects)

	def __str__(self) -> str:
		more = len(self.objects) - SHOWN_NAMES
		return ", ".join(self.objects[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def find_unreadable(server: Server, database: str) -> Lack:
	"""What a dump by the account of `server` would leave out, or end at. Raises `StepFailed`."""
	with (
		translate_server_errors("Looking at", f"database {database}"),
		server.session(database) as cursor,
	):
		lacking = find_missing_rights(cursor, READING, database)
		account, target = _name_account(cursor), _name_target(cursor, database)
		routines = _find_hidden_routines(cursor, database)
		views = _find_broken_views(cursor, database)
		statements = []
		if lacking:
			statements.append(f"GRANT {', '.join(lacking)} ON {target} TO {account};")
		if routines:
			cursor.execute("SELECT VERSION()")
			statements.append(_grant_routines(cursor.fetchone()[0], target, account))
	unseen = [f"whatever is seen with {', '.join(lacking)} alone"] if lacking else []
	return Lack((*unseen, *routines, *views), tuple(statements))


def find_unmakeable(cursor: Any, database: str) -> Lack:
	"""The views and the like that this account could drop with its database, and not make again.

	Raises `pymysql.Error`.
	"""
	cursor.execute("SELECT @@log_bin AND NOT @@log_bin_trust_function_creators")
	is_strict = bool(cursor.fetchone()[0])
	lacks_super = is_strict and bool(find_missing_rights(cursor, ["SUPER"]))
	lacks_definer = bool(find_missing_rights(cursor, ["SET USER"]))
	unsafe = _find_unsafe(cursor, database) if is_strict else set()
	foreign, logged = [], []
	for kind, name, is_own in _list_defined(cursor, database):
		if lacks_definer and not is_own:
			foreign.append(f"{kind} {name}")
		elif (lacks_super and kind in _LOGGED) or (kind, name) in unsafe:
			logged.append(f"{kind} {name}")
	# Whoever has it can act in anybody's name.
	statements = [f"GRANT SET USER ON *.* TO {_name_account(cursor)};"] if foreign else []
	if logged or (foreign and lacks_super):
		statements.append("SET GLOBAL log_bin_trust_function_creators = 1;")
	return Lack((*foreign, *logged), tuple(statements))


def find_reaching_views(cursor: Any, database: str) -> list[str]:
	"""Some views of other databases, which can be made only where those are, by who may read them.

	Raises `pymysql.Error`.
	"""
	cursor.execute(
		"SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s ORDER BY 1",
		(database,),
	)
	found = []
	for name, definition in cursor.fetchall():
		matches = _WITH_DATABASE.finditer(definition or "")
		named = {match["of_table"] or match["of_function"] for match in matches}
		if named - {None, quote(database)}:
			found.append(f"view {name}")
	return found[:SHOWN_NAMES]


def find_not_in_frappes(server: Server, database: str) -> list[str]:
	"""Routines and events, which Frappe's own backup leaves out. Raises `StepFailed`."""
	with translate_server_errors("Looking at", f"database {database}"), server.session() as cursor:
		listed = _list_defined(cursor, database)
		return [f"{kind} {name}" for kind, name, _ in listed if kind not in ("view", "trigger")]


def _list_defined(cursor: Any, database: str) -> list[tuple[str, str, bool]]:
	"""(kind, name, whether the account that asks made it) of each."""
	found: list[tuple[str, str, bool]] = []
	for kind, name, table, schema in _DEFINED:
		cursor.execute(
			f"SELECT {kind}, {name}, DEFINER = CURRENT_USER() FROM information_schema.{table} "
			f"WHERE {schema} = %s ORDER BY 2",
			(database,),
		)
		found += [
			(kind_of_it, name_of_it, bool(is_own)) for kind_of_it, name_of_it, is_own in cursor.fetchall()
		]
	return found


def _find_hidden_routines(cursor: Any, database: str) -> list[str]:
	cursor.execute(
		"SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
		"AND ROUTINE_DEFINITION IS NULL ORDER BY 1, 2",
		(database,),
	)
	hidden = []
	for kind, name in cursor.fetchall():
		# Asked as a dump asks: there is a right that shows the statement and not the body.
		cursor.execute(f"SHOW CREATE {kind} {quote(database)}.{quote(name)}")
		if cursor.fetchone()[2] is None:
			hidden.append(f"{kind.lower()} {name}")
	return hidden


def _find_broken_views(cursor: Any, database: str) -> Iterable[str]:
	"""Views of tables that are gone, of a definer that is gone, or that this account may not see: no dump passes them."""
	cursor.execute(
		"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s ORDER BY 1", (database,)
	)
	broken = []
	for (name,) in cursor.fetchall():
		try:
			for question in ("SHOW CREATE VIEW", "SHOW FIELDS FROM"):
				cursor.execute(f"{question} {quote(database)}.{quote(name)}")
		except pymysql.Error as error:
			if not is_refusal(error):
				raise
			broken.append(f"view {name} ({error.args[-1]})")
	return broken


def _find_unsafe(cursor: Any, database: str) -> set[tuple[str, str]]:
	"""Functions that a server with a binary log lets nobody make, not even its administrator."""
	cursor.execute(
		"SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
		"AND ROUTINE_TYPE = 'FUNCTION' AND IS_DETERMINISTIC = 'NO' "
		"AND SQL_DATA_ACCESS NOT IN ('NO SQL', 'READS SQL DATA')",
		(database,),
	)
	return {("function", name) for (name,) in cursor.fetchall()}


def _grant_routines(version: str, target: str, account: str) -> str:
	if read_version(version) >= _SHOW_CREATE_ROUTINE:
		return f"GRANT SHOW CREATE ROUTINE ON {target} TO {account};"
	return f"GRANT SELECT ON mysql.proc TO {account};"


def _name_target(cursor: Any, database: str) -> str:
	"""What to grant rights on, so that they come to those that the account has already."""
	account = _name_account(cursor)
	cursor.execute("SHOW GRANTS")
	pattern = find_pattern([row[0] for row in cursor.fetchall()], database, account)
	return f"{quote(pattern or escape_database(database))}.*"


def _name_account(cursor: Any) -> str:
	"""The account of this connection as the server knows it, for a statement."""
	cursor.execute("SELECT CURRENT_USER()")
	user, _, host = cursor.fetchone()[0].rpartition("@")
	return f"{quote(user)}@{quote(host)}"
