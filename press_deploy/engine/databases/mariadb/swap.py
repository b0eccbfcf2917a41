"""The swap of two databases by renaming tables: live into the quarantine, standby into live, and back.

What a swap began with is in its note: which tables were live and which in the standby, and the definitions
of views, triggers, routines and events. How far it is, the server itself says: a table is in live, in the
standby or in the quarantine, and which of the three it is in leaves only one thing to do next.

A statement that renames many tables is one unit to its client, and since MariaDB 10.6 to a server that dies,
too; nothing here depends on that. (MariaDB documentation: RENAME TABLE, Atomic DDL.)

Invariant: a table is only ever renamed, to a name that is free, and only if the note knows it: one that came
later stays where it is. No statement of a swap can lose a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pymysql

from press_deploy.engine.databases.mariadb.holders import end_holders, find_holders, find_suspects
from press_deploy.engine.databases.mariadb.objects import (
	ROUTINES,
	StoredObject,
	drop_objects,
	list_objects,
	make_objects,
	read_objects,
	tell_unreadable,
)
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.databases.mariadb.server_errors import DEADLOCK, LOCK_WAIT_TIMEOUT, number_of
from press_deploy.engine.ground.errors import StepFailed

TABLES_AT_ONCE = 500
LOCK_WAIT_SECONDS = 10
TRIES = 3
SHOWN_NAMES = 10
Result = TypeVar("Result")
LIVE, STANDBY, QUARANTINE = "live", "standby", "quarantine"
# From where, to where, the table.
Move = tuple[str, str, str]
# Where a table is: in live, in the standby, in the quarantine.
Places = tuple[bool, bool, bool]

_TO_QUARANTINE, _INTO_LIVE = (LIVE, QUARANTINE), (STANDBY, LIVE)
_TO_STANDBY, _BACK = (LIVE, STANDBY), (QUARANTINE, LIVE)
# (was live, was in the standby) → where it is now → what is left to do. What isn't here is not clear.
FORWARD: Mapping[tuple[bool, bool], Mapping[Places, tuple[tuple[str, str], ...]]] = {
	(True, True): {
		(True, True, False): (_TO_QUARANTINE, _INTO_LIVE),
		(False, True, True): (_INTO_LIVE,),
		(True, False, True): (),
	},
	(True, False): {(True, False, False): (_TO_QUARANTINE,), (False, False, True): ()},
	(False, True): {(False, True, False): (_INTO_LIVE,), (True, False, False): ()},
}
BACKWARD: Mapping[tuple[bool, bool], Mapping[Places, tuple[tuple[str, str], ...]]] = {
	(True, True): {
		(True, False, True): (_TO_STANDBY, _BACK),
		(False, True, True): (_BACK,),
		(True, True, False): (),
		# Somebody dropped the standby's table: the former one is all there is to put back.
		(False, False, True): (_BACK,),
		(True, False, False): (),
	},
	(True, False): {(False, False, True): (_BACK,), (True, False, False): ()},
	(False, True): {
		(True, False, False): (_TO_STANDBY,),
		(False, True, False): (),
		(False, False, False): (),
		# The standby's is where it was; somebody made the other one since.
		(True, True, False): (),
	},
}


@dataclass(frozen=True)
class Databases:
	"""The names of the three, and the site's own user, who may hold on to them."""

	live: str
	standby: str
	quarantine: str
	user: str

	def name(self, place: str) -> str:
		return {LIVE: self.live, STANDBY: self.standby, QUARANTINE: self.quarantine}[place]

	@property
	def all(self) -> list[str]:
		return [self.live, self.standby, self.quarantine]


def list_moves(cursor: Any, databases: Databases, note: dict[str, Any], *, back: bool = False) -> list[Move]:
	"""What is left to do, asked of the server. Raises `StepFailed` for tables that are where none can be."""
	moves, unclear = find_moves(cursor, databases, note, back=back)
	if unclear:
		raise _refuse_unclear(databases, unclear, back)
	return moves


def find_moves(
	cursor: Any, databases: Databases, note: dict[str, Any], *, back: bool = False
) -> tuple[list[Move], list[str]]:
	"""What is left to do, and the tables of which nobody can tell: who only observes has an answer for these, too.

	Everything leaves live before anything enters it: a foreign key's name is unique in its database, and the
	same key may be another table's on the other side.
	"""
	present = [set(list_tables(cursor, database)) for database in databases.all]
	was_live, was_standby = set(note["tables"][LIVE]), set(note["tables"][STANDBY])
	table = BACKWARD if back else FORWARD
	moves, unclear = [], []
	for name in sorted(was_live | was_standby):
		places = (name in present[0], name in present[1], name in present[2])
		steps = table[name in was_live, name in was_standby].get(places)
		if steps is None:
			unclear.append(name)
		else:
			moves += [(source, target, name) for source, target in steps]
	return sorted(moves, key=lambda move: move[0] != LIVE), unclear


def find_later(cursor: Any, databases: Databases, note: dict[str, Any]) -> set[str]:
	"""The tables in live that the note doesn't know: somebody made them since."""
	return set(list_tables(cursor, databases.live)) - set(note["tables"][LIVE]) - set(note["tables"][STANDBY])


def insist(cursor: Any, databases: Databases, act: Callable[[], Result]) -> tuple[Result, list[str]]:
	"""Do something that needs locks on the tables; whoever holds them for too long is ended, a few times.

	Returns what `act` returns, and the connections that were ended, in words. `act` must be repeatable.
	"""
	# The referenced table of a foreign key may be in another database between two renames.
	cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}, foreign_key_checks = 0")
	ended: list[str] = []
	for left in reversed(range(TRIES)):
		try:
			return act(), ended
		except pymysql.Error as error:
			if number_of(error) not in (LOCK_WAIT_TIMEOUT, DEADLOCK):
				raise
			holders = find_holders(cursor, databases.all, [databases.user])
			if not left:
				suspects = holders or find_suspects(cursor)
				raise _refuse_held(databases, [str(holder) for holder in suspects], ended) from None
			ended += end_holders(cursor, holders)
	raise AssertionError("the last try returns or raises")


def rename_tables(cursor: Any, databases: Databases, moves: list[Move], chunk: int = TABLES_AT_ONCE) -> None:
	"""Execute the moves, `chunk` renames in a statement."""
	for begin in range(0, len(moves), chunk):
		renames = (
			f"{quote(databases.name(source))}.{quote(name)} TO {quote(databases.name(target))}.{quote(name)}"
			for source, target, name in moves[begin : begin + chunk]
		)
		cursor.execute(f"RENAME TABLE {', '.join(renames)}")


def drop_all_objects(cursor: Any, databases: Databases, staying: list[StoredObject]) -> None:
	"""Views, triggers and events stand in the way of renames, wherever they are; routines go where tables go.

	A routine that is in live as it is among `staying` stays: whoever was allowed to use it, still is.
	"""
	present = [each for each in read_objects(cursor, databases.live) if each["kind"] in ROUTINES]
	kept = {(each["kind"], each["name"]) for each in present if each in staying}
	for database in databases.all:
		drop_objects(cursor, database, kept if database == databases.live else ())


def make_all_objects(
	cursor: Any,
	databases: Databases,
	live: list[StoredObject],
	aside: tuple[str, list[StoredObject]],
	*,
	back: bool,
) -> list[StoredObject]:
	"""Make the objects of what is live now, and of what is not, in the database that `aside` names.

	Returns those that can't be made: one that the server refuses must not stand in the way, and its definition
	is in the note. What comes from a backup was whole there; then it raises `StepFailed`.
	"""
	present = list_objects(cursor, databases.live)
	wanted = [each for each in live if (each["kind"], each["name"]) not in present]
	failed = make_objects(cursor, databases.live, wanted, insist=False)
	if failed and not back:
		raise StepFailed(
			"Swapping",
			f"database {databases.live}",
			f"these can't be made: {', '.join(tell_unreadable(failed))}",
			"mend what they need, then go on; or undo the swap",
		)
	return failed + make_objects(cursor, *aside, events=False, insist=False)


def _refuse_unclear(databases: Databases, unclear: list[str], back: bool) -> StepFailed:
	names = ", ".join(unclear[:SHOWN_NAMES]) + (" …" if len(unclear) > SHOWN_NAMES else "")
	return StepFailed(
		"Undoing the swap of" if back else "Swapping",
		f"database {databases.live}",
		f"of {len(unclear)} tables nobody can tell what is left to do, since somebody moved or dropped them: {names}",
		f"look for them in {', '.join(databases.all)}"
		+ ("" if back else "; undoing the swap puts the former ones back"),
	)


def _refuse_held(databases: Databases, holders: list[str], ended: list[str]) -> StepFailed:
	who = ", ".join(holders) or "a connection that the server doesn't tell"
	return StepFailed(
		"Swapping",
		f"database {databases.live}",
		f"its tables are locked by {who}; {len(ended)} connections were ended for it already",
		"end that connection (SHOW PROCESSLIST, KILL), or stop the program that opens it, then go on",
	)
