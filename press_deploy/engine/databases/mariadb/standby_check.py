"""What stands against a standby database on this server, told before anything is changed.

Invariant: it changes nothing; what can't be asked is a warning or a failure, never passed over.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

from press_deploy.engine.databases.mariadb import schemas
from press_deploy.engine.databases.mariadb.dump_limits import REMEDY, find_changed_by_dump
from press_deploy.engine.databases.mariadb.foreign_objects import find_unmakeable
from press_deploy.engine.databases.mariadb.holders import find_holders, find_transactions
from press_deploy.engine.databases.mariadb.loading import find_foreign_keys, find_versioned
from press_deploy.engine.databases.mariadb.objects import tell_unmovable
from press_deploy.engine.databases.mariadb.remedies import drop_by_hand
from press_deploy.engine.databases.mariadb.rights import read_version, tell_missing_rights
from press_deploy.engine.databases.mariadb.schemas import find_schema, measure_schema
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.standby import names
from press_deploy.engine.databases.standby.base import hinder
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import StepFailed

# What keeps a standby; what a swap needs, and what finds and ends whoever holds a table.
RIGHTS = (
	*("CREATE", "DROP", "ALTER", "INSERT", "SELECT"),
	*("DELETE", "UPDATE", "INDEX", "REFERENCES", "LOCK TABLES", "CREATE VIEW", "SHOW VIEW", "TRIGGER"),
	*("EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "PROCESS", "CONNECTION ADMIN", "SET USER"),
)
LONG_SECONDS = 60
ROOM_FACTOR = 1.3
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def check_standby(standby: OwnDatabases, size_bytes: int | None) -> list[Check]:
	name = f"Standby database: {standby.site}"
	try:
		with standby.ask("Looking at", standby.live) as cursor:
			return list(_check(standby, cursor, name, size_bytes))
	except StepFailed as error:
		return [fail(name, error.why, error.remedy)]


def _check(standby: OwnDatabases, cursor: Any, name: str, size_bytes: int | None) -> Iterator[Check]:
	missing = tell_missing_rights(cursor, standby.server.user, RIGHTS)
	if missing:
		yield hinder(name, missing, "grant them, or name the database's administrator")
		return
	cursor.execute("SELECT VERSION()")
	version = str(cursor.fetchone()[0])
	if "mariadb" not in version.lower():
		yield fail(name, f"the server is {version}", "update it: MariaDB 10.6 or newer is needed")
		return
	if read_version(version) < schemas.OLDEST_VERSION:
		yield hinder(name, f"the server is {version}", "upgrade it to MariaDB 10.6 or newer")
		return
	if find_schema(cursor, standby.live) is None:
		yield fail(
			name, f"the database {standby.live} does not exist", "correct db_name in its site_config.json"
		)
		return
	yield _check_names(standby, cursor, name)
	yield from _check_tables(standby, cursor, name)
	yield _check_room(standby, cursor, size_bytes)
	yield _check_locks(standby, cursor)


def _check_names(standby: OwnDatabases, cursor: Any, name: str) -> Check:
	for database, purpose, note in (
		(standby.name, names.STANDBY, standby.loaded_note),
		(standby.quarantine, names.QUARANTINE, standby.swap_note),
	):
		if not standby.is_ours(cursor, database, purpose, note):
			found = f"a database {database} exists, and this run did not make it"
			return fail(name, found, drop_by_hand(database))
	return ok(name, f"{standby.name} and {standby.quarantine} can be made")


def _check_tables(standby: OwnDatabases, cursor: Any, name: str) -> Iterator[Check]:
	"""What a dump or a rename would not carry."""
	if unmovable := tell_unmovable(cursor, standby.live):
		found = f"no backup could bring back: {', '.join(unmovable)}"
		yield fail(name, found, "make them again without that, or drop them")
	if lack := find_unmakeable(cursor, standby.live):
		found = f"{standby.server.user} may not make again what would be replaced: {lack}"
		yield hinder(name, found, " ".join(lack.statements))
	if versioned := find_versioned(cursor, standby.live):
		found = f"{', '.join(versioned)} keep history, which no dump carries"
		yield fail(name, found, "keep their history elsewhere, and drop it from them")
	if changed := list(find_changed_by_dump(cursor, standby.live)):
		yield fail(name, f"no dump carries what the database holds: {'; '.join(changed)}", REMEDY)
	out, into = find_foreign_keys(cursor, standby.live)
	if out:
		found = f"foreign keys lead to other databases: {', '.join(out)}"
		yield fail(name, found, "drop them: they would follow the replaced tables into the quarantine")
	if into:
		found = f"foreign keys of other databases lead here: {', '.join(into)}"
		yield hinder(name, found, "drop them: they would follow the replaced tables into the quarantine")


def _check_room(standby: OwnDatabases, cursor: Any, size_bytes: int | None) -> Check:
	name = f"Room for the standby database: {standby.site}"
	size = measure_schema(cursor, standby.live) if size_bytes is None else size_bytes
	needed = int(size * ROOM_FACTOR)
	cursor.execute("SELECT @@datadir, @@hostname")
	directory, host = cursor.fetchone()
	is_local = standby.server.socket or standby.server.host in LOCAL_HOSTS
	if not is_local or host != socket.gethostname() or not os.path.isdir(directory):
		found = f"the server is on {host}, its disk can't be seen from here; {needed >> 20} MB are needed"
		return warn(name, found, f"see there that this much is free: df -h {directory}")
	free = shutil.disk_usage(directory).free
	found = f"{free >> 20} MB free for {directory}, {needed >> 20} MB needed"
	return ok(name, found) if free >= needed else hinder(name, found, f"free space for {directory}")


def _check_locks(standby: OwnDatabases, cursor: Any) -> Check:
	name = f"Long transactions: {standby.site}"
	ages = find_transactions(cursor, LONG_SECONDS)
	holders = find_holders(cursor, [standby.live], [standby.databases.user])
	held = [
		f"{holder}, transaction open for {ages[holder.number]} s"
		for holder in holders
		if holder.number in ages
	]
	if held:
		return warn(name, "; ".join(held), "wait for them: a swap would end these connections")
	return ok(name, f"none that lasts longer than {LONG_SECONDS} s")
