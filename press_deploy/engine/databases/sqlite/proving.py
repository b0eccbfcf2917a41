"""Rung 4 on SQLite: a file is unpacked into another one beside it, and compared with what was read in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import DamagedFile, scratch_file, unpack
from press_deploy.engine.databases.dumps.facts import DumpFacts
from press_deploy.engine.databases.dumps.restored import check_frappe_tables, compare_names, compare_rows
from press_deploy.engine.databases.engine import Look
from press_deploy.engine.databases.sqlite.file_check import check_file
from press_deploy.engine.databases.stored_passwords import DOING, QUERY, Stored
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import see_disk

ASKS_FOR_PLACE = False
_TABLE = "SELECT 1 FROM sqlite_master WHERE name = '__Auth'"


def parse_address(url: str) -> None:
	return None


def choose_place(config: dict[str, Any], file: Path, facts: Mapping[str, Any]) -> Path | None:
	return file.parent


def find_missing_program() -> str | None:
	return None


def open_private_place(directory: Path) -> AbstractContextManager[Path]:
	return nullcontext(directory)


def restore(
	path: Path,
	facts: DumpFacts,
	place: Any,
	notes: list[str],
	*,
	progress: Progress | None = None,
	look: Look | None = None,
) -> dict[str, Any]:
	with scratch_file(path) as scratch:
		for chunk in unpack(path, progress):
			scratch.write(chunk)
		scratch.flush()
		restored = check_file(Path(scratch.name))
		compare_names("tables", set(facts.tables), set(restored))
		compare_rows(facts.tables, restored)
		check_frappe_tables(set(restored))
		if look:
			look(place, scratch.name)
	return {"tables": len(restored), "rows": sum(restored.values())}


def restore_copy(
	file: Path, facts: Mapping[str, Any], place: Path, *, progress: Progress | None, look: Look
) -> dict[str, Any]:
	raise DamagedFile("kind", "it is a copy of a server's files, and SQLite has no server")


def is_places_fault(error: DeployError) -> bool:
	return False


def read_stored_passwords(place: Any, database: str) -> Stored:
	try:
		# Not mode=ro: SQLite would leave the index of a write-ahead log beside it.
		with closing(sqlite3.connect(f"{Path(database).resolve().as_uri()}?mode=rw", uri=True)) as connection:
			connection.execute("PRAGMA query_only = ON")
			if not connection.execute(_TABLE).fetchone():
				return None
			return [row[0] for row in connection.execute(QUERY)]
	except (sqlite3.Error, OSError) as error:
		why = str(error.args[-1] if error.args else error)
		raise StepFailed(DOING, f"database {database}", why, see_disk(database)) from None
