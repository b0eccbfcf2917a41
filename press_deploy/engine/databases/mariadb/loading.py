"""How a site's database on MariaDB is put back by an import, by whom, and what stands against it.

Invariant: such an import replaces what is live, so what it can't bring back is told before, asked with no other
rights than those that the import will have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.foreign_objects import find_reaching_views, find_unmakeable
from press_deploy.engine.databases.mariadb.objects import drop_objects
from press_deploy.engine.databases.mariadb.rights import find_missing_rights
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.sessions import list_relations
from press_deploy.engine.databases.mariadb.sql_load import load_dump

# Its tables are dropped before those of the dump are made.
REPLACES_AT_ONCE = True
LOCK_WAIT_SECONDS = 60
TABLES = ("BASE TABLE", "SYSTEM VERSIONED")
SHOWN_NAMES = 5
# What an import needs, whatever is in the dump; the site's own user has all but the last on its own database.
RIGHTS = (
	*("CREATE", "DROP", "ALTER", "INSERT", "SELECT", "INDEX", "REFERENCES", "LOCK TABLES", "CREATE VIEW"),
	*("SHOW VIEW", "TRIGGER", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "SET USER"),
)


def why_no_import(config: dict[str, Any]) -> str | None:
	return why_not_imported_by(choose_importer(config), config["db_name"])


def replace(config: dict[str, Any], site: Path, dump: Path, session: Any) -> int:
	importer, database = choose_importer(config), config["db_name"]
	_drop_everything(importer, database, site.name, session)
	# Its transaction would hold on to a database that is not there any more.
	session.close()
	load_dump(dump, importer, database)
	with translate_server_errors("Restoring", f"database {database}"), importer.session() as cursor:
		return sum(kind in TABLES for kind in list_tables(cursor, database).values())


def choose_importer(config: dict[str, Any]) -> Server:
	"""Who puts a site's database back from a dump: the administrator where one is named who may make everything in
	everybody's name, else the site's own user. Raises `Refused` and `StepFailed`.
	"""
	own, administrator = Server.of_site(config), find_administrator(config)
	if administrator is None:
		return own
	with translate_server_errors("Looking at", "the database's server"), administrator.session() as cursor:
		return own if find_missing_rights(cursor, RIGHTS) else administrator


def why_not_imported_by(server: Server, database: str) -> str | None:
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


def _drop_everything(importer: Server, database: str, site: str, session: Any) -> None:
	"""Tables and sequences as the site's own user, who is the one with the right to."""
	session.commit()
	with translate_server_errors("Emptying", f"the database of {site}"), importer.session() as cursor:
		cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
		drop_objects(cursor, database)
	session.sql(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}, FOREIGN_KEY_CHECKS = 0")
	for name, kind in list_relations(session).items():
		session.sql_ddl(f"DROP {kind} {quote(name)}")


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
