"""Rung 4 of a backup with its site: it restores, and the site's key opens what it holds.

Invariant: what is restored to be looked at is a database of its own, never the site's.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine.backup.encryption_key import check_encryption_key
from press_deploy.engine.backup.manifest import database_file, find_expected_hash
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.restoring import scratch_database
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.file_copy import hash_file
from press_deploy.engine.mariadb import physical
from press_deploy.engine.mariadb.administrator import find_administrator
from press_deploy.engine.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.mariadb.server import Server
from press_deploy.engine.progress import Progress

if TYPE_CHECKING:
	from press_deploy.engine.context import Context


def prove_restorable(
	bench: Bench, site: str, directory: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Restore a site's backup beside it, compare with what the dump holds, and drop it again.

	Raises `StepFailed`.
	"""
	config = bench.read_config(site)
	kind = config.get("db_type") or "mariadb"
	server = find_administrator(config) if kind == "mariadb" else None
	if kind == "sqlite" or server:
		return _prove(directory, server, progress)
	return prove_in_scratch(bench, directory, progress)


def prove_in_scratch(bench: Bench, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""The same on a private server on the bench's disk, where nobody's rights are needed."""
	# Not below the backup: the path of a unix socket has to be short.
	place = Path(tempfile.mkdtemp(prefix="scratch-", dir=bench.deployments))
	try:
		with run_scratch_server(place) as server:
			return {**_prove(directory, server, progress), "server": "a private one"}
	finally:
		shutil.rmtree(place, ignore_errors=True)


def check_key(context: Context, site: str) -> dict[str, Any]:
	"""See that the site's encryption key opens a password in its standby database. Raises `StepFailed`."""
	config, standby = context.bench.read_config(site), context.standbys[site]
	administrator = find_administrator(config) if (config.get("db_type") or "mariadb") == "mariadb" else None
	if administrator is None:
		return {"encryption_key": "not looked at on this kind of database"}
	problem = check_encryption_key(administrator, standby.name, config.get("encryption_key"))
	if problem:
		remedy = "put the right key into site_config.json: without it no stored password can be read again"
		raise StepFailed("Proving", f"the backup of {site}", problem, remedy)
	return {"encryption_key": "opens what is stored"}


def _prove(directory: Path, server: Server | None, progress: Progress | None) -> dict[str, Any]:
	if server and database_file(directory).suffix == physical.SUFFIX:
		return _prove_physical(directory, server, progress)
	found = prove_file(database_file(directory), Rung.RESTORABLE, server, progress=progress)
	if not found.is_enough:
		raise _refuse(found.path, found.proof.why_not(Rung.RESTORABLE))
	return found.proof.facts(Rung.RESTORABLE)


def _prove_physical(directory: Path, server: Server, progress: Progress | None) -> dict[str, Any]:
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
		raise _refuse(file, f"restored, it has {tables} tables and views, the backup holds {facts['tables']}")
	return {"tables": tables, "imported": loaded["imported"], "logical": loaded["logical"]}


def _check_hash(file: Path) -> None:
	expected, found = find_expected_hash(file), hash_file(file)
	if found != expected:
		why = f"its SHA-256 is {found[:12]}…, the manifest beside it says {(expected or 'nothing')[:12]}…"
		raise _refuse(file, why)


def _refuse(file: Path, why: str) -> StepFailed:
	return StepFailed("Proving", str(file), why, "make a new backup; look at the disk")
