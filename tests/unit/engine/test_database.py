"""Looking into a database: what can't be had is not 0, and never an error of another kind."""

import json
import os
import sqlite3

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.unavailable import DatabaseUnavailable

from .support import SITE, make_bench


@pytest.fixture
def bench(tmp_path):
	return Bench(make_bench(tmp_path / "a bench #1 100%25?"))


def configure(bench, **config):
	bench.site_config(SITE).write_text(json.dumps(config))
	return Database(bench, SITE)


@pytest.fixture
def database(bench):
	(bench.site(SITE) / "db").mkdir()
	file = bench.site(SITE) / "db" / "shop.db"
	with sqlite3.connect(file) as connection:
		connection.execute("CREATE TABLE `tabError Log` (name TEXT, creation TEXT, method TEXT)")
	connection.close()
	opened = configure(bench, db_type="sqlite", db_name="shop")
	yield opened
	opened.close()


def log(bench, *rows):
	with sqlite3.connect(bench.site(SITE) / "db" / "shop.db") as connection:
		connection.executemany("INSERT INTO `tabError Log` VALUES (?, ?, ?)", rows)
	connection.close()


def test_a_sqlite_site_has_rows_and_a_size_but_no_connections(database, bench):
	assert database.rows("SELECT %s + 1", 1) == [(2,)]
	assert database.connections() is None and database.maximum_connections() is None
	assert database.long_statements(1) == [] and database.size_bytes() > 0


def test_the_error_log_is_read_from_a_row_on(database, bench):
	assert database.last_error_log() == "" and database.error_log_since("") == []
	log(bench, ("1", "2030-01-01 10:00:00.1", "first"))
	newest = database.last_error_log()
	assert newest == "2030-01-01 10:00:00.1" and database.error_log_since(newest) == []
	log(
		bench,
		("3", "2030-01-01 10:00:03", None),
		("2", "2030-01-01 10:00:02", "x"),
		("4", "2030-01-02", "Session Stopped"),
	)
	assert database.error_log_since(newest) == [("2", "x"), ("3", "")]
	assert len(database.error_log_since("", limit=2)) == 2


def test_it_only_reads(database):
	with pytest.raises(DatabaseUnavailable, match="readonly"):
		database.rows("DELETE FROM `tabError Log`")


def test_it_connects_again_after_a_failure(database):
	with pytest.raises(DatabaseUnavailable):
		database.rows("SELECT nothing FROM nowhere")
	assert database.rows("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
	"config",
	[
		{"db_type": "sqlite", "db_name": "missing"},
		{"db_type": "sqlite"},
		{},
		{"db_name": "x", "db_host": "127.0.0.1", "db_port": 1},
		{"db_name": "x", "db_port": "many"},
		{"db_name": "x", "db_socket": "/nonexistent"},
		{"db_type": "postgres", "db_name": "x"},
		{"db_type": 7, "db_name": "x"},
	],
	ids=json.dumps,
)
def test_what_cannot_be_reached_is_unavailable(bench, config):
	with pytest.raises(DatabaseUnavailable) as caught:
		configure(bench, **config).rows("SELECT 1")
	assert str(caught.value)


@pytest.mark.parametrize("torn", ["", '{"db_type": "sqli', "[]", "\0"])
def test_a_configuration_that_is_being_written_is_unavailable_for_an_instant(database, bench, torn):
	before = bench.site_config(SITE).read_text()
	bench.site_config(SITE).write_text(torn)
	for ask in (database.connections, database.last_error_log, database.size_bytes):
		with pytest.raises(DatabaseUnavailable):
			ask()
	bench.site_config(SITE).write_text(before)
	assert database.last_error_log() == ""


@pytest.mark.skipif("MARIADB_USER" not in os.environ, reason="MARIADB_USER names no server to try")
def test_a_mariadb_server_is_asked(bench):
	names = {
		"db_host": "HOST",
		"db_port": "PORT",
		"db_socket": "SOCKET",
		"db_user": "USER",
		"db_password": "PASSWORD",
	}
	config = {
		key: os.environ[f"MARIADB_{name}"] for key, name in names.items() if f"MARIADB_{name}" in os.environ
	}
	database = configure(bench, db_name=os.environ.get("MARIADB_DATABASE", "information_schema"), **config)
	assert database.rows("SELECT %s + 1", 1)[0][0] == 2
	assert 0 < database.connections() <= database.maximum_connections()
	assert database.long_statements(60) == [] and (database.size_bytes() or 0) >= 0
	database.close()
	assert database.rows("SELECT 1") == [(1,)]
