"""A standby that was lost is made again: the backup, brought up to the final backup that was kept of it.

Invariant: until everything was compared with what was recorded behind the closed doors, the standby counts
as not loaded. The backup alone, which is older, is never left in its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb.comparison import TableState, read_tables
from press_deploy.engine.databases.mariadb.filling import Fill, fill_from
from press_deploy.engine.databases.mariadb.objects import StoredObject, make_objects, put_asleep, read_objects
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.standby_final import (
	CHANGED,
	OBJECTS,
	Tables,
	choose_made,
	find_differences,
	load_differences,
	say_names,
	set_counters,
)
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.standby.final_record import (
	FinalRecord,
	read_json,
	read_record,
	require_database,
)
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress

DOING = "Making again"


class Rebuild:
	"""One rebuilding, from the backup in `base` and the final backup in `final`, if there is one."""

	def __init__(self, standby: OwnDatabases, base: Path, final: Path | None):
		self._standby, self._base, self._final = standby, base, final
		self._copy, self._server = standby.name, standby.server

	def execute(self, cursor: Any, progress: Progress | None) -> dict[str, Any]:
		standby = self._standby
		standby.require_loadable(cursor, DOING)
		record = read_record(self._final, DOING) if self._final else None
		# It is there, and as it should be: not to be dropped for want of anything better.
		if standby.is_loaded() and standby.loaded_note.read().get("final") == (record and record.sha256):
			return {"tables": len(standby.loaded_note.read()["present"])}
		require_database(self._base, DOING)
		fill = fill_from(self._base, standby.live, standby.directory / "loading", progress)
		if record is None:
			return {"tables": standby.fill_new(cursor, DOING, fill)["tables"]}
		return self._fill_both(cursor, fill, record)

	def _fill_both(self, cursor: Any, fill: Fill, record: FinalRecord) -> dict[str, Any]:
		wanted, changed, not_made = _read_facts(record)
		file = record.require_file(CHANGED, DOING) if changed else None
		objects = read_json(record.require_file(OBJECTS, DOING), DOING)
		mark = self._standby.make_empty(cursor, DOING)
		fill(self._server, self._copy)
		loaded = sorted(list_tables(cursor, self._copy))
		load_differences(cursor, self._server, self._copy, file, changed, wanted)
		make_objects(cursor, self._copy, objects, events=False)
		self._prove(cursor, wanted, choose_made(objects, not_made))
		events = [each for each in objects if each["kind"] == "EVENT"]
		self._standby.note_loaded(
			mark, tables=loaded, present=sorted(wanted), events=events, changed=changed, final=record.sha256
		)
		return {"tables": len(wanted)}

	def _prove(self, cursor: Any, wanted: Tables, objects: list[StoredObject]) -> None:
		found = read_tables(self._server, self._copy)
		different = find_differences(wanted, found, objects, read_objects(cursor, self._copy))
		if different:
			raise StepFailed(
				DOING,
				self._copy,
				f"it differs from the final backup in {len(different)} places: {say_names(different)}",
				f"files of {self._base} or {self._final} are not what they were; those of the first are in the safe "
				"places as well, the second is here alone. Without it the first can be restored by hand, and lacks what "
				"was written between the two",
			)
		set_counters(cursor, self._copy, wanted, found)
		put_asleep(cursor, self._copy)


def _read_facts(record: FinalRecord) -> tuple[Tables, list[str], list[StoredObject]]:
	"""The tables as they are to be, those in the dump, and the views that can be made nowhere."""
	try:
		tables = {name: TableState(**table) for name, table in record.tables.items()}
		return tables, record.facts["changed"], record.facts["not_made"]
	except (KeyError, TypeError, AttributeError) as error:
		raise record.refuse(DOING, error) from None
