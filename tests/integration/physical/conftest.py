"""One private MariaDB for all tests of a process, with a database that has one of everything in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.scratch_server import find_server_program
from press_deploy.engine.databases.mariadb.server import Server
from tests.integration.physical.schema import EVERYTHING
from tests.support.databases import RestartableServer, execute, make_database, private_directory

# The names of the directories and files that it has in the server are encoded.
LIVE, STANDBY = "_shop-1 é", "_shop-1 standby"


@pytest.fixture(scope="session")
def running() -> Iterator[RestartableServer]:
	if not find_server_program() or not shutil.which("mariadb-backup"):
		pytest.skip("mariadb-server or mariadb-backup is not installed")
	with private_directory() as directory:
		running = RestartableServer(directory)
		try:
			make_database(running.server, LIVE, *EVERYTHING)
			yield running
		finally:
			running.kill()


@pytest.fixture
def server(running: RestartableServer) -> Server:
	return running.server


@pytest.fixture(scope="session")
def backup(running: RestartableServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
	"""A backup of the database as it is; tests that change it work on one of their own."""
	target = tmp_path_factory.mktemp("backup") / f"shop{physical.SUFFIX}"
	physical.back_up(running.server, LIVE, target)
	return target


@pytest.fixture
def standby(server: Server) -> Iterator[str]:
	make_database(server, STANDBY)
	yield STANDBY
	execute(server, None, f"DROP DATABASE IF EXISTS `{STANDBY}`")
