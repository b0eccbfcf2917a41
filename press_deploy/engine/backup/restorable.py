"""Rung 4 of a backup with its site: it restores, and the key in it opens what it holds.

Invariant: what is restored to be looked at is a database of its own, never the site's; what it was compared with
is said.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.encryption_key import (
	NAME,
	Stored,
	check_backup_key,
	find_key_problem,
	read_stored_passwords,
	refuse_key,
)
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.restoring import SHOWN_NAMES, Look, scratch_database
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.backup.verifying import find_expected_hash
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.comparison import count_rows
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.scratch_server import find_server_program, run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.sqlite_content import read_content, translate_sqlite_errors
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import NEW_BACKUP, see_disk

DOING = "Proving"


def prove_restorable(
	bench: Bench, site: str, directory: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Restore a site's backup beside it, compare with what the backup holds, and drop it again.

	Returns what was seen: "compared_with", "encryption_key", "tables" and more. Raises `StepFailed`.
	"""
	config = bench.read_config(site)
	kind = config.get("db_type") or "mariadb"
	server = find_administrator(config) if kind == "mariadb" else None
	if kind == "sqlite" or (server and not _would_run_events(server, directory)):
		return _prove(bench, directory, server, progress)
	return prove_in_scratch(bench, directory, progress)


def prove_in_scratch(bench: Bench, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""The same on a private server on the bench's disk, where nobody's rights are needed."""
	# Not below the backup: the path of a unix socket has to be short.
	place = Path(tempfile.mkdtemp(prefix="scratch-", dir=bench.deployments))
	try:
		with run_scratch_server(place) as server:
			return {**_prove(bench, directory, server, progress), "server": "a private one"}
	finally:
		shutil.rmtree(place, ignore_errors=True)


def _would_run_events(server: Server, directory: Path) -> bool:
	"""Whether a dump has events that this server would run while it is looked at, and a private one is to be had."""
	file = database_file(directory)
	facts = Proof(directory).facts(Rung.WHOLE).get(file.name, {})
	if file.suffix == physical.SUFFIX or not facts.get("objects", {}).get("events"):
		return False
	with translate_server_errors(DOING, f"{file.name} on the server"), server.session() as cursor:
		cursor.execute("SELECT @@GLOBAL.event_scheduler")
		return cursor.fetchone()[0] == "ON" and find_server_program() is not None


def check_standby(
	bench: Bench, standby: StandbyDatabase, directory: Path, compared: dict[str, Any]
) -> dict[str, Any]:
	"""What a standby database was not `compared` with the site for: its busy tables, and the keys.

	`directory` is the backup that it was loaded from, `compared` what its `prove` returned. Raises `StepFailed`.
	"""
	config = bench.read_config(standby.site)
	is_server = (config.get("db_type") or "mariadb") == "mariadb"
	server = find_administrator(config) if is_server else None
	# A site that was started on it may have written to it since.
	if not Proof(directory).has(Rung.RESTORABLE):
		_count_busy(server, standby.name, directory, [*compared["written"], *compared["changed"]])
	stored = read_stored_passwords(server, standby.name)
	if problem := find_key_problem(stored, config.get(NAME)):
		raise refuse_key(standby.site, problem)
	return {
		"compared_with": "the live site",
		"encryption_key": check_backup_key(bench, directory, stored),
	}


def _count_busy(server: Server | None, standby: str, directory: Path, busy: list[str]) -> None:
	"""The site has changed these tables since: the dump itself says how many rows were in them.

	A physical copy says no numbers; it is loaded file by file, or not at all.
	"""
	file = database_file(directory)
	rows = Proof(directory).facts(Rung.WHOLE).get(file.name, {}).get("tables")
	if not isinstance(rows, dict):
		return
	wanted = {name: rows[name] for name in sorted(busy) if name in rows}
	found = _count_rows(server, standby, wanted) if wanted else {}
	other = [
		f"{name} has {found[name]} rows, the backup {rows[name]}"
		for name in wanted
		if found[name] != rows[name]
	]
	if other:
		raise _refuse(file, f"restored, {'; '.join(other[:SHOWN_NAMES])}")


def _count_rows(server: Server | None, standby: str, names: Iterable[str]) -> dict[str, int | None]:
	if server is None:
		with translate_sqlite_errors(DOING, standby):
			content = read_content(Path(standby))
		return {name: content[name]["rows"] if name in content else None for name in names}
	with translate_server_errors(DOING, standby), server.session() as cursor:
		return {name: count_rows(cursor, standby, name) for name in names}


def _prove(bench: Bench, directory: Path, server: Server | None, progress: Progress | None) -> dict[str, Any]:
	stored: list[Stored] = []

	def look(server: Server | None, database: str) -> None:
		stored.append(read_stored_passwords(server, database))

	try:
		if server and database_file(directory).suffix == physical.SUFFIX:
			facts = _prove_physical(directory, server, progress, look)
		else:
			facts = _prove_dump(directory, server, progress, look)
		return {**facts, "encryption_key": check_backup_key(bench, directory, stored[0])}
	except (ValueError, LookupError, TypeError, OSError) as error:
		# The manifest is not what was written, or a file is gone.
		raise _refuse(directory, f"it can't be read: {error}") from error


def _prove_dump(
	directory: Path, server: Server | None, progress: Progress | None, look: Look
) -> dict[str, Any]:
	found = prove_file(database_file(directory), Rung.RESTORABLE, server, progress=progress, look=look)
	if not found.is_enough:
		raise _refuse(found.path, found.proof.why_not(Rung.RESTORABLE))
	return {**found.proof.facts(Rung.RESTORABLE), "compared_with": "the dump itself"}


def _prove_physical(directory: Path, server: Server, progress: Progress | None, look: Look) -> dict[str, Any]:
	"""Load a copy of the server's files into a database that is dropped again; what is missing raises."""
	file = database_file(directory)
	_check_hash(file)
	# Without the proof of rung 2 the file itself says what is in it.
	facts = Proof(directory).facts(Rung.WHOLE).get(file.name) or physical.check_whole(file)
	with scratch_database(server) as (cursor, database), tempfile.TemporaryDirectory(dir=directory) as place:
		loaded = physical.load(file, server, facts["database"], database, Path(place), progress)
		cursor.execute("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (database,))
		tables = cursor.fetchone()[0] + len(loaded["left_out"])
		if tables != facts["tables"]:
			raise _refuse(
				file, f"restored, it has {tables} tables and views, the backup holds {facts['tables']}"
			)
		checked = _check_tables(cursor, file, database)
		look(server, database)
	return {
		"tables": tables,
		"checked": checked,
		"compared_with": "the copy's own list of tables",
		**{key: loaded[key] for key in ("imported", "logical")},
	}


def _check_tables(cursor: Any, file: Path, database: str) -> int:
	"""Let the server check each table that has rows; returns their number. (MariaDB's documentation, CHECK TABLE.)"""
	tables = [name for name, kind in list_tables(cursor, database).items() if kind != "SEQUENCE"]
	for name in tables:
		cursor.execute(f"CHECK TABLE {quote(database)}.{quote(name)}")
		bad = [text for _table, _operation, kind, text in cursor.fetchall() if kind.lower() == "error"]
		if bad:
			raise _refuse(file, f"restored, its table is damaged: {name}: {'; '.join(bad)}")
	return len(tables)


def _check_hash(file: Path) -> None:
	expected, found = find_expected_hash(file), hash_file(file)
	if found != expected:
		why = f"its SHA-256 is {found[:12]}…, the manifest beside it says {(expected or 'nothing')[:12]}…"
		raise _refuse(file, why)


def _refuse(file: Path, why: str) -> StepFailed:
	return StepFailed(DOING, str(file), why, f"{NEW_BACKUP}; the disk: {see_disk(file)}")
