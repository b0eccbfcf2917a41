"""A user for some databases alone, who is gone when the work is done.

Invariant: the user has no right anywhere else but what is named; what a killed call left is made anew, and the
user is dropped whatever happens. What went wrong before is never hidden by what goes wrong then.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import number_of, translate_server_errors
from press_deploy.engine.ground.errors import StepFailed

PASSWORD_BYTES = 24
# Whoever asks may not read who there is.
_MAY_NOT_READ = {1044, 1142, 1143}


@contextmanager
def make_throwaway_user(
	administrator: Server,
	user: str,
	hosts: Sequence[str],
	databases: str,
	everywhere: Sequence[str] = (),
) -> Iterator[str]:
	"""Make a user, from each of `hosts`, with all rights on `databases`; yields the password.

	`databases` is one name escaped by `escape_database`, or a pattern of names. `everywhere` are rights on the
	whole server. Raises `StepFailed`, whose cause is the server's own error.
	"""
	password, what = secrets.token_urlsafe(PASSWORD_BYTES), f"the user {user}"
	try:
		with translate_server_errors("Making", what), administrator.session() as cursor:
			drop_user(cursor, user, hosts)
			for host in hosts:
				cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (user, host, password))
				cursor.execute(
					f"GRANT ALL PRIVILEGES ON {quote(databases).replace('%', '%%')}.* TO %s@%s", (user, host)
				)
				for right in everywhere:
					cursor.execute(f"GRANT {right} ON *.* TO %s@%s", (user, host))
		yield password
	except BaseException as error:
		try:
			_end_user(administrator, user, hosts)
		except StepFailed as another:
			# As `add_note` does, which Python 3.10 has not.
			error.__notes__ = [*getattr(error, "__notes__", ()), str(another)]
		raise
	_end_user(administrator, user, hosts)


def _end_user(administrator: Server, user: str, hosts: Sequence[str]) -> None:
	with translate_server_errors("Dropping", f"the user {user}"), administrator.session() as cursor:
		drop_user(cursor, user, hosts)


def drop_user(cursor: Any, user: str, hosts: Sequence[str]) -> None:
	"""Drop a user, who may be gone."""
	for host in hosts:
		cursor.execute("DROP USER IF EXISTS %s@%s", (user, host))


def drop_leftovers(cursor: Any, user: str) -> None:
	"""Drop a user from all hosts, as a killed call may have left it. Raises `pymysql.Error`.

	Who may not read the server's users has made none: `booting` reads them first.
	"""
	try:
		cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (user,))
	except pymysql.Error as error:
		if number_of(error) not in _MAY_NOT_READ:
			raise
		return
	drop_user(cursor, user, [host for (host,) in cursor.fetchall()])


def escape_database(database: str) -> str:
	"""A database's name for a grant, where _ and % stand for any character unless escaped."""
	return database.replace("_", "\\_").replace("%", "\\%")
