"""Rung 4 of a backup with its site: it restores, and the key in it opens what it holds.

Invariant: what is restored to be looked at is a database of its own, never the site's; what it was compared with
is said.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.encryption_key import NAME, check_backup_key, find_key_problem, refuse_key
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.backup.verifying import find_expected_hash
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import COPY, database_entry, database_file, describe
from press_deploy.engine.databases.dumps.restored import SHOWN_NAMES, refuse_backup
from press_deploy.engine.databases.engine import Engine, Look, Place
from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.progress import Progress


def prove_restorable(
	bench: Bench, site: str, directory: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Restore a site's backup beside it, compare with what the backup holds, and drop it again.

	Returns what was seen: "compared_with", "encryption_key", "tables" and more. Raises `StepFailed`.
	"""
	config = bench.read_config(site)
	engine = engine_of(config.get("db_type"))
	with _refuse_unreadable(directory):
		file = database_file(directory)
	place = engine.proving.choose_place(config, file, _facts_of(directory, file))
	if place is None:
		return prove_in_scratch(bench, directory, progress)
	return _prove(bench, engine, directory, place, progress)


def prove_in_scratch(bench: Bench, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""The same on a private server on the bench's disk, where nobody's rights are needed."""
	with _refuse_unreadable(directory):
		site = describe(directory)["site"]
	engine = engine_of(bench.read_config(site).get("db_type"))
	# Not below the backup: the path of a unix socket has to be short.
	scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=bench.deployments))
	try:
		with engine.proving.open_private_place(scratch) as place:
			return {**_prove(bench, engine, directory, place, progress), "server": "a private one"}
	finally:
		shutil.rmtree(scratch, ignore_errors=True)


def check_standby(
	bench: Bench, standby: StandbyDatabase, directory: Path, compared: dict[str, Any]
) -> dict[str, Any]:
	"""What a standby database was not `compared` with the site for: its busy tables, and the keys.

	`directory` is the backup that it was loaded from, `compared` what its `prove` returned. Raises `StepFailed`.
	"""
	# A site that was started on it may have written to it since.
	if not Proof(directory).has(Rung.RESTORABLE):
		_count_busy(standby, directory, [*compared["written"], *compared["changed"]])
	stored = standby.read_stored_passwords()
	if problem := find_key_problem(stored, bench.read_config(standby.site).get(NAME)):
		raise refuse_key(standby.site, problem)
	return {
		"compared_with": "the live site",
		"encryption_key": check_backup_key(bench, directory, stored),
	}


def _count_busy(standby: StandbyDatabase, directory: Path, busy: list[str]) -> None:
	"""The site has changed these tables since: the dump itself says how many rows were in them.

	A physical copy says no numbers; it is loaded file by file, or not at all.
	"""
	file = database_file(directory)
	rows = _facts_of(directory, file).get("tables")
	if not isinstance(rows, dict):
		return
	wanted = {name: rows[name] for name in sorted(busy) if name in rows}
	found = standby.count_rows(wanted) if wanted else {}
	other = [
		f"{name} has {found[name]} rows, the backup {rows[name]}"
		for name in wanted
		if found[name] != rows[name]
	]
	if other:
		raise refuse_backup(file, f"restored, {'; '.join(other[:SHOWN_NAMES])}")


def _prove(
	bench: Bench, engine: Engine, directory: Path, place: Place, progress: Progress | None
) -> dict[str, Any]:
	stored: list[Stored] = []

	def look(place: Place, database: str) -> None:
		stored.append(engine.proving.read_stored_passwords(place, database))

	with _refuse_unreadable(directory):
		if database_entry(directory)["kind"] == COPY:
			facts = _prove_copy(directory, engine, place, progress, look)
		else:
			facts = _prove_dump(directory, place, progress, look)
		return {**facts, "encryption_key": check_backup_key(bench, directory, stored[0])}


@contextmanager
def _refuse_unreadable(directory: Path) -> Iterator[None]:
	"""The manifest is not what was written, or a file is gone: `StepFailed`."""
	try:
		yield
	except (ValueError, LookupError, TypeError, OSError) as error:
		raise refuse_backup(directory, f"it can't be read: {error}") from error


def _prove_dump(directory: Path, place: Place, progress: Progress | None, look: Look) -> dict[str, Any]:
	found = prove_file(database_file(directory), Rung.RESTORABLE, place, progress=progress, look=look)
	if not found.is_enough:
		raise refuse_backup(found.path, found.proof.why_not(Rung.RESTORABLE))
	return {**found.proof.facts(Rung.RESTORABLE), "compared_with": "the dump itself"}


def _prove_copy(
	directory: Path, engine: Engine, place: Place, progress: Progress | None, look: Look
) -> dict[str, Any]:
	"""Load a copy of the server's files into a database that is dropped again; what is missing raises."""
	file = database_file(directory)
	expected, found = find_expected_hash(file), hash_file(file)
	if found != expected:
		why = f"its SHA-256 is {found[:12]}…, the manifest beside it says {(expected or 'nothing')[:12]}…"
		raise refuse_backup(file, why)
	return engine.proving.restore_copy(file, _facts_of(directory, file), place, progress=progress, look=look)


def _facts_of(directory: Path, file: Path) -> dict[str, Any]:
	"""What rung 2 saw in a file of a backup; {} where nothing is known."""
	return Proof(directory).facts(Rung.WHOLE).get(file.name) or {}
