"""The standby follows the live database, behind closed doors: only what differs is dumped and loaded.

With the backup that was loaded, what is kept here is the final backup: `changed.sql.zst` (tables that are new
or differ), `dropped.json` (tables that are gone) and `objects.json` (views, triggers, routines and events).

Invariant: while it is at work the standby counts as not loaded; at the end every table, definition and
object is equal, and each table that ever differed from the backup is in the dump that is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine import durable
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.comparison import TableState, are_equal, read_both, read_tables
from press_deploy.engine.mariadb.dumping import dump_database
from press_deploy.engine.mariadb.holders import end_holders, find_holders
from press_deploy.engine.mariadb.loading import load_dump
from press_deploy.engine.mariadb.objects import (
	drop_objects,
	make_objects,
	put_asleep,
	read_objects,
	without_status,
)
from press_deploy.engine.mariadb.schemas import find_schema, list_tables
from press_deploy.engine.mariadb.server import quote
from press_deploy.engine.progress import Progress
from press_deploy.engine.standby.notes import LOADED, REFRESHING, Note

if TYPE_CHECKING:
	from press_deploy.engine.standby.mariadb import MariaDBStandby

DOING = "Bringing up to date"
CHANGED, DROPPED, OBJECTS = "changed.sql.zst", "dropped.json", "objects.json"
SHOWN_NAMES = 10
Tables = dict[str, TableState]


class Refresh:
	"""One refresh; `note` is standby.json, and `directory` takes what differs."""

	def __init__(self, standby: MariaDBStandby, note: Note, directory: Path):
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
		# Triggers and views go first: they would refer to what changes, and triggers would act.
		drop_objects(cursor, self._copy)
		self._load(cursor, sorted(differing), changed, sorted(set(copy) - set(live)))
		# A view that is broken in the live database can be made nowhere; its definition is kept.
		failed = make_objects(cursor, self._copy, objects, events=False)
		broken = [f"{each['kind'].lower()} {each['name']}: {each['why']}" for each in failed]
		without = {(each["kind"], each["name"]) for each in failed}
		whole = [each for each in objects if (each["kind"], each["name"]) not in without]
		self._prove(cursor, live, copy, changed, whole)
		events = [each for each in objects if each["kind"] == "EVENT"]
		self._note.change(state=LOADED, present=sorted(live), events=events)
		files = [*([CHANGED] if changed else []), DROPPED, OBJECTS]
		return {
			**{"changed": changed, "dropped": dropped, "tables": len(live), "bytes": size, "files": files},
			"not_made": broken,
		}

	def _begin(self, cursor: Any) -> dict[str, Any]:
		"""What was loaded. An interrupted refresh is gone on with; anything else must be complete."""
		note = self._note.read()
		if note.get("state") != REFRESHING:
			return self._standby.require_loaded(DOING)
		schema = find_schema(cursor, self._copy)
		if schema is None or schema.mark is None or schema.mark.token != note["token"]:
			raise StepFailed(DOING, self._copy, "it is not there any more", "load a backup again")
		# A client that a killed process left must not go on writing into it.
		end_holders(cursor, find_holders(cursor, [self._copy], []))
		return note

	def _keep(self, changed: list[str], dropped: list[str], objects: list, progress: Progress | None) -> int:
		self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
		durable.write_json(self._directory / DROPPED, dropped)
		durable.write_json(self._directory / OBJECTS, objects)
		file = self._directory / CHANGED
		if not changed:
			file.unlink(missing_ok=True)
			return 0
		done = dump_database(self._standby.server, self._live, file, tables=changed, progress=progress)
		return done["bytes"]

	def _load(self, cursor: Any, differing: list[str], changed: list[str], gone: list[str]) -> None:
		if differing or changed:
			load_dump(self._directory / CHANGED, self._standby.server, self._copy)
			# They came with their tables; they are made in their order, with all others.
			drop_objects(cursor, self._copy)
		kinds = list_tables(cursor, self._copy)
		cursor.execute("SET SESSION foreign_key_checks = 0")
		for name in gone:
			kind = "SEQUENCE" if kinds.get(name) == "SEQUENCE" else "TABLE"
			cursor.execute(f"DROP {kind} IF EXISTS {quote(self._copy)}.{quote(name)}")
		cursor.execute("SET SESSION foreign_key_checks = 1")

	def _prove(self, cursor: Any, live: Tables, copy: Tables, changed: list[str], objects: list) -> None:
		loaded = {**copy, **read_tables(self._standby.server, self._copy, changed)}
		present = list_tables(cursor, self._copy)
		different = [
			name
			for name in sorted({*live, *present})
			if name not in present or not are_equal(live.get(name), loaded.get(name))
		]
		made = without_status(read_objects(cursor, self._copy))
		if without_status(objects) != made:
			different += [f"{each['kind'].lower()} {each['name']}" for each in objects if each not in made]
		if different:
			names = ", ".join(different[:SHOWN_NAMES]) + (" …" if len(different) > SHOWN_NAMES else "")
			raise StepFailed(
				DOING,
				self._copy,
				f"it still differs from {self._live} in {len(different)} places: {names}",
				"see that the site is closed and its jobs have ended: somebody still writes; then try again",
			)
		self._set_counters(cursor, live, loaded)
		put_asleep(cursor, self._copy)

	def _set_counters(self, cursor: Any, live: Tables, loaded: Tables) -> None:
		"""The next automatic numbers: one that was given once is not given again."""
		for name, state in live.items():
			if state.counter and state.counter != loaded[name].counter:
				cursor.execute(
					f"ALTER TABLE {quote(self._copy)}.{quote(name)} AUTO_INCREMENT = {state.counter}"
				)
