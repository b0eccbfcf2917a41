"""One private MariaDB for all tests of a process, and databases in it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb.scratch_server import find_server_program, run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote

NUMBERS = itertools.count()
# A socket's path may not be long.
SHORT = "/tmp"

MakeDatabase = Callable[..., str]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
	if not find_server_program():
		pytest.skip("mariadb-server is not installed")
	with short_directory() as directory:
		with run_scratch_server(directory, environment=own_temporary_files(directory)) as server:
			yield server


@contextmanager
def short_directory() -> Iterator[Path]:
	directory = Path(tempfile.mkdtemp(prefix="dumps-", dir=SHORT))
	try:
		yield directory
	finally:
		shutil.rmtree(directory, ignore_errors=True)


def own_temporary_files(directory: Path) -> dict[str, str]:
	"""A server that starts removes what it takes for its own left-overs: temporary tables of all servers there."""
	(directory / "tmp").mkdir(exist_ok=True)
	return {**os.environ, "TMPDIR": str(directory / "tmp")}


@pytest.fixture
def make_database(server: Server) -> Iterator[MakeDatabase]:
	"""Makes a database, and executes statements in it."""
	made: list[str] = []

	def make(*statements: str, name: str | None = None) -> str:
		database = name or f"shop_{next(NUMBERS)}"
		made.append(database)
		with server.session() as cursor:
			cursor.execute(f"CREATE DATABASE {quote(database)}")
			cursor.execute(f"USE {quote(database)}")
			for statement in statements:
				cursor.execute(statement)
		return database

	try:
		yield make
	finally:
		with server.session() as cursor:
			for database in made:
				cursor.execute(f"DROP DATABASE IF EXISTS {quote(database)}")
