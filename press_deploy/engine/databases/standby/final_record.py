"""What a final backup must add up to with the backup before it: `final.json`, beside its other files.

Tables with their definitions, numbers of rows and sums, as the live database had them behind closed doors.

Invariant: the record is there only while every file it speaks of is; it is removed before the first of them
is replaced, and written when they were seen to be right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.remedies import OTHER_BACKUP

FINAL = "final.json"
SCHEMA = 1


@dataclass(frozen=True)
class FinalRecord:
	"""What was recorded of the final backup in `directory`; `sha256` is the record's own."""

	directory: Path
	tables: dict[str, dict[str, Any]]
	facts: dict[str, Any]
	sha256: str

	def require_file(self, name: str, doing: str) -> Path:
		"""A file of the final backup that is there. Raises `StepFailed`."""
		path = self.directory / name
		if not path.is_file():
			raise StepFailed(doing, f"from {self.directory}", f"its file {name} is gone", "restore that file")
		return path

	def refuse(self, doing: str, error: Exception) -> StepFailed:
		"""What to raise when its content isn't what it should be."""
		return _refuse(self.directory / FINAL, doing, error)


def begin_record(directory: Path) -> None:
	"""What is there is going to be replaced: it adds up to nothing until `write_record`."""
	directory.mkdir(mode=0o700, parents=True, exist_ok=True)
	(directory / FINAL).unlink(missing_ok=True)
	durable.sync_directory(directory)


def write_record(directory: Path, tables: dict[str, dict[str, Any]], **facts: Any) -> str:
	"""`tables` are {name: what it is}, plain data, and `facts` whatever else; returns the record's SHA-256."""
	durable.write_json(directory / FINAL, {"schema": SCHEMA, "tables": tables, "facts": facts})
	return hash_file(directory / FINAL)


def read_record(directory: Path, doing: str) -> FinalRecord:
	"""The record of a final backup that was completed. Raises `StepFailed`."""
	path = directory / FINAL
	if not path.is_file():
		why = f"it has no {FINAL}: it was not completed, or by a version that kept none"
		raise StepFailed(doing, f"from the final backup in {directory}", why, OTHER_BACKUP)
	data = read_json(path, doing)
	try:
		if data["schema"] != SCHEMA:
			raise ValueError(f"it is no record of schema {SCHEMA}")
		return FinalRecord(directory, data["tables"], data["facts"], hash_file(path))
	except (OSError, ValueError, KeyError, TypeError) as error:
		raise _refuse(path, doing, error) from None


def read_json(path: Path, doing: str) -> Any:
	"""Raises `StepFailed`."""
	try:
		return json.loads(path.read_text())
	except (OSError, ValueError) as error:
		raise _refuse(path, doing, error) from None


def require_database(base: Path, doing: str) -> None:
	"""Raise `StepFailed` where the database of the backup in `base` isn't there any more."""
	try:
		why = "" if (file := database_file(base)).is_file() else f"{file.name} is gone"
	except (OSError, ValueError, KeyError, TypeError, IndexError):
		why = "its manifest is gone, or names no database"
	if why:
		raise StepFailed(doing, f"from the backup in {base}", why, "bring it back from a safe place")


def _refuse(path: Path, doing: str, error: Exception) -> StepFailed:
	return StepFailed(doing, f"from {path}", f"it can't be read: {error}", "restore that file")
