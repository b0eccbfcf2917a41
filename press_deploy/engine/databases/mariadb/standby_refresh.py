"""The standby follows the live database, behind closed doors: only what differs is dumped and loaded.

Invariant: while it is at work the standby counts as not loaded; at the end every table, definition and
object is equal, and each table that ever differed from the backup is in the dump that is kept.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb.comparison import are_equal, read_both, read_tables
from press_deploy.engine.databases.mariadb.dump_limits import require_carried
from press_deploy.engine.databases.mariadb.holders import end_holders, find_holders
from press_deploy.engine.databases.mariadb.objects import StoredObject, make_objects, put_asleep, read_objects
from press_deploy.engine.databases.mariadb.schemas import find_schema, list_tables
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.standby_final import (
	CHANGED,
	DROPPED,
	OBJECTS,
	Tables,
	choose_made,
	find_differences,
	load_differences,
	say_names,
	set_counters,
)
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.standby.final_record import FINAL, begin_record, write_record
from press_deploy.engine.databases.standby.notes import LOADED, REFRESHING, Note
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import LOAD_STANDBY

DOING = "Bringing up to date"


class Refresh:
	"""One refresh; `note` is standby.json, and `directory` takes what differs."""

	def __init__(self, standby: OwnDatabases, note: Note, directory: Path):
		self._standby, self._note, self._directory = standby, note, directory
		self._live, self._copy = standby.live, standby.name

	def execute(self, cursor: Any, progress: Progress | None) -> dict[str, Any]:
		note = self._begin(cursor)
		live, copy = read_both(self._standby.server, self._live, self._copy)
		objects = read_objects(cursor, self._live)
		differing = {name for name in live if not are_equal(live[name], copy.get(name))}
		dropped = sorted(set(note["tables"]) - set(live))
		changed = sorted((differing | set(note.get("changed", ()))) & set(live))
		# On the disk before the standby is touched: afterwards they don't differ from it any more.
		self._note.change(state=REFRESHING, changed=changed)
		size = self._keep(changed, dropped, objects, progress)
		file = self._directory / CHANGED if changed else None
		load_differences(cursor, self._standby.server, self._copy, file, changed, live)
		# A view that is broken in the live database can be made nowhere; its definition is kept.
		failed = make_objects(cursor, self._copy, objects, events=False)
		self._prove(cursor, live, copy, changed, choose_made(objects, failed))
		final = write_record(
			self._directory,
			{name: asdict(state) for name, state in live.items()},
			changed=changed,
			not_made=[{"kind": each["kind"], "name": each["name"]} for each in failed],
		)
		events = [each for each in objects if each["kind"] == "EVENT"]
		self._note.change(state=LOADED, present=sorted(live), events=events, final=final)
		files = [*([CHANGED] if changed else []), DROPPED, OBJECTS, FINAL]
		return {
			**{"changed": changed, "dropped": dropped, "tables": len(live), "bytes": size, "files": files},
			"not_made": [f"{each['kind'].lower()} {each['name']}: {each['why']}" for each in failed],
		}

	def _begin(self, cursor: Any) -> dict[str, Any]:
		"""What was loaded. An interrupted refresh is gone on with; anything else must be complete."""
		note = self._note.read()
		if note.get("state") != REFRESHING:
			return self._standby.require_loaded(DOING)
		schema = find_schema(cursor, self._copy)
		if schema is None or schema.mark is None or schema.mark.token != note["token"]:
			raise StepFailed(DOING, self._copy, "it is not there any more", LOAD_STANDBY)
		# A client that a killed process left must not go on writing into it.
		end_holders(cursor, find_holders(cursor, [self._copy], []))
		return note

	def _keep(
		self, changed: list[str], dropped: list[str], objects: list[StoredObject], progress: Progress | None
	) -> int:
		begin_record(self._directory)
		durable.write_json(self._directory / DROPPED, dropped)
		durable.write_json(self._directory / OBJECTS, objects)
		file = self._directory / CHANGED
		if not changed:
			file.unlink(missing_ok=True)
			return 0
		done = dump_database(self._standby.server, self._live, file, tables=changed, progress=progress)
		return done["bytes"]

	def _prove(
		self, cursor: Any, live: Tables, copy: Tables, changed: list[str], objects: list[StoredObject]
	) -> None:
		loaded = {**copy, **read_tables(self._standby.server, self._copy, changed)}
		present = list_tables(cursor, self._copy)
		found = {name: loaded[name] for name in present if name in loaded}
		different = find_differences(live, found, objects, read_objects(cursor, self._copy))
		# What is there and was not read, came from somewhere else.
		different += sorted(set(present) - set(loaded))
		if different:
			require_carried(cursor, DOING, self._live, different)
			raise StepFailed(
				DOING,
				self._copy,
				f"it still differs from {self._live} in {len(different)} places: {say_names(different)}",
				"see that the site is closed and its jobs have ended: somebody still writes; then try again",
			)
		set_counters(cursor, self._copy, live, loaded)
		put_asleep(cursor, self._copy)
