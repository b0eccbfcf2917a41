"""What stands against putting a site's database back by an import, which its own user makes.

Such an import replaces what is live: what it can't bring back has to be known before.

Invariant: it changes nothing, and asks with no other rights than those that the import will have.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.mariadb.rights import find_missing_rights
from press_deploy.engine.mariadb.schemas import list_tables
from press_deploy.engine.mariadb.server import Server
from press_deploy.engine.mariadb.server_errors import translate_server_errors

SHOWN_NAMES = 5
# What is made in the name of whoever made it first: kind, name, and where the server lists it.
_DEFINED = (
	("'view'", "TABLE_NAME", "VIEWS", "TABLE_SCHEMA"),
	("'trigger'", "TRIGGER_NAME", "TRIGGERS", "TRIGGER_SCHEMA"),
	("LOWER(ROUTINE_TYPE)", "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA"),
	("'event'", "EVENT_NAME", "EVENTS", "EVENT_SCHEMA"),
)
# With a binary log, the server lets nobody but its administrator make these.
_LOGGED = ("trigger", "function")


def why_no_import(server: Server, database: str) -> str | None:
	"""Why the user of `server`, the site's own, could not bring all of `database` back; None when it could.

	Raises `StepFailed` when the server can't be asked.
	"""
	with translate_server_errors("Looking at", f"database {database}"), server.session() as cursor:
		if versioned := find_versioned(cursor, database):
			return f"{', '.join(versioned)} keep history, which no dump carries"
		if out := find_foreign_keys(cursor, database)[0]:
			return f"foreign keys lead to other databases ({', '.join(out)}), and the site's user may not make such"
		if others := _find_not_its_own(cursor, database):
			return f"the site's user may not make what its administrator made: {', '.join(others)}"
	return None


def find_versioned(cursor: Any, database: str) -> list[str]:
	"""Tables whose former rows the server keeps. Raises `pymysql.Error`."""
	return [table for table, kind in list_tables(cursor, database).items() if kind == "SYSTEM VERSIONED"]


def find_foreign_keys(cursor: Any, database: str) -> tuple[list[str], list[str]]:
	"""Some of those that lead out of `database`, and of those that lead into it. Raises `pymysql.Error`."""
	cursor.execute(
		"SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME "
		"FROM information_schema.REFERENTIAL_CONSTRAINTS "
		"WHERE (CONSTRAINT_SCHEMA = %s OR UNIQUE_CONSTRAINT_SCHEMA = %s) "
		"AND CONSTRAINT_SCHEMA <> UNIQUE_CONSTRAINT_SCHEMA",
		(database, database),
	)
	keys = [(row[0] == database, f"{row[0]}.{row[1]} → {row[2]}.{row[3]}") for row in cursor.fetchall()]
	out, into = ([text for leads_out, text in keys if leads_out is wanted] for wanted in (True, False))
	return out[:SHOWN_NAMES], into[:SHOWN_NAMES]


def _find_not_its_own(cursor: Any, database: str) -> list[str]:
	"""Some of the views and the like that this account could drop with its database, and not make again."""
	cursor.execute("SELECT @@log_bin AND NOT @@log_bin_trust_function_creators")
	only_super = bool(cursor.fetchone()[0]) and bool(find_missing_rights(cursor, ["SUPER"]))
	only_own = bool(find_missing_rights(cursor, ["SET USER"]))
	found = []
	for kind, name, table, schema in _DEFINED:
		cursor.execute(
			f"SELECT {kind}, {name}, DEFINER = CURRENT_USER() FROM information_schema.{table} "
			f"WHERE {schema} = %s ORDER BY 2",
			(database,),
		)
		for kind_of_it, name_of_it, is_own in cursor.fetchall():
			if (only_own and not is_own) or (only_super and kind_of_it in _LOGGED):
				found.append(f"{kind_of_it} {name_of_it}")
	return found[:SHOWN_NAMES]
