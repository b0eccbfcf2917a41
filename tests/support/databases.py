"""Real databases for tests: a private MariaDB server, sites on it, and what is in them.

The server's files are in memory where the machine has such a place: thousands of tables take seconds there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.comparison import TableState, read_tables
from press_deploy.engine.databases.mariadb.objects import read_objects
from press_deploy.engine.databases.mariadb.schemas import drop_database
from press_deploy.engine.databases.mariadb.scratch_server import ScratchServer, start_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.standby import open_on_server
from press_deploy.engine.databases.mariadb.standby_database import MariaDBStandby

FAST = ("--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-buffer-pool-size=64M")
SITE, RUN = "shop.example", "2026-01-31-release-7f3a"
MEMORY = Path("/dev/shm")


@contextmanager
def private_directory() -> Iterator[Path]:
	"""A directory with a short path, for a server's socket, that is gone afterwards."""
	directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else "/tmp"))
	try:
		yield directory
	finally:
		shutil.rmtree(directory, ignore_errors=True)


class RestartableServer:
	"""A server of the tests' own, which can be killed and started again on its data."""

	def __init__(self, directory: Path, *options: str):
		self.directory, self._options = directory, (*FAST, *options)
		self.scratch: ScratchServer = start_scratch_server(directory, *self._options)

	@property
	def server(self) -> Server:
		return self.scratch.server

	def kill(self) -> None:
		self.scratch.kill()

	def start(self) -> None:
		self.scratch = start_scratch_server(self.directory, *self._options)


def make_bench(directory: Path, server: Server, database: str, site: str = SITE) -> Bench:
	"""A bench with one site on this server; the site's user is `site_user`, whether it exists or not."""
	bench = directory / "bench"
	for name in ("apps", "config", "logs", f"sites/{site}"):
		(bench / name).mkdir(parents=True, exist_ok=True)
	config = {
		"db_name": database,
		"db_user": "site_user",
		"db_password": "secret",
		"db_socket": server.socket,
	}
	(bench / "sites" / site / "site_config.json").write_text(json.dumps(config))
	return Bench.open(bench)


def make_standby(directory: Path, server: Server, database: str, run: str = RUN) -> MariaDBStandby:
	return open_on_server(
		make_bench(directory, server, database), SITE, run, directory / "notes" / run, server
	)


def execute(server: Server, database: str | None, *statements: str) -> list[tuple]:
	"""Execute statements; returns the rows of the last one."""
	rows: list[tuple] = []
	with server.session(database) as cursor:
		for statement in statements:
			cursor.execute(statement)
			rows = list(cursor.fetchall())
	return rows


def end_connections(server: Server, condition: str = "TRUE") -> int:
	"""End the connections for which this holds, as another program would, and see that they are gone.

	Returns how many there were; none is a test that breaks nothing.
	"""
	wanted = f"SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND ({condition}) AND COMMAND "
	wanted += "<> 'Daemon'"
	with server.session() as cursor:
		cursor.execute(wanted)
		numbers = [number for (number,) in cursor.fetchall()]
		for number in numbers:
			cursor.execute(f"KILL CONNECTION {number}")
		while cursor.execute(wanted):
			cursor.fetchall()
	assert numbers, "there is no such connection, so nothing was broken"
	return len(numbers)


def make_user(server: Server, user: str, *rights: str, password: str = "secret") -> Server:
	"""A user from this machine with these rights, such as “SELECT ON `shop`.*”; returns the server as asked by it."""
	for host in ("localhost", "'127.%'"):
		execute(server, None, f"CREATE OR REPLACE USER {user}@{host} IDENTIFIED BY '{password}'")
		for right in rights:
			execute(server, None, f"GRANT {right} TO {user}@{host}")
	return server.as_user(user, password)


def make_database(server: Server, database: str, *statements: str) -> None:
	with server.session() as cursor:
		drop_database(cursor, database)
	execute(server, None, f"CREATE DATABASE {quote(database)}")
	execute(server, database, *statements)


def read_content(server: Server, database: str) -> dict[str, TableState]:
	"""All tables with definition and checksum; {} where there is no such database."""
	return read_tables(server, database)


def read_stored(server: Server, database: str) -> list[dict[str, str]]:
	"""Views, triggers, routines and events."""
	with server.session() as cursor:
		return read_objects(cursor, database)


def count_databases(server: Server, like: str) -> int:
	return len(execute(server, None, f"SHOW DATABASES LIKE '{like}'"))


SITE_TABLES = (
	"CREATE TABLE tabDocType (name VARCHAR(140) PRIMARY KEY, module VARCHAR(140))",
	"CREATE TABLE tabSingles (doctype VARCHAR(255), field VARCHAR(255), value LONGTEXT, KEY (doctype, field))",
	"CREATE TABLE __Auth (doctype VARCHAR(140), name VARCHAR(255), password TEXT, PRIMARY KEY (doctype, name))",
	"CREATE TABLE __global_search (doctype VARCHAR(100), name VARCHAR(140), content TEXT, FULLTEXT (content)) "
	"ENGINE=MyISAM",
	"CREATE TABLE `tabSales Invoice` (name VARCHAR(140) PRIMARY KEY, customer VARCHAR(140), total DECIMAL(21,9), "
	"note TEXT, FULLTEXT (note), KEY (customer))",
	"CREATE TABLE `tabSales Invoice Item` (name BIGINT AUTO_INCREMENT PRIMARY KEY, parent VARCHAR(140), "
	"CONSTRAINT item_parent FOREIGN KEY (parent) REFERENCES `tabSales Invoice` (name) ON DELETE CASCADE) "
	"ROW_FORMAT=DYNAMIC",
	"CREATE SEQUENCE note_id_seq START WITH 5 CACHE 10",
	"INSERT INTO tabDocType VALUES ('Sales Invoice', 'Accounts'), ('Item', 'Stock')",
	"INSERT INTO tabSingles VALUES ('System Settings', 'language', 'fr'), ('Website', 'title', 'Été')",
	"INSERT INTO __Auth VALUES ('User', 'Administrator', 'x')",
	"INSERT INTO __global_search VALUES ('Item', 'I-1', 'a wooden table')",
	"INSERT INTO `tabSales Invoice` SELECT CONCAT('INV-', seq), CONCAT('C-', seq % 7), seq * 1.5, 'words of it' "
	"FROM seq_1_to_50",
	"INSERT INTO `tabSales Invoice Item` (parent) SELECT CONCAT('INV-', 1 + seq % 50) FROM seq_1_to_150",
)
SITE_OBJECTS = (
	"CREATE FUNCTION tax(amount DECIMAL(21,9)) RETURNS DECIMAL(21,9) DETERMINISTIC RETURN amount * 0.2",
	"CREATE PROCEDURE forget(IN wanted VARCHAR(140)) DELETE FROM `tabSales Invoice` WHERE name = wanted",
	# The view that uses the other one comes first by its name.
	"CREATE VIEW z_totals AS SELECT customer, SUM(tax(total)) AS taxes FROM `tabSales Invoice` GROUP BY customer",
	"CREATE VIEW a_best AS SELECT customer FROM z_totals WHERE taxes > 10",
	"CREATE TRIGGER check_invoice BEFORE INSERT ON `tabSales Invoice` FOR EACH ROW "
	"SET NEW.note = CONCAT(COALESCE(NEW.note, ''), ' – geprüft')",
	"CREATE TRIGGER a_check BEFORE INSERT ON `tabSales Invoice` FOR EACH ROW FOLLOWS check_invoice "
	"SET NEW.customer = COALESCE(NEW.customer, 'nobody')",
	"CREATE EVENT clean ON SCHEDULE EVERY 1 DAY DO DELETE FROM tabSingles WHERE doctype = 'Nothing'",
)


def make_site_database(server: Server, database: str) -> None:
	"""A small database of a Frappe site, with everything that a rename could leave behind."""
	make_database(server, database, *SITE_TABLES, *SITE_OBJECTS)


def describe(content: dict[str, Any]) -> dict[str, Any]:
	"""For messages of tests: tables with their checksums alone."""
	return {name: state.checksum for name, state in content.items()}


def count_tables(server: Server, database: str) -> int:
	return len(execute(server, database, "SHOW TABLES"))
