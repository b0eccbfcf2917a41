"""The databases of a run beside a site's on MariaDB: whose they are, and who may touch them.

Invariant: what is done to them is done by one process at a time (a named lock of the server, which ends with the
connection that holds it), and a database that is not this run's by name and mark is neither used nor dropped.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb import schemas
from press_deploy.engine.databases.mariadb.filling import Fill
from press_deploy.engine.databases.mariadb.holders import end_holders, find_holders
from press_deploy.engine.databases.mariadb.objects import list_objects, put_asleep, read_objects
from press_deploy.engine.databases.mariadb.remedies import drop_by_hand
from press_deploy.engine.databases.mariadb.schemas import Mark, Schema, find_schema, list_tables
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.sleeping_events import call_awake
from press_deploy.engine.databases.mariadb.swap import Databases
from press_deploy.engine.databases.standby import names
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.notes import (
	LOADED,
	LOADING,
	Note,
	announce_replacement,
	require_never_swapped,
)
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import LOAD_STANDBY

LOCK_SECONDS = 600


class OwnDatabases(StandbyDatabase):
	"""`live`, `name` and `quarantine` are names of databases; `administrator` does everything.

	`taken` are the databases that sites of the bench use; `directory` is the run's own, for notes.
	"""

	def __init__(
		self,
		site: str,
		run: str,
		databases: Databases,
		administrator: Server,
		directory: Path,
		taken: frozenset[str] = frozenset(),
	):
		self.site, self.run, self.databases = site, run, databases
		self.live, self.name, self.quarantine = databases.live, databases.standby, databases.quarantine
		self.server, self.directory, self.taken = administrator, directory, taken
		self.loaded_note = Note(directory, "standby.json")
		self.before = Note(directory, "live-before.json")
		self.swap_note = Note(directory, "swap.json")

	def is_loaded(self) -> bool:
		note = self.loaded_note.read()
		if note.get("state") != LOADED:
			return False
		with self.ask("Looking at", self.name) as cursor:
			schema = find_schema(cursor, self.name)
			if schema is None or schema.mark is None or schema.mark.token != note["token"]:
				return False
			return sorted(list_tables(cursor, self.name)) == note["present"]

	def require_loaded(self, doing: str) -> dict[str, Any]:
		"""The note of what is loaded. Raises `StepFailed` when nothing complete is."""
		if not self.is_loaded():
			raise StepFailed(doing, self.name, "no complete backup is loaded there", LOAD_STANDBY)
		return self.loaded_note.read()

	def noted_events(self) -> list[dict[str, str]]:
		"""The standby's events as they are to be once it is live; in the standby they are asleep."""
		return self.loaded_note.read().get("events", [])

	def require_loadable(self, cursor: Any, doing: str) -> None:
		"""Raise `StepFailed` when a swap was begun, or a database of that name is not this run's."""
		require_never_swapped(self.swap_note, doing, self.name)
		self.require_ours(cursor, doing, names.STANDBY, self.loaded_note)

	def make_empty(self, cursor: Any, doing: str) -> Mark:
		"""Throw away what is there and make it anew; it counts as not loaded until `note_loaded`."""
		live = self.require_live(cursor, doing)
		announce_replacement(self.swap_note, doing, self.name, self.is_there(cursor))
		self.loaded_note.write(state=LOADING)
		self.remove_half_made(cursor)
		mark = self.mark(names.STANDBY)
		schemas.create_schema(cursor, self.name, live, mark)
		return mark

	def fill_new(self, cursor: Any, doing: str, fill: Fill) -> dict[str, Any]:
		"""Make it anew, fill it, and note that it is loaded, with its events asleep."""
		mark = self.make_empty(cursor, doing)
		done = fill(self.server, self.name)
		events = [each for each in read_objects(cursor, self.name) if each["kind"] == "EVENT"]
		# Made so that they never ran; from here on nothing distinguishes them from those of a refresh.
		put_asleep(cursor, self.name)
		tables = sorted(list_tables(cursor, self.name))
		self.note_loaded(mark, tables=tables, present=tables, events=call_awake(events))
		return {**done, "tables": len(tables)}

	def note_loaded(self, mark: Mark, **what: Any) -> None:
		"""`tables` came from the backup, `present` are there, `events` as they are to be when they are live.

		`changed` are those that the final backup replaced, `final` is the hash of its record.
		"""
		self.loaded_note.write(state=LOADED, token=mark.token, **what)

	@contextmanager
	def ask(self, doing: str, what: str) -> Iterator[Any]:
		"""A cursor of the administrator's; errors of the server come as `StepFailed`."""
		with translate_server_errors(doing, what), self.server.session() as cursor:
			yield cursor

	@contextmanager
	def alone(self, doing: str, what: str) -> Iterator[Any]:
		"""The same, while no other process does anything to the databases of this site.

		What a killed process had asked the server to do is finished before: its lock lasts as long.
		"""
		with self.ask(doing, what) as cursor:
			cursor.execute("SELECT GET_LOCK(%s, %s)", (self._lock_name, LOCK_SECONDS))
			if cursor.fetchone()[0] != 1:
				raise StepFailed(
					doing,
					what,
					f"another process has been at work on the databases of {self.site} for {LOCK_SECONDS} s",
					"wait for it, or see which connection holds it: SELECT * FROM information_schema.PROCESSLIST",
				)
			yield cursor

	def mark(self, purpose: str) -> Mark:
		created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
		return Mark(purpose, self.live, self.site, self.run, secrets.token_hex(8), created)

	def require_live(self, cursor: Any, doing: str) -> Schema:
		live = find_schema(cursor, self.live)
		if live is None:
			raise StepFailed(
				doing,
				self.live,
				"the live database does not exist",
				f"create it with its user's rights (db_name in {self.site}/site_config.json), or correct db_name",
			)
		return live

	def is_ours(self, cursor: Any, name: str, purpose: str, note: Note) -> bool:
		"""Whether a database may be used by this run: absent, marked as this run's, or empty and announced.

		A server that dies while it makes a database may leave an empty one without a mark.
		"""
		schema = find_schema(cursor, name)
		if name in self.taken or name == self.live:
			return False
		if schema is None or schemas.is_marked(schema, purpose, self.live, self.run):
			return True
		is_empty = not list_tables(cursor, name) and not list_objects(cursor, name)
		return schema.mark is None and is_empty and bool(note.read())

	@property
	def _lock_name(self) -> str:
		return f"press_deploy_{hashlib.sha256(self.live.encode()).hexdigest()[:32]}"

	def require_ours(self, cursor: Any, doing: str, purpose: str, note: Note) -> None:
		"""Raises `StepFailed`."""
		if not self.is_ours(cursor, self.name, purpose, note):
			raise StepFailed(
				doing,
				self.name,
				"a database of this name exists, and this run did not make it",
				drop_by_hand(self.name),
			)

	def require_free(self, name: str, doing: str) -> None:
		"""Raises `StepFailed` where a site uses it."""
		if name in self.taken or name == self.live:
			raise StepFailed(
				doing,
				name,
				"a site uses it as its database",
				"nothing is to be done: it stays; bench --site SITE show-config names it",
			)

	def is_there(self, cursor: Any) -> bool:
		"""Whether the standby has tables, whatever they are worth."""
		return bool(list_tables(cursor, self.name))

	def remove_half_made(self, cursor: Any) -> None:
		"""Drop the standby. A client that a killed process left must not write into the next one."""
		end_holders(cursor, find_holders(cursor, [self.name], []))
		schema = find_schema(cursor, self.name)
		if schema and schema.mark is None:
			schemas.drop_database(cursor, self.name)
			return
		schemas.drop_schema(cursor, self.name, names.STANDBY, self.live, self.run)
