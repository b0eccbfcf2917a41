"""Rung 4: is the standby what the live database was? Judged while users go on writing.

A table that nobody wrote to since before the backup has the same checksum now as then; the standby must have
it, too. Of the others the numbers of rows are told.

Invariant: no table is passed over in silence, and without one table compared nothing is proven.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.mariadb.comparison import TableState, count_rows
from press_deploy.engine.databases.mariadb.dump_limits import require_carried
from press_deploy.engine.databases.mariadb.objects import read_objects, without_status
from press_deploy.engine.databases.standby.mariadb_own import OwnDatabases
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import NEW_BACKUP

# A site without these is not Frappe's; a Frappe site without those can't let anybody in.
FRAPPE_TABLE = "tabDocType"
FOREIGN_TABLES = ("tabSingles", "__Auth", "__global_search")
SHOWN_NAMES = 10
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
	verdict = _judge(doing, standby.live, former, live, copy, _written_since(cursor, standby.live, before))
	objects = without_status(read_objects(cursor, standby.live))
	if objects == without_status(before["objects"]):
		_compare_objects(doing, standby.live, objects, without_status(read_objects(cursor, standby.name)))
	verdict["written"] = {
		name: [count_rows(cursor, standby.live, name), count_rows(cursor, standby.name, name)]
		for name in verdict["written"]
	}
	return verdict


def compare_contents(
	doing: str, what: str, before: dict[str, Any] | None, now: dict[str, Any], loaded: dict[str, Any]
) -> dict[str, Any]:
	"""The same for the contents of SQLite files."""
	former, live, copy = (
		{name: (each["definition"], each["checksum"]) for name, each in (content or {}).items()}
		for content in (before, now, loaded)
	)
	verdict = _judge(doing, what, former, live, copy, set())
	verdict["written"] = {name: [now[name]["rows"], loaded[name]["rows"]] for name in verdict["written"]}
	return verdict


def _judge(
	doing: str,
	what: str,
	before: dict[str, tuple],
	now: dict[str, tuple],
	loaded: dict[str, tuple],
	written: set[str],
) -> dict[str, Any]:
	"""Each table is (definition, checksum). `written` are tables that the server saw a write to."""
	problems, equal, counted = [], [], []
	changed = sorted(set(before) ^ set(now))
	for name in sorted(set(before) & set(now)):
		if before[name][0] != now[name][0]:
			changed.append(name)
		elif name not in loaded:
			problems.append(f"{name} is missing")
		elif loaded[name][0] != now[name][0]:
			problems.append(f"{name} has other columns, keys or options")
		elif before[name] != now[name]:
			counted.append(name)
		elif loaded[name] == now[name]:
			equal.append(name)
		elif name in written:
			counted.append(name)
		else:
			problems.append(f"{name} has other rows")
	problems += [f"{name} is only in the standby" for name in sorted(set(loaded) - set(before) - set(now))]
	is_frappe = FRAPPE_TABLE in now or FRAPPE_TABLE in loaded
	if is_frappe:
		problems += [
			f"{name} is missing" for name in FOREIGN_TABLES if name not in loaded and name not in before
		]
	if not before:
		problems.append("the live tables were not noted before the backup was made")
	elif not equal:
		problems.append("not one table stayed as it was, so nothing could be compared")
	if problems:
		raise StepFailed(
			doing, what, _say(problems), f"this one is not what the live database was; {NEW_BACKUP}"
		)
	return {
		"tables": len(loaded),
		"equal": len(equal),
		"written": counted,
		"changed": changed,
		"frappe": is_frappe,
	}


def _compare_objects(doing: str, what: str, live: list[dict], loaded: list[dict]) -> None:
	wanted, found = ({(each["kind"], each["name"]): each for each in objects} for objects in (live, loaded))
	different = [
		f"{key[0].lower()} {key[1]} {_tell_difference(wanted.get(key), found.get(key))}"
		for key in sorted({*wanted, *found})
		if wanted.get(key) != found.get(key)
	]
	if different:
		remedy = "compare what SHOW CREATE says of them in both databases; make another backup if they were changed"
		raise StepFailed(doing, what, _say(different), remedy)


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


def _say(problems: list[str]) -> str:
	more = f" and {len(problems) - SHOWN_NAMES} more" if len(problems) > SHOWN_NAMES else ""
	return "; ".join(problems[:SHOWN_NAMES]) + more
