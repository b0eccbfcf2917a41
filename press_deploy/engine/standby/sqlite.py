"""The standby of a site on SQLite: a file beside the site's own, which a rename puts into its place.

Invariant: the site's file is at every instant the former one or the standby, whole; the replaced one has a
name of its own before it loses the old one. No write-ahead log ever meets a file that it doesn't belong to.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine import durable
from press_deploy.engine.backup.dump_file import DamagedFile, unpack
from press_deploy.engine.checks import Check, fail, ok
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.observation import Observation
from press_deploy.engine.progress import Progress
from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.notes import (
	LOADED,
	LOADING,
	SWAPPED,
	SWAPPING,
	UNDOING,
	UNDONE,
	Note,
	require_no_swap,
)
from press_deploy.engine.standby.proving import compare_contents
from press_deploy.engine.standby.sqlite_content import (
	check_integrity,
	copy_online,
	pack,
	read_content,
	read_objects,
	sync_file,
	translate_sqlite_errors,
)
from press_deploy.engine.standby.sqlite_exchange import COMPANIONS, exchange, identify

# The file itself, its copy while it is made, and room for what users write.
ROOM_FACTOR = 2.2
FINAL_BACKUP = "final.sqlite.zst"


class SQLiteStandby(StandbyDatabase):
	"""`live` is the path of the site's file; `name` and `quarantine` are paths in the same directory."""

	def __init__(self, site: str, run: str, live: Path, name: Path, quarantine: Path, directory: Path):
		self.site, self.run = site, run
		self.live, self.name, self.quarantine = str(live), str(name), str(quarantine)
		self._live, self._standby, self._quarantine = live, name, quarantine
		self._loaded = Note(directory, "standby.json")
		self._before = Note(directory, "live-before.json")
		self._swap = Note(directory, "swap.json")

	def check(self, size_bytes: int | None) -> list[Check]:
		checks = []
		for path, note in ((self._standby, self._loaded), (self._quarantine, self._swap)):
			if path.exists() and not note.read():
				found = f"{path} exists, and this run did not make it"
				checks.append(fail("Standby database", found, "look into it, then move it elsewhere"))
		try:
			size = self._live.stat().st_size if size_bytes is None else size_bytes
			free = shutil.disk_usage(self._live.parent).free
		except OSError as error:
			return [*checks, fail("Standby database", f"{self._live}: {error.strerror}", "see the site's db")]
		found = f"{free >> 20} MB free beside {self._live.name}, {int(size * ROOM_FACTOR) >> 20} MB needed"
		name = "Room for the standby database"
		if free < size * ROOM_FACTOR:
			return [*checks, fail(name, found, f"free space for {self._live.parent}")]
		return [*checks, ok(name, found)]

	def load(self, dump: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing, note = "Loading the backup into", self._loaded
		with self._alone(doing):
			require_no_swap(self._swap, doing, self.name)
			self._require_not_swapped(doing)
			if self._standby.exists() and not note.read():
				raise StepFailed(
					doing, self.name, "the file exists, and this run did not make it", "move it elsewhere"
				)
			note.write(state=LOADING)
			self._remove(self._standby)
			size = self._unpack(dump, progress)
			tables = check_integrity(self._part, doing)
			self._put_in_place(self._part)
			note.write(state=LOADED)
		return {"tables": tables, "bytes": size}

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
		return compare_contents(doing, self.live, self._before.read().get("tables"), now, standby)

	def refresh(self, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Bringing up to date"
		with self._alone(doing):
			require_no_swap(self._swap, doing, self.name)
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
					"see that the site is closed and its jobs have ended, then try again",
				)
			check_integrity(self._part, doing)
			size = pack(self._part, directory / FINAL_BACKUP)
			self._put_in_place(self._part)
		changed = sorted(name for name in live if live[name] != former.get(name))
		dropped = sorted(set(former) - set(live))
		return {
			**{"changed": changed, "dropped": dropped, "tables": len(live), "bytes": size},
			**{"files": [FINAL_BACKUP], "not_made": []},
		}

	def swap(self) -> dict[str, Any]:
		doing = "Swapping"
		with self._alone(doing):
			state = self._swap.state
			if state == UNDOING:
				raise StepFailed(doing, self.live, "its undoing was begun", "let it be completed first")
			if state == SWAPPED:
				return {"moved": 0, "ended": [], "not_made": []}
			if state != SWAPPING:
				self._begin(doing)
			note = self._swap.read()
			places = (self._live, self._standby, self._quarantine)
			moved = exchange(*places, note["standby"], note["live"], doing)
			self._swap.change(state=SWAPPED)
		return {"moved": moved, "ended": [], "not_made": []}

	def observe_swapped(self) -> Observation:
		with translate_sqlite_errors("Looking at", self.live):
			note = self._swap.read()
			found = {str(path.name): identify(path) for path in (self._live, self._quarantine)}
			done = note.get("state") in (SWAPPING, SWAPPED) and list(found.values()) == [
				note.get("standby"),
				note.get("live"),
			]
		return Observation(
			done, "the standby is live" if done else "it is not the standby that is live", found
		)

	def undo_swap(self) -> dict[str, Any]:
		doing = "Undoing the swap of"
		with self._alone(doing):
			if self._swap.state in (None, UNDONE):
				return {"moved": 0, "ended": [], "not_made": []}
			note = self._swap.change(state=UNDOING)
			places = (self._live, self._quarantine, self._standby)
			moved = exchange(*places, note["live"], note["standby"], doing)
			self._swap.change(state=UNDONE)
		return {"moved": moved, "ended": [], "not_made": []}

	def drop_standby(self) -> None:
		doing = "Removing"
		with self._alone(doing):
			require_no_swap(self._swap, doing, self.name)
			if self._standby.exists() and not self._loaded.read():
				raise StepFailed(doing, self.name, "this run did not make it", "remove it by hand")
			self._remove(self._part)
			self._remove(self._standby)
			self._loaded.remove()

	def drop_quarantine(self) -> None:
		doing = "Removing"
		with self._alone(doing):
			require_no_swap(self._swap, doing, self.quarantine)
			note = self._swap.read()
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

	def _begin(self, doing: str) -> None:
		self._require_loaded(doing)
		if self._quarantine.exists():
			raise StepFailed(doing, self.live, f"{self._quarantine} exists already", "move it elsewhere")
		check_integrity(self._standby, doing)
		self._swap.write(state=SWAPPING, live=identify(self._live), standby=identify(self._standby))

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
			raise StepFailed("Unpacking", str(dump), str(error), "use another backup") from error
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
			raise StepFailed(doing, self.name, "no complete backup is loaded there", "load one first")

	def _require_not_swapped(self, doing: str) -> None:
		if self._swap.state == SWAPPED:
			raise StepFailed(
				doing, self.name, "this run's standby was swapped in already", "begin another run for it"
			)
