"""The port of a standby database: the backup, loaded beside the live database, ready to take its place.

One site, one run. Each engine keeps it in its own way; whoever rolls back sees no difference.

Invariant: the live database changes in `swap` and `undo_swap` alone, and never loses a row by them; what is
not ours by name and mark is refused, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.standby.notes import SWAPPED, UNDER_WAY, Note
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.ground.checks import FAILED, Check
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import Progress

# After a swap: a reader, the backup, and the quarantine that was live.
Former = tuple[Reader, str, str]
DOING = "Opening the standby database of"


class Obstacle(Check):
	"""A failure that stands against the standby alone: the database may still go back by an import."""


def hinder(name: str, found: str, remedy: str) -> Obstacle:
	return Obstacle(name, FAILED, found, remedy)


class StandbyDatabase:
	"""Each method may be called again after it was killed anywhere; it then goes on, or begins anew.

	All but `check` and the observing ones raise `StepFailed`.
	"""

	site: str
	run: str
	# What the site uses, what the backup is loaded into, and what takes the replaced data: names of databases,
	# or paths of files where a database is one.
	live: str
	name: str
	quarantine: str
	swap_note: Note

	def check(self, size_bytes: int | None) -> list[Check]:
		"""What stands against keeping a standby of `size_bytes`; None is a size nobody knows. Changes nothing."""
		raise NotImplementedError

	def load(self, dump: Path, progress: Progress | None = None) -> dict[str, Any]:
		"""Load a whole backup; what an interrupted call left is thrown away first. Returns {"tables", "bytes"}."""
		raise NotImplementedError

	def load_backup(
		self, directory: Path, workplace: Path, progress: Progress | None = None
	) -> dict[str, Any]:
		"""The same with the verified backup in `directory`, made by whatever method.

		`workplace` is private, and emptied.
		"""
		raise NotImplementedError

	def is_loaded(self) -> bool:
		"""Whether a complete standby is there, which could be swapped in."""
		raise NotImplementedError

	def rebuild(self, base: Path, final: Path | None, progress: Progress | None = None) -> dict[str, Any]:
		"""Make a standby that was lost again: as `refresh` left it, or as it was loaded where `final` is None.

		`base` is the directory of the verified backup that was loaded, made by whatever method, `final` the one
		that `refresh` wrote into; all of it is compared with what was recorded there. One that is there and is
		just that stays as it is. Returns {"tables"}; refused when a swap was begun.
		"""
		raise NotImplementedError

	def remember_live(self) -> dict[str, Any]:
		"""Note the checksums of the live tables, before the backup is made. Returns {"tables"}."""
		raise NotImplementedError

	def prove(self) -> dict[str, Any]:
		"""Rung 4: compare the standby with the live database while users go on writing.

		Returns {"tables", "equal", "written": {table: [rows live, rows standby]}, "changed", "frappe"}.
		"""
		raise NotImplementedError

	def refresh(self, directory: Path, progress: Progress | None = None) -> dict[str, Any]:
		"""Bring the standby up to the live database, and prove that they are equal. Nobody may write meanwhile.

		What differs is kept in `directory`, with a record of what it adds up to (`final.json`): with the backup
		that was loaded it is the final backup, which `rebuild` makes a standby of. Returns
		{"changed", "dropped", "tables", "bytes", "files"}, and "not_made" for views that are broken in live.
		"""
		raise NotImplementedError

	def swap(self) -> dict[str, Any]:
		"""Live becomes the quarantine, the standby becomes live. Nobody may write meanwhile.

		A swap that was interrupted is completed; an undoing that was, too, before it is swapped again.
		Returns {"moved", "ended"}: how much was moved, and whose connections had to be ended for it; and
		"not_made" for views that were broken before and are in the note alone.
		"""
		raise NotImplementedError

	def is_swap_begun(self) -> bool:
		"""Whether a swap was begun and not undone: complete or not, the standby's data is not lost."""
		return self.is_swap_under_way() or self.swap_note.state == SWAPPED

	def is_swap_under_way(self) -> bool:
		"""Whether a swap or its undoing was begun and not completed: all of the databases are needed for it."""
		return self.swap_note.state in UNDER_WAY

	def observe_swapped(self) -> Observation:
		"""Whether the swap is complete, in reality; what was moved or removed by hand is told in words.

		Raises `StepFailed` when the databases can't be asked.
		"""
		raise NotImplementedError

	def undo_swap(self) -> dict[str, Any]:
		"""Put the former live database back, from a swap that is complete or was interrupted anywhere."""
		raise NotImplementedError

	def open_comparison(self) -> AbstractContextManager[Reader]:
		"""Before a swap: a reader of this moment, for the standby and for what is live."""
		raise NotImplementedError

	def open_former(self, backup: Path, final: Path) -> AbstractContextManager[Former]:
		"""After a swap, opened before the site is; `backup` and `final` are the directories of the backups."""
		raise NotImplementedError

	def count_rows(self, tables: Iterable[str]) -> dict[str, int | None]:
		"""Those of the standby; None for a table that is not there."""
		raise NotImplementedError

	def read_stored_passwords(self) -> Stored:
		"""Those of the standby."""
		raise NotImplementedError

	def let_in(self, config: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
		"""What a site's configuration has to say otherwise, so that the site is started on the standby.

		`config` is the site's own. Whoever is let in, is so for the block alone.
		"""
		raise NotImplementedError

	def drop_standby(self) -> None:
		"""Remove the standby, if there is one; refused while a swap is under way."""
		raise NotImplementedError

	def drop_quarantine(self) -> None:
		"""Remove the replaced data for good, if there is any; refused while a swap is under way."""
		raise NotImplementedError


def require_database_name(bench: Bench, site: str) -> str:
	"""The name of the site's own database. Raises `StepFailed`."""
	live = bench.read_config(site).get("db_name")
	if not live:
		raise StepFailed(
			DOING, site, "its configuration has no db_name", f"write db_name into {bench.site_config(site)}"
		)
	return live
