"""A private MariaDB with a site's database and its user, and people at work on it over connections of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.foreigners import end_connection
from press_deploy.engine.databases.mariadb.server import Server
from tests.support.databases import (
	RestartableServer,
	execute,
	make_bench,
	make_database,
	make_user,
	private_directory,
)
from tests.unit.engine.support import wait_until

from .visitors import LIVE, Visitors

# Over TCP the server names the port that somebody comes from; over its socket it names nothing. Each process of the
# tests has an address of its own, so that no two of them want the same port.
ADDRESS = ".".join(str(part) for part in (127, *(100 + os.getpid()).to_bytes(3, "big")))
PORT = 13306
NETWORK = ("--skip-networking=0", f"--bind-address={ADDRESS}", f"--port={PORT}")
TABLES = (
	"CREATE TABLE `tabError Log` (name VARCHAR(140) PRIMARY KEY, creation DATETIME(6), method VARCHAR(140))",
	"INSERT INTO `tabError Log` VALUES ('1', '2030-01-01 10:00:00.1', 'before')",
	"CREATE TABLE tabItem (name VARCHAR(140) PRIMARY KEY, price DECIMAL(21,9))",
	"INSERT INTO tabItem SELECT CONCAT('I-', seq), seq FROM seq_1_to_2000",
)


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
	"""No test here talks TLS, and each connection would read all certificates of the machine."""
	monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
	monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
	with private_directory() as directory:
		restartable = RestartableServer(directory, *NETWORK)
		try:
			yield restartable.server
		finally:
			restartable.scratch.stop()


@pytest.fixture
def over_network(site_user: Server) -> Server:
	"""The same as the site's own user, over TCP."""
	return replace(site_user, socket=None, host=ADDRESS, port=PORT)


@pytest.fixture
def site_user(server: Server) -> Server:
	"""The server as the site itself asks it; its database is new."""
	make_database(server, LIVE, *TABLES)
	return make_user(server, "site_user", f"ALL ON `{LIVE}`.*")


@pytest.fixture
def bench(server: Server, site_user: Server, tmp_path: Path) -> Iterator[Bench]:
	yield make_bench(tmp_path, server, LIVE)
	execute(server, None, f"DROP DATABASE IF EXISTS `{LIVE}`")


@pytest.fixture
def visitors(server: Server) -> Iterator[Visitors]:
	with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
		yield Visitors(pool, stack)
		# Whoever still sleeps would keep the pool waiting.
		with server.session() as cursor:
			cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()")
			for (number,) in cursor.fetchall():
				end_connection(cursor, number)


@pytest.fixture
def wait_for(server: Server) -> Callable[[str], None]:
	"""Until some connection is listed so."""

	def wait(condition: str) -> None:
		query = f"SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND {condition}"
		wait_until(lambda: execute(server, None, query), condition)

	return wait
