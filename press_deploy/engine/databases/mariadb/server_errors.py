"""What a MariaDB server answers when it refuses or is lost, told as an error of ours.

Invariant: its words are kept and its number is named; a lost connection is never taken for a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from press_deploy.engine.databases.mariadb.remedies import SERVER_LOG, SERVER_RUNS
from press_deploy.engine.ground.errors import StepFailed

LOCK_WAIT_TIMEOUT, DEADLOCK = 1205, 1213
# A connection that was open is not any more; 0 is the driver's word for one that it had noticed before.
_ENDED = {0, 2006, 2013, 1927}
_LOST = {*_ENDED, 2002, 2003, 1053}
_LOGIN = {1045, 1698}
_RIGHTS = {1044, 1142, 1143, 1227, 1370}
_FULL = {1021, 1114}
# Somebody ended the statement, or a limit of time did.
_INTERRUPTED = {1317, 1969}


def number_of(error: BaseException) -> int:
	"""The server's or the driver's number of an error; 0 when it has none."""
	number = error.args[0] if error.args else 0
	return number if isinstance(number, int) else 0


def is_lost(error: BaseException) -> bool:
	"""Whether an open connection was ended: by KILL, by the server's limits, or with the server itself."""
	return number_of(error) in _ENDED


def is_refusal(error: BaseException) -> bool:
	"""Whether the server would answer the same another time; False for what passes: locks, time, room, its end."""
	return number_of(error) not in {*_LOST, *_FULL, *_INTERRUPTED, LOCK_WAIT_TIMEOUT, DEADLOCK}


def is_servers_own(number: int) -> bool:
	"""Whether the error is the server's or the login's, and says nothing of what was sent."""
	return number in {*_LOST, *_LOGIN, *_FULL} - {0}


@contextmanager
def translate_server_errors(doing: str, what: str) -> Iterator[None]:
	"""Errors of the server and of the connection to it become `StepFailed`."""
	try:
		yield
	except (pymysql.Error, OSError) as error:
		raise translate(error, doing, what) from error


def translate(error: BaseException, doing: str, what: str) -> StepFailed:
	number, words = number_of(error), str(error.args[-1] if error.args else error)
	if number in _ENDED:
		# What it held is gone with it, so that nobody may just connect again and go on.
		why = "the connection to the server was lost, and with it its locks and its transaction"
		remedy = f"{SERVER_RUNS}, and who ends connections there (KILL, wait_timeout); then do it again"
	elif number in _LOST:
		why, remedy = "the server can't be reached", f"{SERVER_RUNS}, and why it stopped: {SERVER_LOG}"
	elif number in _LOGIN:
		why, remedy = (
			"user name or password is refused",
			"correct user name and password: db_user and db_password in site_config.json, or the administrator's",
		)
	elif number in _RIGHTS:
		why, remedy = (
			"the account lacks rights",
			"name the database's administrator (root_login and root_password in common_site_config.json), or GRANT it these rights",
		)
	elif number in _FULL:
		why, remedy = (
			"the server's disk is full",
			"free space on the server's data disk: SELECT @@datadir, then df -h there",
		)
	elif number == LOCK_WAIT_TIMEOUT:
		why, remedy = (
			"a lock was not released in time",
			"see who holds it: mariadb -e 'SHOW FULL PROCESSLIST'",
		)
	else:
		return StepFailed(doing, what, f"MariaDB says: {words} ({number})", f"see {SERVER_LOG}")
	return StepFailed(doing, what, f"{why}: {words or 'the connection is closed'} ({number})", remedy)
