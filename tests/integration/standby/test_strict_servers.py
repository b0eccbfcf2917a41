"""Servers that are stricter, or read SQL otherwise, than when a site's tables were made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from press_deploy.engine.databases.mariadb.server import Server
from tests.integration.standby.conftest import Site
from tests.support.databases import execute

MANY = ", ".join(f"c{number} VARCHAR(64) CHARACTER SET latin1" for number in range(200))
TABLES = {
	"a row that may be too large": f"CREATE TABLE old (id INT AUTO_INCREMENT PRIMARY KEY, {MANY})",
	"a row format that InnoDB doesn't know": "CREATE TABLE old (id INT AUTO_INCREMENT PRIMARY KEY) ROW_FORMAT=FIXED",
	"a default that is no date": "CREATE TABLE old (id INT AUTO_INCREMENT PRIMARY KEY, d DATETIME NOT NULL DEFAULT 0)",
}


@contextmanager
def default_mode(server: Server, mode: str) -> Iterator[None]:
	"""The sql_mode of whoever logs in meanwhile."""
	former = execute(server, None, "SELECT @@GLOBAL.sql_mode")[0][0]
	execute(server, None, f"SET GLOBAL sql_mode = '{mode}'")
	try:
		yield
	finally:
		execute(server, None, f"SET GLOBAL sql_mode = '{former}'")


@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_the_server_would_not_take_any_more(site: Site, tmp_path: Path, kind: str):
	site.execute(
		"SET SESSION sql_mode = '', innodb_strict_mode = 0", TABLES[kind], "INSERT INTO old (id) VALUES (1)"
	)
	with default_mode(site.server, "TRADITIONAL"):
		with pytest.raises(pymysql.Error):
			site.execute(TABLES[kind].replace("TABLE old", "TABLE refused"))
		site.load()
		site.standby.prove()
		# First the next number alone differs, then rows as well.
		for id in (2, 3):
			site.execute("SET SESSION sql_mode = ''", f"INSERT INTO old (id) VALUES ({id})")
			if id == 2:
				site.execute("DELETE FROM old WHERE id = 2")
			live = site.content()
			found = site.standby.refresh(tmp_path / "final")
			assert found["changed"] == ([] if id == 2 else ["old"])
			assert site.content(site.standby.name)[0] == live[0]
		site.standby.swap()
		assert site.content() == live


def test_a_default_that_is_the_next_number_of_a_sequence(site: Site, tmp_path: Path):
	site.execute(
		"CREATE SEQUENCE numbers",
		"CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(numbers) PRIMARY KEY, word VARCHAR(9))",
		"INSERT INTO numbered (word) VALUES ('one'), ('two')",
	)
	site.load()
	site.execute("INSERT INTO numbered (word) VALUES ('three')")
	live = site.content()
	site.standby.refresh(tmp_path / "final")
	assert site.content(site.standby.name)[0] == live[0]
	site.standby.swap()
	site.execute("INSERT INTO numbered (word) VALUES ('four')")
	assert site.execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM numbered") == [(4, 4)]


def test_names_in_double_quotes(site: Site, tmp_path: Path):
	with default_mode(site.server, "ANSI_QUOTES,STRICT_TRANS_TABLES"):
		site.load()
		site.standby.prove()
		site.change()
		live = site.content()
		site.standby.refresh(tmp_path / "final")
		site.standby.swap()
		assert site.content() == live
