"""Databases of ours on a site's server, and the mark by which they are known.

The mark is the database's own comment (MariaDB 10.5 and newer): it comes into being with the database in one
statement and goes with it, whatever happens to the files of a run.

Invariant: only a database that carries the mark is ever dropped, and only under the name that it was made for.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from operator import not_
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.remedies import drop_by_hand
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.waiting import wait_until

PREFIX = "press_deploy "
OLDEST_VERSION = (10, 6)
# “can't rmdir …, Directory not empty”.
NOT_EMPTY = 1010
SETTLE_SECONDS = 30


@dataclass(frozen=True)
class Mark:
	"""Whose database it is. `token` differs each time one is made; `created` is an ISO time in UTC."""

	purpose: str
	live: str
	site: str
	run: str
	token: str
	created: str


@dataclass(frozen=True)
class Schema:
	"""A database that exists; `mark` is None when it is not one of ours."""

	name: str
	charset: str
	collation: str
	mark: Mark | None


def find_schema(cursor: Any, name: str) -> Schema | None:
	cursor.execute(
		"SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT "
		"FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
		(name,),
	)
	row = cursor.fetchone()
	return _read(row) if row else None


def list_marked(cursor: Any) -> list[Schema]:
	"""All databases of ours on the server, whatever bench they belong to."""
	cursor.execute(
		"SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT "
		"FROM information_schema.SCHEMATA WHERE SCHEMA_COMMENT LIKE %s ORDER BY SCHEMA_NAME",
		(f"{PREFIX}%",),
	)
	return [schema for schema in map(_read, cursor.fetchall()) if schema.mark]


def create_schema(cursor: Any, name: str, like: Schema, mark: Mark) -> None:
	"""Create an empty database with the character set and collation of `like`."""
	comment = cursor.mogrify("%s", (PREFIX + json.dumps(asdict(mark), ensure_ascii=False),))
	cursor.execute(
		f"CREATE DATABASE {quote(name)} CHARACTER SET {like.charset} COLLATE {like.collation} COMMENT {comment}"
	)


def set_collation(cursor: Any, name: str, charset: str, collation: str) -> None:
	"""What new tables and routines of a database get; those that are there stay as they are."""
	schema = find_schema(cursor, name)
	if schema and (schema.charset, schema.collation) != (charset, collation):
		cursor.execute(f"ALTER DATABASE {quote(name)} CHARACTER SET {charset} COLLATE {collation}")


def drop_schema(cursor: Any, name: str, purpose: str, live: str, run: str) -> None:
	"""Drop a database, if it exists. Raises `StepFailed` when it doesn't carry the mark of these three."""
	schema = find_schema(cursor, name)
	if schema is None:
		return
	if not is_marked(schema, purpose, live, run):
		raise StepFailed(
			"Removing",
			f"database {name}",
			f"it is not the {purpose} of {live} and run {run}",
			drop_by_hand(name),
		)
	drop_database(cursor, name)


def drop_database(cursor: Any, name: str) -> None:
	"""Drop a database that is there. What a killed client had asked for may still put a file into it."""

	def drop() -> pymysql.Error | None:
		try:
			cursor.execute(f"DROP DATABASE IF EXISTS {quote(name)}")
		except pymysql.Error as error:
			if error.args[0] != NOT_EMPTY:
				raise
			return error
		return None

	if error := wait_until(drop, SETTLE_SECONDS, not_):
		raise error


def is_marked(schema: Schema, purpose: str, live: str, run: str) -> bool:
	mark = schema.mark
	return bool(mark) and (mark.purpose, mark.live, mark.run) == (purpose, live, run) and schema.name != live


def list_tables(cursor: Any, database: str) -> dict[str, str]:
	"""{name: kind} of everything that a rename moves; the kind as the server says, such as SEQUENCE."""
	cursor.execute(
		"SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES "
		"WHERE TABLE_SCHEMA = %s AND TABLE_TYPE <> 'VIEW' ORDER BY TABLE_NAME",
		(database,),
	)
	return dict(cursor.fetchall())


def measure_schema(cursor: Any, database: str) -> int:
	"""Data and indexes in bytes, as the server estimates them."""
	query = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
	cursor.execute(query, (database,))
	return int(cursor.fetchone()[0] or 0)


def _read(row: tuple) -> Schema:
	name, charset, collation, comment = row
	return Schema(name, charset, collation, _read_mark(comment or ""))


def _read_mark(comment: str) -> Mark | None:
	if not comment.startswith(PREFIX):
		return None
	try:
		return Mark(**json.loads(comment[len(PREFIX) :]))
	except (ValueError, TypeError):
		return None
