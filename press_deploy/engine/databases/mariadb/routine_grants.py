"""Who may use a routine: the server forgets it when the routine is dropped, whatever takes its place.

Invariant: rights are given as they were, to routines of the same names, and never beyond.
"""

from __future__ import annotations

from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.databases.mariadb.server_errors import is_refusal

_ALSO_TO_OTHERS = "GRANT"
# User, host ("" for a role), kind of routine, its name, the rights as the server lists them.
Grant = list[str]


def read_grants(cursor: Any, database: str) -> list[Grant]:
	cursor.execute(
		"SELECT User, Host, Routine_type, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = %s "
		"ORDER BY 1, 2, 3, 4",
		(database,),
	)
	return [list(row) for row in cursor.fetchall()]


def give_grants(
	cursor: Any, database: str, grants: list[Grant], routines: set[tuple[str, str]]
) -> list[dict[str, str]]:
	"""Give them on those of these (kind, name) `routines` that they are for.

	Returns what the server refuses as {"kind", "name", "why"}.
	"""
	refused = []
	for user, host, kind, name, rights in grants:
		if (kind, name) not in routines:
			continue
		words = [word.strip().upper() for word in rights.split(",")]
		given = [word for word in words if word != _ALSO_TO_OTHERS] or ["USAGE"]
		whom = f"{quote(user)}@{quote(host)}" if host else quote(user)
		option = " WITH GRANT OPTION" if _ALSO_TO_OTHERS in words else ""
		try:
			cursor.execute(
				f"GRANT {', '.join(given)} ON {kind} {quote(database)}.{quote(name)} TO {whom}{option}"
			)
		except pymysql.Error as error:
			if not is_refusal(error):
				raise
			refused.append(
				{"kind": "RIGHTS", "name": f"of {user} on {kind.lower()} {name}", "why": str(error.args[-1])}
			)
	return refused
