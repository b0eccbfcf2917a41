"""A private MariaDB with a site's database and its user, and people at work on it over connections of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from press_deploy.engine.bench import Bench
from press_deploy.engine.mariadb.server import Server
from tests.support.databases import (
	RestartableServer,
	execute,
	make_bench,
	make_database,
	make_user,
	private_directory,
)

LIVE = "my_shop"
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
		restartable = RestartableServer(directory)
		try:
			yield restartable.server
		finally:
			restartable.scratch.stop()


@pytest.fixture
def site_user(server: Server) -> Server:
	"""The server as the site itself asks it; its database is new."""
	make_database(server, LIVE, *TABLES)
	return make_user(server, "site_user", f"ALL ON `{LIVE}`.*")


@pytest.fixture
def bench(server: Server, site_user: Server, tmp_path: Path) -> Iterator[Bench]:
	yield make_bench(tmp_path, server, LIVE)
	execute(server, None, f"DROP DATABASE IF EXISTS `{LIVE}`")
