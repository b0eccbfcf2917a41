"""The standby of a site on SQLite: a file beside the site's own, which a rename puts into its place.

Invariant: the site's file is at every instant the former one or the standby, whole; the replaced one has a
name of its own before it loses the old one. No write-ahead log ever meets a file that it doesn't belong to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.sqlite.content import (
	check_integrity,
	copy_online,
	pack,
	read_content,
	read_objects,
	translate_sqlite_errors,
)
from press_deploy.engine.databases.sqlite.exchange import exchange, identify
from press_deploy.engine.databases.sqlite.losses import open_former, open_snapshot
from press_deploy.engine.databases.sqlite.place import FINAL_BACKUP
from press_deploy.engine.databases.sqlite.proving import read_stored_passwords
from press_deploy.engine.databases.sqlite.standby_own import OwnFiles
from press_deploy.engine.databases.standby.base import Former
from press_deploy.engine.databases.standby.final_record import (
	FINAL,
	begin_record,
	read_record,
	require_database,
	write_record,
)
from press_deploy.engine.databases.standby.judging import judge
from press_deploy.engine.databases.standby.notes import (
	SWAPPED,
	SWAPPING,
	UNDOING,
	UNDONE,
	require_no_swap,
	require_not_undone,
)
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import see_disk

# The file itself, its copy while it is made, and room for what users write.
ROOM_FACTOR = 2.2


class SQLiteStandby(OwnFiles):
	"""Its verbs; what they share is `OwnFiles`."""

	def check(self, size_bytes: int | None) -> list[Check]:
		checks = []
		for path, note in ((self.standby_file, self.loaded_note), (self.quarantine_file, self.swap_note)):
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
			size = self.live_file.stat().st_size if size_bytes is None else size_bytes
			free = shutil.disk_usage(self.live_file.parent).free
		except OSError as error:
			return [
				*checks,
				fail("Standby database", f"{self.live_file}: {error.strerror}", see_disk(self.live_file)),
			]
		found = (
			f"{free >> 20} MB free beside {self.live_file.name}, {int(size * ROOM_FACTOR) >> 20} MB needed"
		)
		name = "Room for the standby database"
		if free < size * ROOM_FACTOR:
			return [*checks, fail(name, found, f"free space for {self.live_file.parent}")]
		return [*checks, ok(name, found)]

	def load(self, dump: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Loading the backup into"
		with self.alone(doing):
			self.require_loadable(doing)
			return self.fill(doing, dump, progress)

	def load_backup(
		self, directory: Path, workplace: Path, progress: Progress | None = None
	) -> dict[str, Any]:
		return self.load(database_file(directory), progress)

	def rebuild(self, base: Path, final: Path | None, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Making again"
		with self.alone(doing):
			self.require_loadable(doing)
			record = read_record(final, doing) if final else None
			# It is there, and as it should be: not to be dropped for want of anything better.
			if self.is_loaded() and self.loaded_note.read().get("final") == (record and record.sha256):
				return {"tables": check_integrity(self.standby_file, doing)}
			if record:
				# What is kept behind closed doors is whole by itself.
				dump = record.require_file(FINAL_BACKUP, doing)
			else:
				require_database(base, doing)
				dump = database_file(base)
			return {"tables": self.fill(doing, dump, progress, record)["tables"]}

	def remember_live(self) -> dict[str, Any]:
		with translate_sqlite_errors("Reading", self.live):
			content = read_content(self.live_file)
		self.before.write(tables=content)
		return {"tables": len(content)}

	def prove(self) -> dict[str, Any]:
		doing = f"Proving {self.name} against"
		self.require_loaded(doing)
		check_integrity(self.standby_file, doing)
		with translate_sqlite_errors(doing, self.live):
			now, standby = read_content(self.live_file), read_content(self.standby_file)
		former, live, copy = (
			{name: (each["definition"], each["checksum"]) for name, each in (content or {}).items()}
			for content in (self.before.read().get("tables"), now, standby)
		)
		verdict = judge(doing, self.live, former, live, copy, set())
		verdict["written"] = {name: [now[name]["rows"], standby[name]["rows"]] for name in verdict["written"]}
		return verdict

	def refresh(self, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Bringing up to date"
		with self.alone(doing):
			require_no_swap(self.swap_note, doing, self.name)
			require_not_undone(self.swap_note, doing, self.name, self.standby_file.exists())
			self.require_loaded(doing)
			former = read_content(self.standby_file)
			self.remove(self.part)
			copy_online(self.live_file, self.part)
			live, copied = read_content(self.live_file), read_content(self.part)
			if live != copied or read_objects(self.live_file) != read_objects(self.part):
				different = sorted(name for name in {*live, *copied} if live.get(name) != copied.get(name))
				raise StepFailed(
					doing,
					self.name,
					f"somebody still writes to {', '.join(different) or 'the live database'}",
					f"see that the site is closed, and who has it open: sudo fuser -v {self.live_file}; then try again",
				)
			check_integrity(self.part, doing)
			begin_record(directory)
			size = pack(self.part, directory / FINAL_BACKUP)
			final = write_record(directory, live, objects=read_objects(self.part))
			self.put_in_place(self.part)
			self.loaded_note.change(final=final)
		changed = sorted(name for name in live if live[name] != former.get(name))
		dropped = sorted(set(former) - set(live))
		return {
			**{"changed": changed, "dropped": dropped, "tables": len(live), "bytes": size},
			**{"files": [FINAL_BACKUP, FINAL], "not_made": []},
		}

	def swap(self) -> dict[str, Any]:
		doing, moved = "Swapping", 0
		with self.alone(doing):
			if self.swap_note.state == UNDOING:
				# What was being put back has to be there whole, before it can be replaced again.
				moved += self._put_back(doing)
			if self.swap_note.state not in (SWAPPING, SWAPPED):
				self._begin(doing)
			if self.swap_note.state == SWAPPING:
				note = self.swap_note.read()
				places = (self.live_file, self.standby_file, self.quarantine_file)
				moved += exchange(*places, note["standby"], note["live"], doing)
				self.swap_note.change(state=SWAPPED)
		return {"moved": moved, "ended": [], "not_made": []}

	def observe_swapped(self) -> Observation:
		with translate_sqlite_errors("Looking at", self.live):
			note = self.swap_note.read()
			live, quarantine = identify(self.live_file), identify(self.quarantine_file)
		found = {self.live_file.name: live, self.quarantine_file.name: quarantine}
		if note.get("state") not in (SWAPPING, SWAPPED):
			return Observation(False, "no swap was begun, or it was undone", found)
		if live != note["standby"]:
			return Observation(False, "it is not the standby that is live", found)
		if quarantine != note["live"]:
			why = f"the standby is live, and what it replaced is not in {self.quarantine_file} any more"
			return Observation(False, why, found)
		return Observation(True, "the standby is live", found)

	def undo_swap(self) -> dict[str, Any]:
		doing, moved = "Undoing the swap of", 0
		with self.alone(doing):
			if self.swap_note.state not in (None, UNDONE):
				moved = self._put_back(doing)
		return {"moved": moved, "ended": [], "not_made": []}

	def open_comparison(self) -> AbstractContextManager[Reader]:
		return open_snapshot(self.name, self.live)

	def open_former(self, backup: Path, final: Path) -> AbstractContextManager[Former]:
		return open_former(self.quarantine, backup, final)

	def count_rows(self, tables: Iterable[str]) -> dict[str, int | None]:
		with translate_sqlite_errors("Proving", self.name):
			content = read_content(self.standby_file)
		return {table: content[table]["rows"] if table in content else None for table in tables}

	def read_stored_passwords(self) -> Stored:
		return read_stored_passwords(None, self.name)

	def let_in(self, config: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
		# Frappe names a file without its suffix.
		return nullcontext({"db_name": self.standby_file.stem})

	def drop_standby(self) -> None:
		doing = "Removing"
		with self.alone(doing):
			require_no_swap(self.swap_note, doing, self.name)
			if self.standby_file.exists() and not self.loaded_note.read():
				raise StepFailed(doing, self.name, "this run did not make it", "remove it by hand")
			require_not_undone(self.swap_note, doing, self.name, self.standby_file.exists())
			self.remove(self.part)
			self.remove(self.standby_file)
			self.loaded_note.remove()

	def drop_quarantine(self) -> None:
		doing = "Removing"
		with self.alone(doing):
			require_no_swap(self.swap_note, doing, self.quarantine)
			note = self.swap_note.read()
			if not self.quarantine_file.exists():
				return
			if note.get("state") != SWAPPED or identify(self.quarantine_file) != note["live"]:
				raise StepFailed(doing, self.quarantine, "this run did not make it", "remove it by hand")
			self.remove(self.quarantine_file)

	def _put_back(self, doing: str) -> int:
		note = self.swap_note.change(state=UNDOING)
		places = (self.live_file, self.quarantine_file, self.standby_file)
		moved = exchange(*places, note["live"], note["standby"], doing)
		self.swap_note.change(state=UNDONE)
		return moved

	def _begin(self, doing: str) -> None:
		self.require_loaded(doing)
		if self.quarantine_file.exists():
			raise StepFailed(doing, self.live, f"{self.quarantine_file} exists already", "move it elsewhere")
		check_integrity(self.standby_file, doing)
		self.swap_note.write(
			state=SWAPPING, live=identify(self.live_file), standby=identify(self.standby_file)
		)
