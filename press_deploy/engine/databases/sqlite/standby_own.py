"""The files of a run beside a site's on SQLite: whose they are, and how one of them gets its content.

Invariant: what is done to them is done by one process at a time, whose end ends its lock, and a file that is not this
run's by its notes is neither used nor removed. What fills a standby is whole before it has the standby's name.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import DamagedFile, unpack
from press_deploy.engine.databases.sqlite.content import (
	check_integrity,
	read_content,
	read_objects,
	sync_file,
	translate_sqlite_errors,
)
from press_deploy.engine.databases.sqlite.exchange import COMPANIONS
from press_deploy.engine.databases.sqlite.place import FINAL_BACKUP
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.final_record import FinalRecord
from press_deploy.engine.databases.standby.notes import (
	LOADED,
	LOADING,
	Note,
	announce_replacement,
	require_never_swapped,
)
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import LOAD_STANDBY, OTHER_BACKUP

SHOWN_NAMES = 10


class OwnFiles(StandbyDatabase):
	"""`live` is the path of the site's file; `name` and `quarantine` are paths in the same directory."""

	def __init__(self, site: str, run: str, live: Path, name: Path, quarantine: Path, directory: Path):
		self.site, self.run = site, run
		self.live, self.name, self.quarantine = str(live), str(name), str(quarantine)
		self.live_file, self.standby_file, self.quarantine_file = live, name, quarantine
		self.loaded_note = Note(directory, "standby.json")
		self.before = Note(directory, "live-before.json")
		self.swap_note = Note(directory, "swap.json")

	def is_loaded(self) -> bool:
		return self.loaded_note.state == LOADED and self.standby_file.is_file()

	@contextmanager
	def alone(self, doing: str) -> Iterator[None]:
		"""While no other process does anything to the files of this site; the lock ends with its process."""
		with translate_sqlite_errors(doing, self.live):
			directory = os.open(self.live_file.parent, os.O_RDONLY | os.O_DIRECTORY)
			try:
				fcntl.flock(directory, fcntl.LOCK_EX)
				yield
			finally:
				os.close(directory)

	def fill(
		self, doing: str, dump: Path, progress: Progress | None, record: FinalRecord | None = None
	) -> dict[str, Any]:
		"""Unpack a file into the standby's place, and note whose content it is."""
		announce_replacement(self.swap_note, doing, self.name, self.standby_file.exists())
		self.loaded_note.write(state=LOADING)
		self.remove(self.standby_file)
		size = self._unpack(dump, progress)
		tables = check_integrity(self.part, doing)
		if record:
			self._compare(doing, record)
		self.put_in_place(self.part)
		self.loaded_note.write(state=LOADED, **({"final": record.sha256} if record else {}))
		return {"tables": tables, "bytes": size}

	def _compare(self, doing: str, record: FinalRecord) -> None:
		found = read_content(self.part)
		wanted = record.tables
		different = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
		if record.facts["objects"] != read_objects(self.part):
			different.append("views, triggers or indexes")
		if different:
			why = (
				f"it differs from what was recorded of the final backup: {', '.join(different[:SHOWN_NAMES])}"
			)
			remedy = (
				f"{record.directory / FINAL_BACKUP} is not what it was, and is here alone; the older backup can be "
				"restored by hand, and lacks what was written between the two"
			)
			raise StepFailed(doing, self.name, why, remedy)

	@property
	def part(self) -> Path:
		return self.standby_file.with_name(f"{self.standby_file.name}.part")

	def _unpack(self, dump: Path, progress: Progress | None) -> int:
		self.remove(self.part)
		size = 0
		mode = self.live_file.stat().st_mode & 0o7777
		try:
			with os.fdopen(os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
				for chunk in unpack(dump, progress):
					file.write(chunk)
					size += len(chunk)
		except DamagedFile as error:
			raise StepFailed("Unpacking", str(dump), str(error), OTHER_BACKUP) from error
		self.part.chmod(mode)
		return size

	def put_in_place(self, part: Path) -> None:
		part.chmod(self.live_file.stat().st_mode & 0o7777)
		sync_file(part)
		for suffix in COMPANIONS:
			part.with_name(part.name + suffix).unlink(missing_ok=True)
			self.standby_file.with_name(self.standby_file.name + suffix).unlink(missing_ok=True)
		part.replace(self.standby_file)
		durable.sync_directory(self.standby_file.parent)

	def remove(self, path: Path) -> None:
		for suffix in ("", *COMPANIONS):
			path.with_name(path.name + suffix).unlink(missing_ok=True)

	def require_loaded(self, doing: str) -> None:
		if not self.is_loaded():
			raise StepFailed(doing, self.name, "no complete backup is loaded there", LOAD_STANDBY)

	def require_loadable(self, doing: str) -> None:
		require_never_swapped(self.swap_note, doing, self.name)
		if self.standby_file.exists() and not self.loaded_note.read():
			raise StepFailed(
				doing, self.name, "the file exists, and this run did not make it", "move it elsewhere"
			)
