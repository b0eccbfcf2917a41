"""Who puts a site's database back by an import, and what stands against it.

Such an import replaces what is live: what it can't bring back has to be known before.

Invariant: it changes nothing, and asks with no other rights than those that the import will have.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.foreign_objects import find_reaching_views, find_unmakeable
from press_deploy.engine.databases.mariadb.rights import find_missing_rights
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors

SHOWN_NAMES = 5
# What an import needs, whatever is in the dump; the site's own user has all but the last on its own database.
RIGHTS = (
	*("CREATE", "DROP", "ALTER", "INSERT", "SELECT", "INDEX", "REFERENCES", "LOCK TABLES", "CREATE VIEW"),
	*("SHOW VIEW", "TRIGGER", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "SET USER"),
)


def choose_importer(config: dict[str, Any]) -> Server:
	"""Who puts a site's database back from a dump: the administrator where one is named who may make everything in
	everybody's name, else the site's own user. Raises `Refused` and `StepFailed`.
	"""
	own, administrator = Server.of_site(config), find_administrator(config)
	if administrator is None:
		return own
	with translate_server_errors("Looking at", "the database's server"), administrator.session() as cursor:
		return own if find_missing_rights(cursor, RIGHTS) else administrator


def why_no_import(server: Server, database: str) -> str | None:
	"""Why the account of `server` could not bring all of `database` back; None when it could.

	Raises `StepFailed` when the server can't be asked.
	"""
	with translate_server_errors("Looking at", f"database {database}"), server.session() as cursor:
		if versioned := find_versioned(cursor, database):
			return f"{', '.join(versioned)} keep history, which no dump carries"
		if out := find_foreign_keys(cursor, database)[0]:
			return f"foreign keys lead to other databases ({', '.join(out)}), and the site's user may not make such"
		if reaching := find_reaching_views(cursor, database):
			return f"{', '.join(reaching)}: of other databases, which a private server has not"
		if lack := find_unmakeable(cursor, database):
			typed = " ".join(lack.statements)
			return (
				f"{server.user} may not make {lack} again, unless the server's administrator types: {typed}"
			)
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
