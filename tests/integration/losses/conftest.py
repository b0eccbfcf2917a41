"""Two databases beside each other: on a real MariaDB, and as SQLite files."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.mariadb import losses as mariadb_losses
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.sqlite import losses as sqlite_losses

NUMBERS = itertools.count()


class Databases:
	"""`before` (the backup) and `after` (live), and how to write to them."""

	kind: str
	before: str
	after: str
	ignores_case: bool

	def execute(self, database: str, *statements: str, rows: list[tuple] | None = None) -> None:
		raise NotImplementedError

	def open(self) -> AbstractContextManager[Reader]:
		raise NotImplementedError

	def both(self, *statements: str) -> None:
		for database in (self.before, self.after):
			self.execute(database, *statements)

	def insert(self, database: str, table: str, rows: list[tuple]) -> None:
		if rows:
			marks = ", ".join(["?" if self.kind == "sqlite" else "%s"] * len(rows[0]))
			self.execute(database, f"INSERT INTO {quote(table)} VALUES ({marks})", rows=rows)

	def find(self) -> Losses:
		with self.open() as reader:
			return find_losses(reader, self.before, self.after)


class MariaDBDatabases(Databases):
	kind, ignores_case = "mariadb", True

	def __init__(self, server: Server):
		self.server, self._connection = server, server.connect()
		# Names that need quoting, whatever is done with them.
		number = next(NUMBERS)
		self.before, self.after = f"sh`op 50% \"{number}'_standby", f"sh`op 50% \"{number}'"
		self._made = (self.before, self.after)
		for database in self._made:
			self.execute("mysql", f"CREATE DATABASE {quote(database).replace('%', '%%')}")

	def execute(self, database: str, *statements: str, rows: list[tuple] | None = None) -> None:
		self._connection.select_db(database)
		with self._connection.cursor() as cursor:
			for statement in statements:
				cursor.executemany(statement, rows) if rows else cursor.execute(statement.replace("%%", "%"))

	def open(self) -> AbstractContextManager[Reader]:
		return mariadb_losses.open_snapshot(self.server)

	def close(self) -> None:
		for database in self._made:
			self.execute("mysql", f"DROP DATABASE {quote(database).replace('%', '%%')}")
		self._connection.close()


class SQLiteDatabases(Databases):
	kind, ignores_case = "sqlite", False

	def __init__(self, directory: Path):
		self.before, self.after = str(directory / "it's 50%?.db"), str(directory / "live #1.db")

	def execute(self, database: str, *statements: str, rows: list[tuple] | None = None) -> None:
		with closing(sqlite3.connect(database)) as connection, connection:
			connection.execute("PRAGMA synchronous = OFF")
			for statement in statements:
				connection.executemany(statement, rows) if rows else connection.execute(statement)

	def open(self) -> AbstractContextManager[Reader]:
		return sqlite_losses.open_snapshot(self.before, self.after)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
	with run_private_server() as server:
		yield server


@contextmanager
def run_private_server() -> Iterator[Server]:
	directory = Path(tempfile.mkdtemp(dir="/tmp"))
	try:
		with run_scratch_server(directory, "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0") as server:
			yield server
	finally:
		shutil.rmtree(directory)


@pytest.fixture
def mariadb(server: Server) -> Iterator[MariaDBDatabases]:
	databases = MariaDBDatabases(server)
	with closing(databases):
		yield databases


@pytest.fixture
def sqlite(tmp_path: Path) -> SQLiteDatabases:
	return SQLiteDatabases(tmp_path)


@pytest.fixture(params=["mariadb", "sqlite"])
def databases(request: Any) -> Databases:
	"""Either kind, empty."""
	return request.getfixturevalue(request.param)
