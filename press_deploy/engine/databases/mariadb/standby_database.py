"""The standby of a site on MariaDB: a database on the same server, which renamed tables put into place.

Invariant: each note is on the disk before the effect that it announces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb import schemas
from press_deploy.engine.databases.mariadb.comparison import read_both, read_tables
from press_deploy.engine.databases.mariadb.filling import Fill, fill_from, fill_from_dump
from press_deploy.engine.databases.mariadb.objects import read_objects
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.standby_check import check_standby
from press_deploy.engine.databases.mariadb.standby_content import StandbyContent
from press_deploy.engine.databases.mariadb.standby_proof import compare_tables
from press_deploy.engine.databases.mariadb.standby_rebuild import DOING as REBUILDING
from press_deploy.engine.databases.mariadb.standby_rebuild import Rebuild
from press_deploy.engine.databases.mariadb.standby_refresh import Refresh
from press_deploy.engine.databases.mariadb.standby_swap import Swap
from press_deploy.engine.databases.mariadb.throwaway_user import drop_leftovers
from press_deploy.engine.databases.standby import names
from press_deploy.engine.databases.standby.notes import (
	require_no_swap,
	require_not_undone,
)
from press_deploy.engine.ground.checks import Check
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import Progress


class MariaDBStandby(StandbyContent):
	"""Each of its verbs is a module of its own; what they share is `OwnDatabases`, below `StandbyContent`."""

	def check(self, size_bytes: int | None) -> list[Check]:
		return check_standby(self, size_bytes)

	# --- the standby ---------------------------------------------------------------------------

	def load(self, dump: Path, progress: Progress | None = None) -> dict[str, Any]:
		return self.load_by(fill_from_dump(dump, progress))

	def load_by(self, fill: Fill) -> dict[str, Any]:
		"""Load by whatever fills an empty database: a physical backup has its own way."""
		doing = "Loading the backup into"
		with self.alone(doing, self.name) as cursor:
			self.require_loadable(cursor, doing)
			return self.fill_new(cursor, doing, fill)

	def load_backup(
		self, directory: Path, workplace: Path, progress: Progress | None = None
	) -> dict[str, Any]:
		return self.load_by(fill_from(directory, self.live, workplace, progress))

	def rebuild(self, base: Path, final: Path | None, progress: Progress | None = None) -> dict[str, Any]:
		with self.alone(REBUILDING, self.name) as cursor:
			return Rebuild(self, base, final).execute(cursor, progress)

	def remember_live(self) -> dict[str, Any]:
		with self.ask("Reading", self.live) as cursor:
			cursor.execute("SELECT NOW()")
			since = str(cursor.fetchone()[0])
			objects = read_objects(cursor, self.live)
			tables = read_tables(self.server, self.live)
		plain = {name: [state.definition, state.checksum] for name, state in tables.items()}
		self.before.write(since=since, tables=plain, objects=objects)
		return {"tables": len(tables)}

	def prove(self) -> dict[str, Any]:
		doing = f"Proving {self.name} against"
		self.require_loaded(doing)
		with translate_server_errors(doing, self.live):
			now, standby = read_both(self.server, self.live, self.name)
		# A connection that had waited for this might have been closed by the server.
		with self.ask(doing, self.live) as cursor:
			return compare_tables(doing, self, cursor, self.before.read(), now, standby)

	def refresh(self, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
		doing = "Bringing up to date"
		with self.alone(doing, self.name) as cursor:
			require_no_swap(self.swap_note, doing, self.name)
			require_not_undone(self.swap_note, doing, self.name, self.is_there(cursor))
			return Refresh(self, self.loaded_note, directory).execute(cursor, progress)

	# --- the swap ------------------------------------------------------------------------------

	def swap(self, *, chunk: int | None = None) -> dict[str, Any]:
		"""`chunk`: how many renames one statement makes; the default is right for production."""
		with self.alone("Swapping", self.live) as cursor:
			return Swap(self, self.swap_note, chunk).execute(cursor)

	def undo_swap(self, *, chunk: int | None = None) -> dict[str, Any]:
		with self.alone("Undoing the swap of", self.live) as cursor:
			return Swap(self, self.swap_note, chunk).undo(cursor)

	def observe_swapped(self) -> Observation:
		with self.ask("Looking at", self.live) as cursor:
			return Swap(self, self.swap_note).observe(cursor)

	# --- the end -------------------------------------------------------------------------------

	def drop_standby(self) -> None:
		with self.alone("Removing", self.name) as cursor:
			require_no_swap(self.swap_note, "Removing", self.name)
			self.require_free(self.name, "Removing")
			self.require_ours(cursor, "Removing", names.STANDBY, self.loaded_note)
			require_not_undone(self.swap_note, "Removing", self.name, self.is_there(cursor))
			# A killed test of rung 5 may have left its user, who has the standby's name and all rights on it.
			drop_leftovers(cursor, self.name)
			self.remove_half_made(cursor)
			self.loaded_note.remove()

	def drop_quarantine(self) -> None:
		with self.alone("Removing", self.quarantine) as cursor:
			require_no_swap(self.swap_note, "Removing", self.quarantine)
			self.require_free(self.quarantine, "Removing")
			Swap(self, self.swap_note).require_nothing_left(cursor)
			schemas.drop_schema(cursor, self.quarantine, names.QUARANTINE, self.live, self.run)
