"""A private MariaDB for the tests of standby databases; each test has a database of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.standby_database import MariaDBStandby
from tests.support.databases import (
	RestartableServer,
	execute,
	make_site_database,
	make_standby,
	private_directory,
	read_content,
	read_stored,
)


@dataclass
class Site:
	"""A site's database with a backup of it, loaded as standby, and what both held then."""

	standby: MariaDBStandby
	server: Server
	directory: Path
	dump: Path

	@property
	def live(self) -> str:
		return self.standby.live

	def execute(self, *statements: str) -> list[tuple]:
		return execute(self.server, self.live, *statements)

	def content(self, database: str | None = None) -> tuple[dict, list]:
		"""Tables with checksums, and views and the like, of a database; of live, if none is named."""
		name = database or self.live
		return read_content(self.server, name), read_stored(self.server, name)

	def load(self) -> tuple[dict, list]:
		"""Back up, load and return what the backup holds."""
		backup = self.content()
		self.standby.remember_live()
		dump_database(self.server, self.live, self.dump)
		self.standby.load(self.dump)
		return backup

	def change(self) -> None:
		"""What a release and its users do: rows come and go, a table comes, one goes, one changes, a view goes."""
		self.execute(
			"INSERT INTO `tabSales Invoice` (name, total) VALUES ('INV-new', 7)",
			"DELETE FROM `tabSales Invoice` WHERE name = 'INV-3'",
			"CREATE TABLE `tabNew Thing` (name VARCHAR(140) PRIMARY KEY)",
			"INSERT INTO `tabNew Thing` VALUES ('one'), ('two')",
			"DROP TABLE __Auth",
			"ALTER TABLE tabDocType ADD COLUMN icon VARCHAR(10) DEFAULT 'x'",
			"DROP VIEW a_best",
			"CREATE OR REPLACE FUNCTION tax(amount DECIMAL(21,9)) RETURNS DECIMAL(21,9) DETERMINISTIC RETURN 0",
			"CREATE TRIGGER watch AFTER DELETE ON `tabNew Thing` FOR EACH ROW DELETE FROM tabSingles WHERE 0",
			"SELECT NEXTVAL(note_id_seq), SETVAL(note_id_seq, 100)",
		)


@pytest.fixture(scope="session")
def restartable() -> Iterator[RestartableServer]:
	with private_directory() as directory:
		server = RestartableServer(directory)
		try:
			yield server
		finally:
			server.scratch.stop()


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
	"""No test here talks TLS, and each connection would read all certificates of the machine."""
	monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
	monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.fixture
def server(restartable: RestartableServer) -> Server:
	return restartable.server


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[Site]:
	"""A small site database, whose name needs quoting; no standby yet."""
	name = f"my `shop`-{tmp_path.name[-12:]} é"
	make_site_database(server, name)
	standby = make_standby(tmp_path, server, name)
	yield Site(standby, server, tmp_path, tmp_path / "backup.sql.zst")
	for database in (standby.live, standby.name, standby.quarantine):
		execute(server, None, f"DROP DATABASE IF EXISTS `{database.replace('`', '``')}`")
