"""Rung 4 on MariaDB: a dump, or a copy of the server's files, is restored into a database of its own.

Invariant: what is restored to be looked at is gone afterwards, and was made by an account that can't touch anything
else, or it is said by whom.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.facts import DumpFacts
from press_deploy.engine.databases.dumps.restored import refuse_backup
from press_deploy.engine.databases.engine import SERVER, Look
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.proving_account import lend_account
from press_deploy.engine.databases.mariadb.remedies import SERVER_RUNS
from press_deploy.engine.databases.mariadb.restoring import restore_dump, scratch_database
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.scratch_server import find_server_program, run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, parse_database_url, quote
from press_deploy.engine.databases.mariadb.server_errors import (
	is_servers_own,
	number_of,
	translate_server_errors,
)
from press_deploy.engine.databases.mariadb.sql.refusals import OWN_DATABASE
from press_deploy.engine.databases.stored_passwords import DOING, QUERY, Stored
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.progress import Progress

ASKS_FOR_PLACE = True
NO_SUCH_TABLE = 1146
# The server's numbers for a right that an account has not: a database's, a table's, a column's, one of the whole
# server, a routine's. A login that is refused is none of them.
_NO_RIGHT = {1044, 1142, 1143, 1227, 1370}
# What the client says, as `client_errors` repeats it.
_CLIENT_NUMBER = re.compile(r"\bmariadb(?: ended with exit status \d+)?: ERROR (\d+) \(")


def parse_address(url: str) -> Server | None:
	return parse_database_url(url)[0]


def choose_place(config: dict[str, Any], file: Path, facts: Mapping[str, Any]) -> Server | None:
	server = find_administrator(config)
	return None if server is None or _would_run_events(server, file, facts) else server


def find_missing_program() -> str | None:
	return None if find_server_program() else "mariadbd"


def open_private_place(directory: Path) -> AbstractContextManager[Server]:
	return run_scratch_server(directory)


def restore(
	path: Path,
	facts: DumpFacts,
	place: Server | None,
	notes: list[str],
	*,
	progress: Progress | None = None,
	look: Look | None = None,
) -> dict[str, Any]:
	if place is None:
		raise DamagedFile(SERVER, "no MariaDB server was named to restore it into")
	# The second line of defence, behind the reading of each statement: rights that end at the scratch database.
	with lend_account(place, facts.objects) as account:
		if account.why_not:
			notes.append(
				f"It was restored by the account that was named ({account.why_not}), not by one with rights on the "
				"scratch database alone: only the reading of its statements kept it from other databases."
			)
		try:
			seen = restore_dump(path, facts, account.server, progress=progress, look=look)
		except DeployError as error:
			if account.why_not or _find_number(error) not in _NO_RIGHT:
				raise
			why = f"it needs rights on something outside of its own database: {error.why} → {OWN_DATABASE}"
			raise DamagedFile("other databases", why) from error
	return {**seen, "restored_by": account.why_not or "a user with rights on the scratch database alone"}


def restore_copy(
	file: Path, facts: Mapping[str, Any], place: Server, *, progress: Progress | None, look: Look
) -> dict[str, Any]:
	# Without the proof of rung 2 the file itself says what is in it.
	facts = facts or physical.check_whole(file)
	with scratch_database(place) as (cursor, database), tempfile.TemporaryDirectory(dir=file.parent) as work:
		loaded = physical.load(file, place, facts["database"], database, Path(work), progress)
		cursor.execute("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (database,))
		tables = cursor.fetchone()[0] + len(loaded["left_out"])
		if tables != facts["tables"]:
			raise refuse_backup(
				file, f"restored, it has {tables} tables and views, the backup holds {facts['tables']}"
			)
		checked = _check_tables(cursor, file, database)
		look(place, database)
	return {
		"tables": tables,
		"checked": checked,
		"compared_with": "the copy's own list of tables",
		**{key: loaded[key] for key in ("imported", "logical")},
	}


def is_places_fault(error: DeployError) -> bool:
	return is_servers_own(_find_number(error))


def read_stored_passwords(place: Server, database: str) -> Stored:
	try:
		with place.session(database) as cursor:
			cursor.execute(QUERY)
			return [row[0] for row in cursor.fetchall()]
	except (pymysql.Error, OSError) as error:
		if number_of(error) == NO_SUCH_TABLE:
			return None
		why = str(error.args[-1] if error.args else error)
		raise StepFailed(DOING, f"database {database}", why, SERVER_RUNS) from None


def _would_run_events(server: Server, file: Path, facts: Mapping[str, Any]) -> bool:
	"""Whether a dump has events that this server would run while it is looked at, and a private one is to be had."""
	if file.suffix == physical.SUFFIX or not facts.get("objects", {}).get("events"):
		return False
	with translate_server_errors("Proving", f"{file.name} on the server"), server.session() as cursor:
		cursor.execute("SELECT @@GLOBAL.event_scheduler")
		return cursor.fetchone()[0] == "ON" and find_server_program() is not None


def _check_tables(cursor: Any, file: Path, database: str) -> int:
	"""Let the server check each table that has rows; returns their number. (MariaDB's documentation, CHECK TABLE.)"""
	tables = [name for name, kind in list_tables(cursor, database).items() if kind != "SEQUENCE"]
	for name in tables:
		cursor.execute(f"CHECK TABLE {quote(database)}.{quote(name)}")
		bad = [text for _table, _operation, kind, text in cursor.fetchall() if kind.lower() == "error"]
		if bad:
			raise refuse_backup(file, f"restored, its table is damaged: {name}: {'; '.join(bad)}")
	return len(tables)


def _find_number(error: DeployError) -> int:
	"""The server's own number, told by what the error was raised from or, of a client program, by its words."""
	cause = error.__cause__
	while cause:
		if isinstance(cause, pymysql.Error):
			return number_of(cause)
		cause = cause.__cause__
	found = _CLIENT_NUMBER.search(error.why)
	return int(found.group(1)) if found else 0
