"""The swap of one run, from its note to its end: announce, take objects away, rename, make objects again.

Invariant: the note holds all tables and the definitions of all objects of both databases before the first of
them is touched, and is kept; tables that came later are added to it before they are. A repeated call does the
same steps again, with what is left to do.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.mariadb import schemas
from press_deploy.engine.databases.mariadb.objects import list_objects, read_objects
from press_deploy.engine.databases.mariadb.remedies import drop_by_hand
from press_deploy.engine.databases.mariadb.routine_grants import Grant, give_grants, read_grants
from press_deploy.engine.databases.mariadb.schemas import create_schema, find_schema, list_tables
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.mariadb.swap import (
	LIVE,
	STANDBY,
	TABLES_AT_ONCE,
	drop_all_objects,
	find_later,
	find_moves,
	insist,
	list_moves,
	make_all_objects,
	rename_tables,
)
from press_deploy.engine.databases.standby import names
from press_deploy.engine.databases.standby.notes import SWAPPED, SWAPPING, UNDOING, UNDONE, Note
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation

DOING, UNDOING_IT = "Swapping", "Undoing the swap of"
SHOWN_NAMES = 10


class Swap:
	"""One swap, there and back; `note` is swap.json."""

	def __init__(self, standby: OwnDatabases, note: Note, chunk: int | None = None):
		self._standby, self._note = standby, note
		self._databases, self._chunk = standby.databases, chunk or TABLES_AT_ONCE

	def execute(self, cursor: Any) -> dict[str, Any]:
		# What was being put back has to be there whole, before it can be replaced again.
		undone = self.undo(cursor) if self._note.state == UNDOING else _nothing()
		done = self._complete(cursor)
		return {key: undone[key] + done[key] for key in done}

	def _complete(self, cursor: Any) -> dict[str, Any]:
		state = self._note.state
		if state == SWAPPED:
			return _nothing()
		note = self._note.read() if state == SWAPPING else self._announce(cursor)
		# Tables made since it was announced were live, and go with the others.
		note = self._note.change(tables=self._with_later(cursor, note, LIVE))
		self._ensure(cursor, self._databases.quarantine, names.QUARANTINE)
		objects = note["objects"]
		result = self._move(
			cursor, note, objects[STANDBY], (self._databases.quarantine, objects[LIVE]), back=False
		)
		self._note.change(state=SWAPPED)
		return result

	def undo(self, cursor: Any) -> dict[str, Any]:
		state = self._note.state
		if state in (None, UNDONE):
			return _nothing()
		note = self._note.read()
		if state == SWAPPED:
			# Views and triggers of the time since then go back with the standby's tables.
			objects = {**note["objects"], STANDBY: read_objects(cursor, self._databases.live)}
			# Tables of the time since, too; those that came while it was under way stay in live.
			tables = self._with_later(cursor, note, STANDBY)
			grants = self._with_former(cursor, note)
			note = self._note.change(state=UNDOING, objects=objects, tables=tables, grants=grants)
		elif state == SWAPPING:
			note = self._note.change(state=UNDOING)
		self._ensure(cursor, self._databases.standby, names.STANDBY)
		objects = note["objects"]
		result = self._move(
			cursor, note, objects[LIVE], (self._databases.standby, objects[STANDBY]), back=True
		)
		self._note.change(state=UNDONE)
		return result

	def require_nothing_left(self, cursor: Any) -> None:
		"""Raise `StepFailed` while an undone swap left tables in the quarantine: they came from live."""
		left = list_tables(cursor, self._databases.quarantine) if self._note.state == UNDONE else ()
		if left:
			raise StepFailed(
				"Removing",
				self._databases.quarantine,
				f"the swap was undone, and these tables of {self._databases.live} are still there: "
				+ ", ".join(list(left)[:SHOWN_NAMES]),
				f"RENAME TABLE them to {self._databases.live}, or drop them if nobody needs them",
			)

	def observe(self, cursor: Any) -> Observation:
		note = self._note.read()
		if note.get("state") not in (SWAPPING, SWAPPED):
			return Observation(False, "no swap was begun, or it was undone")
		moves, unclear = find_moves(cursor, self._databases, note)
		evidence: dict[str, Any] = {"tables": len(note["tables"][STANDBY])}
		if unclear:
			return Observation(False, self._say_unclear(unclear), {**evidence, "unclear": len(unclear)})
		absent = self._find_absent(cursor, note)
		evidence |= {"renames_left": len(moves), "absent": absent[:SHOWN_NAMES]}
		if moves or absent:
			return Observation(
				False, f"{len(moves)} renames are left, {len(absent)} views and the like are absent", evidence
			)
		done = note["state"] == SWAPPED
		return Observation(done, "the standby is live" if done else "the swap was not completed", evidence)

	def _say_unclear(self, tables: list[str]) -> str:
		listed = ", ".join(tables[:SHOWN_NAMES]) + (" …" if len(tables) > SHOWN_NAMES else "")
		return (
			f"{len(tables)} tables are not where the swap leaves them, since somebody moved or dropped them in "
			f"{self._databases.live} or {self._databases.quarantine}: {listed}"
		)

	def _find_absent(self, cursor: Any, note: dict[str, Any]) -> list[str]:
		"""Views, triggers and routines that are to be live and are not."""
		present = set(list_objects(cursor, self._databases.live))
		# An event that was to run once, in the past, is gone as soon as it is made.
		objects = [each for each in note["objects"][STANDBY] if each["kind"] != "EVENT"]
		wanted = {(each["kind"], each["name"]) for each in objects}
		return sorted(f"{kind.lower()} {name}" for kind, name in wanted - present)

	def _announce(self, cursor: Any) -> dict[str, Any]:
		"""Write down what there is, before anything is touched."""
		standby, databases = self._standby, self._databases
		standby.require_loaded(DOING)
		standby.require_live(cursor, DOING)
		if find_schema(cursor, databases.quarantine):
			ours = standby.is_ours(cursor, databases.quarantine, names.QUARANTINE, self._note)
			if not ours or list_tables(cursor, databases.quarantine):
				raise StepFailed(
					DOING,
					databases.live,
					f"the database {databases.quarantine}, which is to take the replaced data, is there and in use",
					drop_by_hand(databases.quarantine),
				)
		tables = {LIVE: databases.live, STANDBY: databases.standby}
		return self._note.write(
			state=SWAPPING,
			tables={place: sorted(list_tables(cursor, name)) for place, name in tables.items()},
			objects={
				LIVE: read_objects(cursor, databases.live),
				STANDBY: self._wake(read_objects(cursor, databases.standby)),
			},
			collations={place: _read_collation(cursor, name) for place, name in tables.items()},
			grants=read_grants(cursor, databases.live),
		)

	def _wake(self, objects: list[dict[str, str]]) -> list[dict[str, str]]:
		"""The standby's events as they were in the backup: awake or asleep."""
		noted = {(each["kind"], each["name"]): each for each in self._standby.noted_events()}
		return [noted.get((each["kind"], each["name"]), each) for each in objects]

	def _with_later(self, cursor: Any, note: dict[str, Any], place: str) -> dict[str, list[str]]:
		"""The noted tables, and those that came to live since, as if they had been in `place`."""
		tables = note["tables"]
		return {**tables, place: [*tables[place], *sorted(find_later(cursor, self._databases, note))]}

	def _with_former(self, cursor: Any, note: dict[str, Any]) -> list[Grant]:
		"""Rights on routines as they are, and the noted ones on routines that went with the swap."""
		present = set(list_objects(cursor, self._databases.live))
		gone = [each for each in note["grants"] if (each[2], each[3]) not in present]
		return read_grants(cursor, self._databases.live) + gone

	def _ensure(self, cursor: Any, name: str, purpose: str) -> None:
		"""The database that takes what is live, made if need be, and surely ours."""
		if not self._standby.is_ours(cursor, name, purpose, self._note):
			raise StepFailed(
				DOING,
				name,
				"a database of this name exists, and this run did not make it",
				drop_by_hand(name),
			)
		schema = find_schema(cursor, name)
		if schema and schema.mark is None:
			schemas.drop_database(cursor, name)
			schema = None
		if schema is None:
			live = self._standby.require_live(cursor, DOING)
			create_schema(cursor, name, live, self._standby.mark(purpose))

	def _move(
		self, cursor: Any, note: dict[str, Any], live: list, aside: tuple[str, list], *, back: bool
	) -> dict[str, Any]:
		databases, moved = self._databases, [0]
		former, later = (STANDBY, LIVE) if back else (LIVE, STANDBY)
		collations = note["collations"]
		# A routine keeps the collation that its database had when it was made.
		staying = live if collations[LIVE] == collations[STANDBY] else []

		def move() -> list[dict[str, str]]:
			# Asked before the first object is dropped: what can't be completed stays as it is.
			list_moves(cursor, databases, note, back=back)
			drop_all_objects(cursor, databases, staying)
			schemas.set_collation(cursor, databases.live, *collations[later])
			schemas.set_collation(cursor, aside[0], *collations[former])
			moves = list_moves(cursor, databases, note, back=back)
			rename_tables(cursor, databases, moves, self._chunk)
			moved[0] += len(moves)
			failed = make_all_objects(cursor, databases, live, aside, back=back)
			routines = set(list_objects(cursor, databases.live))
			return failed + give_grants(cursor, databases.live, note["grants"], routines)

		not_made, ended = insist(cursor, databases, move)
		return {
			"moved": moved[0],
			"ended": ended,
			"not_made": [f"{each['kind'].lower()} {each['name']}: {each['why']}" for each in not_made],
		}


def _nothing() -> dict[str, Any]:
	return {"moved": 0, "ended": [], "not_made": []}


def _read_collation(cursor: Any, name: str) -> tuple[str, str]:
	schema = find_schema(cursor, name)
	assert schema, "both were found to be there"
	return schema.charset, schema.collation
