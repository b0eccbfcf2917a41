"""Who restores a dump that is proven: a user of a proof's own, who can't touch what else is on the server.

Invariant: the user has rights on databases of proofs alone, and is gone with the proof; what a killed proof left
is dropped by the next one. Where no such user can be made, it is said.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.restoring import PREFIX
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import number_of, translate_server_errors
from press_deploy.engine.databases.mariadb.throwaway_user import (
	drop_user,
	escape_database,
	make_throwaway_user,
)
from press_deploy.engine.ground.errors import StepFailed

USER_PREFIX = "press_deploy_prover_"
# No rights to make users or to pass rights on; a server without users (1290); an older one, without the right to
# name a definer (1064); a rule for passwords (1819).
_NOT_MADE = {1044, 1142, 1227, 1410, 1290, 1064, 1819}
_WITH_DEFINER = ("views", "triggers", "procedures", "functions", "events")
# An access denied to who logs in: as where an anonymous user of that host stands before it.
_SHUT_OUT = {1045, 1698}
# With a binary log, the server lets nobody but its administrator make these.
_LOGGED = ("triggers", "functions")


@dataclass(frozen=True)
class Account:
	"""Who restores; `why_not` says why it is the account that was named, and is empty for a user of its own."""

	server: Server
	why_not: str = ""


@contextmanager
def lend_account(server: Server, objects: Mapping[str, Collection[str]]) -> Iterator[Account]:
	"""An account for one proof of a dump with these objects (names by kind). Raises `StepFailed`."""
	user = f"{USER_PREFIX}{secrets.token_hex(8)}"
	with ExitStack() as stack:
		with translate_server_errors("Proving", "on the server"):
			cursor = stack.enter_context(server.session())
			host, why_not = _prepare(cursor, user, objects)
		if not why_not:
			# A dump names the definers of its objects. None of them runs while it is loaded: see `sql/scan.py`.
			everywhere = ("SET USER",) if any(objects.get(kind) for kind in _WITH_DEFINER) else ()
			databases = f"{escape_database(PREFIX)}%"
			try:
				password = stack.enter_context(
					make_throwaway_user(server, user, [host], databases, everywhere)
				)
			except StepFailed as error:
				if not error.__cause__ or number_of(error.__cause__) not in _NOT_MADE:
					raise
				why_not = f"{server.user} may not make users with such rights"
			else:
				own = server.as_user(user, password)
				why_not = _find_obstacle(own)
		yield Account(server, why_not) if why_not else Account(own)


def _find_obstacle(account: Server) -> str:
	"""Why a user that was made is of no use: the server may take it for another one. Raises `StepFailed`."""
	anonymous = "as it does where an anonymous user may come from the same host"
	with translate_server_errors("Proving", f"as {account.user}"):
		try:
			with account.session() as cursor:
				cursor.execute("SELECT CURRENT_USER()")
				known_as = cursor.fetchone()[0]
		except pymysql.Error as error:
			if number_of(error) not in _SHUT_OUT:
				raise
			return f"the server refuses the user that was made for it ({number_of(error)}), {anonymous}"
	if known_as.rpartition("@")[0] == account.user:
		return ""
	return f"the server takes the user that was made for it for {known_as}, {anonymous}"


def _prepare(cursor: Any, user: str, objects: Mapping[str, Collection[str]]) -> tuple[str, str]:
	"""From which host we come, and why no user of its own will do. Whoever proves holds a lock of its user's name."""
	_drop_leftovers(cursor)
	cursor.execute("SELECT GET_LOCK(%s, 0)", (user,))
	if cursor.fetchone()[0] != 1:
		raise StepFailed(
			"Proving",
			f"as {user}",
			"another proof holds the lock of this user's name",
			"try again when it is over; SHOW FULL PROCESSLIST names its connection",
		)
	cursor.execute("SELECT CURRENT_USER(), @@log_bin, @@log_bin_trust_function_creators")
	ourselves, logs, trusts = cursor.fetchone()
	logged = [kind for kind in _LOGGED if objects.get(kind)]
	why_not = ""
	if logs and not trusts and logged:
		why_not = f"the server has a binary log, so only its administrator may make {' and '.join(logged)}"
	return ourselves.rpartition("@")[2], why_not


def _drop_leftovers(cursor: Any) -> None:
	try:
		cursor.execute(
			"SELECT user, host FROM mysql.user WHERE user LIKE %s", (f"{escape_database(USER_PREFIX)}%",)
		)
		for user, host in cursor.fetchall():
			cursor.execute("SELECT IS_FREE_LOCK(%s)", (user,))
			if cursor.fetchone()[0] == 1:
				drop_user(cursor, user, [host])
	except pymysql.Error as error:
		if number_of(error) not in _NOT_MADE:
			raise
