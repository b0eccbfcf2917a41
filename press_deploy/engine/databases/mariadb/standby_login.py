"""A user for a standby alone, with which a site is started on it.

Invariant: it can see nothing else, and is gone after the block; what a killed call left is dropped by the next one,
or by `drop_standby` where no other call follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.throwaway_user import (
	drop_leftovers,
	escape_database,
	make_throwaway_user,
)

DOING = "Making a user for"


@contextmanager
def let_in(administrator: Server, config: dict[str, Any], database: str) -> Iterator[dict[str, Any]]:
	"""As keys of a site's configuration. It has the database's name: Frappe 15 takes no other user."""
	with translate_server_errors(DOING, f"database {database}"), administrator.session() as cursor:
		cursor.execute(
			"SELECT host FROM mysql.user WHERE user = %s", (config.get("db_user") or config["db_name"],)
		)
		hosts = [row[0] for row in cursor.fetchall()]
		# Also from hosts that the site's user no longer comes from.
		drop_leftovers(cursor, database)
	with make_throwaway_user(administrator, database, hosts, escape_database(database)) as password:
		yield {"db_name": database, "db_user": database, "db_password": password}
