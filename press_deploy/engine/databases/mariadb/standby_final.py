"""The final backup of a site on MariaDB: what is kept of it, and bringing a standby up to it.

With the backup that was loaded it is the state of the closed doors: `changed.sql.zst` (tables that are new or
differ), `dropped.json` (tables that are gone), `objects.json` (views, triggers, routines and events), and
`final.json`, what all of it adds up to.

Invariant: whatever brought a standby up to it, each table, definition and object is compared before the standby
counts as loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb.comparison import TableState, are_equal
from press_deploy.engine.databases.mariadb.objects import StoredObject, drop_objects, without_status
from press_deploy.engine.databases.mariadb.schemas import list_tables
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_load import load_dump

CHANGED, DROPPED, OBJECTS = "changed.sql.zst", "dropped.json", "objects.json"
SHOWN_NAMES = 10
Tables = dict[str, TableState]


def load_differences(
	cursor: Any,
	server: Server,
	database: str,
	file: Path | None,
	changed: Iterable[str],
	wanted: Iterable[str],
) -> None:
	"""Replace the tables that are `changed`, which `file` holds, and drop those not `wanted`, and all objects."""
	# Triggers and views go first: they would refer to what changes, and triggers would act.
	drop_objects(cursor, database)
	# All that goes, before anything comes: a foreign key's name is unique in its database, and may have moved.
	kinds = list_tables(cursor, database)
	cursor.execute("SET SESSION foreign_key_checks = 0")
	for name in sorted(set(kinds) - (set(wanted) - set(changed))):
		kind = "SEQUENCE" if kinds[name] == "SEQUENCE" else "TABLE"
		cursor.execute(f"DROP {kind} IF EXISTS {quote(database)}.{quote(name)}")
	cursor.execute("SET SESSION foreign_key_checks = 1")
	if file:
		load_dump(file, server, database)
		# They came with their tables; they are made in their order, with all others.
		drop_objects(cursor, database)


def find_differences(
	wanted: Tables, found: Tables, objects: list[StoredObject], made: list[StoredObject]
) -> list[str]:
	"""Names of the tables and objects that are not as they should be; empty when all are."""
	names = sorted({*wanted, *found})
	different = [name for name in names if not are_equal(wanted.get(name), found.get(name))]
	objects, made = without_status(objects), without_status(made)
	odd = [each for each in (*objects, *made) if not (each in objects and each in made)]
	different += sorted({f"{each['kind'].lower()} {each['name']}" for each in odd})
	if objects != made and not odd:
		different.append("the order of triggers")
	return different


def say_names(names: list[str]) -> str:
	return ", ".join(names[:SHOWN_NAMES]) + (" …" if len(names) > SHOWN_NAMES else "")


def choose_made(objects: list[StoredObject], not_made: list[StoredObject]) -> list[StoredObject]:
	"""The objects without those that can't be made anywhere: views that are broken in the live database."""
	without = {(each["kind"], each["name"]) for each in not_made}
	return [each for each in objects if (each["kind"], each["name"]) not in without]


def set_counters(cursor: Any, database: str, wanted: Tables, found: Tables) -> None:
	"""The next automatic numbers: one that was given once is not given again."""
	# A stricter server refuses tables that it once took: defaults of 0000-00-00, rows that may become too large.
	cursor.execute("SET SESSION sql_mode = '', innodb_strict_mode = 0")
	for name, state in wanted.items():
		if state.counter and state.counter != found[name].counter:
			cursor.execute(f"ALTER TABLE {quote(database)}.{quote(name)} AUTO_INCREMENT = {state.counter}")
