"""Rung 4 of a standby on MariaDB: its tables by their checksums, and what else is in it by its definition.

Invariant: as of `judging.py`; views, routines and the like are compared unless live's were changed meanwhile.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.mariadb.comparison import TableState, count_rows
from press_deploy.engine.databases.mariadb.dump_limits import require_carried
from press_deploy.engine.databases.mariadb.objects import read_objects, without_status
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.standby.judging import judge, say_problems
from press_deploy.engine.ground.errors import StepFailed

# What is kept of views, routines and the like, in words.
_WORDS = {"create": "its definition or definer", "charset": "its character set", "collation": "its collation"}


def compare_tables(
	doing: str,
	standby: OwnDatabases,
	cursor: Any,
	before: dict[str, Any],
	now: dict[str, TableState],
	loaded: dict[str, TableState],
) -> dict[str, Any]:
	"""`before` is the note of `remember_live`; raises `StepFailed` with the tables that differ."""
	former = {name: tuple(state) for name, state in before.get("tables", {}).items()}
	live = {name: (state.definition, state.checksum) for name, state in now.items()}
	copy = {name: (state.definition, state.checksum) for name, state in loaded.items()}
	# Nobody wrote to them, so it may be for what they hold.
	odd = [name for name in live if former.get(name) == live[name] != copy.get(name)]
	require_carried(cursor, doing, standby.live, odd)
	verdict = judge(doing, standby.live, former, live, copy, _written_since(cursor, standby.live, before))
	objects = without_status(read_objects(cursor, standby.live))
	if objects == without_status(before["objects"]):
		_compare_objects(doing, standby.live, objects, without_status(read_objects(cursor, standby.name)))
	verdict["written"] = {
		name: [count_rows(cursor, standby.live, name), count_rows(cursor, standby.name, name)]
		for name in verdict["written"]
	}
	return verdict


def _compare_objects(doing: str, what: str, live: list[dict], loaded: list[dict]) -> None:
	wanted, found = ({(each["kind"], each["name"]): each for each in objects} for objects in (live, loaded))
	different = [
		f"{key[0].lower()} {key[1]} {_tell_difference(wanted.get(key), found.get(key))}"
		for key in sorted({*wanted, *found})
		if wanted.get(key) != found.get(key)
	]
	if different:
		remedy = "compare what SHOW CREATE says of them in both databases; make another backup if they were changed"
		raise StepFailed(doing, what, say_problems(different), remedy)


def _tell_difference(live: dict[str, str] | None, loaded: dict[str, str] | None) -> str:
	if loaded is None:
		return "is missing"
	if live is None:
		return "is only in the standby"
	keys = [key for key in sorted({*live, *loaded}) if live.get(key) != loaded.get(key)]
	return f"differs ({', '.join(_WORDS.get(key, key) for key in keys)})"


def _written_since(cursor: Any, database: str, before: dict[str, Any]) -> set[str]:
	"""Tables that were written to, even if the rows are now what they were. The server may have forgotten some."""
	cursor.execute(
		"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND UPDATE_TIME > %s",
		(database, before.get("since")),
	)
	return {row[0] for row in cursor.fetchall()}
