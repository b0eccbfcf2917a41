"""The standby of a site on SQLite: a file beside the site's own, which a rename puts into its place.

Invariant: the site's file is at every instant the former one or the standby, whole; the replaced one has a
name of its own before it loses the old one. No write-ahead log ever meets a file that it doesn't belong to.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.dumps.dump_file import DamagedFile, unpack
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.sqlite.content import (
	check_integrity,
	copy_online,
	pack,
	read_content,
	read_objects,
	sync_file,
	translate_sqlite_errors,
)
from press_deploy.engine.databases.sqlite.exchange import COMPANIONS, exchange, identify
from press_deploy.engine.databases.sqlite.losses import open_former, open_snapshot
from press_deploy.engine.databases.sqlite.place import FINAL_BACKUP
from press_deploy.engine.databases.sqlite.proving import read_stored_passwords
from press_deploy.engine.databases.standby.base import Former, StandbyDatabase
from press_deploy.engine.databases.standby.final_record import (
	FINAL,
	FinalRecord,
	begin_record,
	read_record,
	require_database,
	write_record,
)
from press_deploy.engine.databases.standby.judging import judge
from press_deploy.engine.databases.standby.notes import (
	LOADED,
	LOADING,
	SWAPPED,
	SWAPPING,
	UNDOING,
	UNDONE,
	Note,
	announce_replacement,
	require_never_swapped,
	require_no_swap,
	require_not_undone,
)
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import LOAD_STANDBY, OTHER_BACKUP, see_disk

# The file itself, its copy while it is made, and room for what users write.
ROOM_FACTOR = 2.2
SHOWN_NAMES = 10


class SQLiteStandby(StandbyDatabase):
	"""`live` is the path of the site's file; `name` and `quarantine` are paths in the same directory."""

	def __init__(self, site: str, run: str, live: Path, name: Path, quarantine: Path, directory: Path):
		self.site, self.run = site, run
		self.live, self.name, self.quarantine = str(live), str(name), str(quarantine)
		self._live, self._standby, self._quarantine = live, name, quarantine
		self._loaded = Note(directory, "standby.json")
		self._before = Note(directory, "live-before.json")
		self.swap_note = Note(directory, "swap.json")

	def check(self, size_bytes: int | None) -> list[Check]:
		checks = []
		for path, note in ((self._standby, self._loaded), (self._quarantine, self.swap_note)):
			if path.exists() and not note.read():
				found = f"{path} exists, and this run did not make it"
				checks.append(
					fail(
						"Standby database",
						found,
						f"see whose it is, then move it elsewhere: mv {path} /var/tmp/",
					)
				)
		try:
			size = self._live.stat().st_size if size_bytes is None else size_bytes
			free = shutil.disk_usage(self._live.parent).free
		except OSError as error:
			return [
				*checks,
				fail("Standby database", f"{self._live}: {error.strerror}", see_disk(self._live)),
			]
		found = f"{free >> 20} MB free beside {self._live.name}, {int(size * ROOM_FACTOR) >> 20} MB needed"
		name = "Room for the standby database"
		if free < size * ROOM_FACTOR:
			return [*checks, fail(name, found, f"free space for {self._live.parent}")]
		return [*checks, ok(name, found)]

	def load(self, dump: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Loading the backup into"
		with self._alone(doing):
			self._require_loadable(doing)
			return self._fill(doing, dump, progress)

	def load_backup(
		self, directory: Path, workplace: Path, progress: Progress | None = None
	) -> dict[str, Any]:
		return self.load(database_file(directory), progress)

	def rebuild(self, base: Path, final: Path | None, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Making again"
		with self._alone(doing):
			self._require_loadable(doing)
			record = read_record(final, doing) if final else None
			# It is there, and as it should be: not to be dropped for want of anything better.
			if self.is_loaded() and self._loaded.read().get("final") == (record and record.sha256):
				return {"tables": check_integrity(self._standby, doing)}
			if record:
				# What is kept behind closed doors is whole by itself.
				dump = record.require_file(FINAL_BACKUP, doing)
			else:
				require_database(base, doing)
				dump = database_file(base)
			return {"tables": self._fill(doing, dump, progress, record)["tables"]}

	def is_loaded(self) -> bool:
		return self._loaded.state == LOADED and self._standby.is_file()

	def remember_live(self) -> dict[str, Any]:
		with translate_sqlite_errors("Reading", self.live):
			content = read_content(self._live)
		self._before.write(tables=content)
		return {"tables": len(content)}

	def prove(self) -> dict[str, Any]:
		doing = f"Proving {self.name} against"
		self._require_loaded(doing)
		check_integrity(self._standby, doing)
		with translate_sqlite_errors(doing, self.live):
			now, standby = read_content(self._live), read_content(self._standby)
		former, live, copy = (
			{name: (each["definition"], each["checksum"]) for name, each in (content or {}).items()}
			for content in (self._before.read().get("tables"), now, standby)
		)
		verdict = judge(doing, self.live, former, live, copy, set())
		verdict["written"] = {name: [now[name]["rows"], standby[name]["rows"]] for name in verdict["written"]}
		return verdict

	def refresh(self, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Bringing up to date"
		with self._alone(doing):
			require_no_swap(self.swap_note, doing, self.name)
			require_not_undone(self.swap_note, doing, self.name, self._standby.exists())
			self._require_loaded(doing)
			former = read_content(self._standby)
			self._remove(self._part)
			copy_online(self._live, self._part)
			live, copied = read_content(self._live), read_content(self._part)
			if live != copied or read_objects(self._live) != read_objects(self._part):
				different = sorted(name for name in {*live, *copied} if live.get(name) != copied.get(name))
				raise StepFailed(
					doing,
					self.name,
					f"somebody still writes to {', '.join(different) or 'the live database'}",
					f"see that the site is closed, and who has it open: sudo fuser -v {self._live}; then try again",
				)
			check_integrity(self._part, doing)
			begin_record(directory)
			size = pack(self._part, directory / FINAL_BACKUP)
			final = write_record(directory, live, objects=read_objects(self._part))
			self._put_in_place(self._part)
			self._loaded.change(final=final)
		changed = sorted(name for name in live if live[name] != former.get(name))
		dropped = sorted(set(former) - set(live))
		return {
			**{"changed": changed, "dropped": dropped, "tables": len(live), "bytes": size},
			**{"files": [FINAL_BACKUP, FINAL], "not_made": []},
		}

	def swap(self) -> dict[str, Any]:
		doing, moved = "Swapping", 0
		with self._alone(doing):
			if self.swap_note.state == UNDOING:
				# What was being put back has to be there whole, before it can be replaced again.
				moved += self._put_back(doing)
			if self.swap_note.state not in (SWAPPING, SWAPPED):
				self._begin(doing)
			if self.swap_note.state == SWAPPING:
				note = self.swap_note.read()
				places = (self._live, self._standby, self._quarantine)
				moved += exchange(*places, note["standby"], note["live"], doing)
				self.swap_note.change(state=SWAPPED)
		return {"moved": moved, "ended": [], "not_made": []}

	def observe_swapped(self) -> Observation:
		with translate_sqlite_errors("Looking at", self.live):
			note = self.swap_note.read()
			live, quarantine = identify(self._live), identify(self._quarantine)
		found = {self._live.name: live, self._quarantine.name: quarantine}
		if note.get("state") not in (SWAPPING, SWAPPED):
			return Observation(False, "no swap was begun, or it was undone", found)
		if live != note["standby"]:
			return Observation(False, "it is not the standby that is live", found)
		if quarantine != note["live"]:
			why = f"the standby is live, and what it replaced is not in {self._quarantine} any more"
			return Observation(False, why, found)
		return Observation(True, "the standby is live", found)

	def undo_swap(self) -> dict[str, Any]:
		doing, moved = "Undoing the swap of", 0
		with self._alone(doing):
			if self.swap_note.state not in (None, UNDONE):
				moved = self._put_back(doing)
		return {"moved": moved, "ended": [], "not_made": []}

	def open_comparison(self) -> AbstractContextManager[Reader]:
		return open_snapshot(self.name, self.live)

	def open_former(self, backup: Path, final: Path) -> AbstractContextManager[Former]:
		return open_former(self.quarantine, backup, final)

	def count_rows(self, tables: Iterable[str]) -> dict[str, int | None]:
		with translate_sqlite_errors("Proving", self.name):
			content = read_content(self._standby)
		return {table: content[table]["rows"] if table in content else None for table in tables}

	def read_stored_passwords(self) -> Stored:
		return read_stored_passwords(None, self.name)

	def let_in(self, config: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
		# Frappe names a file without its suffix.
		return nullcontext({"db_name": self._standby.stem})

	def drop_standby(self) -> None:
		doing = "Removing"
		with self._alone(doing):
			require_no_swap(self.swap_note, doing, self.name)
			if self._standby.exists() and not self._loaded.read():
				raise StepFailed(doing, self.name, "this run did not make it", "remove it by hand")
			require_not_undone(self.swap_note, doing, self.name, self._standby.exists())
			self._remove(self._part)
			self._remove(self._standby)
			self._loaded.remove()

	def drop_quarantine(self) -> None:
		doing = "Removing"
		with self._alone(doing):
			require_no_swap(self.swap_note, doing, self.quarantine)
			note = self.swap_note.read()
			if not self._quarantine.exists():
				return
			if note.get("state") != SWAPPED or identify(self._quarantine) != note["live"]:
				raise StepFailed(doing, self.quarantine, "this run did not make it", "remove it by hand")
			self._remove(self._quarantine)

	# --- files ---------------------------------------------------------------------------------

	@contextmanager
	def _alone(self, doing: str) -> Iterator[None]:
		"""While no other process does anything to the files of this site; the lock ends with its process."""
		with translate_sqlite_errors(doing, self.live):
			directory = os.open(self._live.parent, os.O_RDONLY | os.O_DIRECTORY)
			try:
				fcntl.flock(directory, fcntl.LOCK_EX)
				yield
			finally:
				os.close(directory)

	def _fill(
		self, doing: str, dump: Path, progress: Progress | None, record: FinalRecord | None = None
	) -> dict[str, Any]:
		"""Unpack a file into the standby's place, and note whose content it is."""
		announce_replacement(self.swap_note, doing, self.name, self._standby.exists())
		self._loaded.write(state=LOADING)
		self._remove(self._standby)
		size = self._unpack(dump, progress)
		tables = check_integrity(self._part, doing)
		if record:
			self._compare(doing, record)
		self._put_in_place(self._part)
		self._loaded.write(state=LOADED, **({"final": record.sha256} if record else {}))
		return {"tables": tables, "bytes": size}

	def _compare(self, doing: str, record: FinalRecord) -> None:
		found = read_content(self._part)
		wanted = record.tables
		different = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
		if record.facts["objects"] != read_objects(self._part):
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

	def _put_back(self, doing: str) -> int:
		note = self.swap_note.change(state=UNDOING)
		places = (self._live, self._quarantine, self._standby)
		moved = exchange(*places, note["live"], note["standby"], doing)
		self.swap_note.change(state=UNDONE)
		return moved

	def _begin(self, doing: str) -> None:
		self._require_loaded(doing)
		if self._quarantine.exists():
			raise StepFailed(doing, self.live, f"{self._quarantine} exists already", "move it elsewhere")
		check_integrity(self._standby, doing)
		self.swap_note.write(state=SWAPPING, live=identify(self._live), standby=identify(self._standby))

	@property
	def _part(self) -> Path:
		return self._standby.with_name(f"{self._standby.name}.part")

	def _unpack(self, dump: Path, progress: Progress | None) -> int:
		self._remove(self._part)
		size = 0
		mode = self._live.stat().st_mode & 0o7777
		try:
			with os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
				for chunk in unpack(dump, progress):
					file.write(chunk)
					size += len(chunk)
		except DamagedFile as error:
			raise StepFailed("Unpacking", str(dump), str(error), OTHER_BACKUP) from error
		self._part.chmod(mode)
		return size

	def _put_in_place(self, part: Path) -> None:
		part.chmod(self._live.stat().st_mode & 0o7777)
		sync_file(part)
		for suffix in COMPANIONS:
			part.with_name(part.name + suffix).unlink(missing_ok=True)
			self._standby.with_name(self._standby.name + suffix).unlink(missing_ok=True)
		part.replace(self._standby)
		durable.sync_directory(self._standby.parent)

	def _remove(self, path: Path) -> None:
		for suffix in ("", *COMPANIONS):
			path.with_name(path.name + suffix).unlink(missing_ok=True)

	def _require_loaded(self, doing: str) -> None:
		if not self.is_loaded():
			raise StepFailed(doing, self.name, "no complete backup is loaded there", LOAD_STANDBY)

	def _require_loadable(self, doing: str) -> None:
		require_never_swapped(self.swap_note, doing, self.name)
		if self._standby.exists() and not self._loaded.read():
			raise StepFailed(
				doing, self.name, "the file exists, and this run did not make it", "move it elsewhere"
			)
