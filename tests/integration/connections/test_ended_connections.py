"""Each connection that outlives a question is ended between two of them, as Frappe's migrate does it.

Those that only ask ask again; those that hold a moment, a lock or a transaction say that it is gone.
"""

from __future__ import annotations

from pathlib import Path

import pymysql
import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import database as database_module
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.mariadb.losses import open_snapshot
from press_deploy.engine.databases.mariadb.restoring import scratch_database
from press_deploy.engine.databases.mariadb.server import SILENT_SECONDS, Server
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.verdict.metrics import list_gauges
from press_deploy.engine.watching.sampling import Sampler
from tests.support.databases import (
	SITE,
	count_databases,
	end_connections,
	execute,
	make_site_database,
	make_standby,
)

from .visitors import LIVE

OF_SITE = "USER = 'site_user'"


def test_a_look_into_the_sites_database_is_asked_again(server: Server, bench: Bench) -> None:
	database = Database(bench, SITE)
	newest = database.last_error_log()
	execute(server, LIVE, "INSERT INTO `tabError Log` VALUES ('2', '2030-01-01 10:00:01', 'of the release')")
	assert end_connections(server, OF_SITE) == 1
	assert database.error_log_since(newest) == [("2", "of the release")]
	end_connections(server, OF_SITE)
	assert (database.connections() or 0) > 0
	database.close()


def test_a_sample_has_its_figure_all_the_same(server: Server, bench: Bench, tmp_path: Path) -> None:
	database = Database(bench, SITE)
	sampler = Sampler(tmp_path / "samples.csv", [database], list_gauges())
	assert sampler.sample([], 0).figures["database_connections"]
	end_connections(server, OF_SITE)
	assert sampler.sample([], 0).figures["database_connections"]
	database.close()


def test_a_server_that_lets_nobody_in_any_more_is_unknown(server: Server, bench: Bench) -> None:
	database = Database(bench, SITE)
	newest = database.last_error_log()
	execute(server, None, "ALTER USER site_user@localhost ACCOUNT LOCK")
	end_connections(server, OF_SITE)
	with pytest.raises(DatabaseUnavailable, match="locked"):
		database.error_log_since(newest)
	execute(server, None, "ALTER USER site_user@localhost ACCOUNT UNLOCK")
	assert database.error_log_since(newest) == []
	database.close()


def test_a_slow_answer_is_not_asked_for_twice(
	server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
	monkeypatch.setattr(database_module, "TIMEOUT_SECONDS", 1)
	database = Database(bench, SITE)
	database.rows("SELECT 1")
	with pytest.raises(DatabaseUnavailable, match="timed out"):
		database.rows("SELECT SLEEP(600)")
	assert end_connections(server, OF_SITE) == 1


def test_a_snapshot_says_that_its_moment_is_lost(server: Server, site_user: Server) -> None:
	with open_snapshot(server) as reader:
		assert reader.tables(LIVE)
		end_connections(server, "USER <> 'site_user'")
		# The second time the driver itself knows that there is no connection.
		for _ in range(2):
			with pytest.raises(StepFailed, match="was lost, and with it the moment that was read"):
				reader.tables(LIVE)


def test_a_lock_on_the_standby_is_not_taken_for_held(server: Server, tmp_path: Path) -> None:
	make_site_database(server, "other_shop")
	standby = make_standby(tmp_path, server, "other_shop")

	def fill(target: Server, name: str) -> dict:
		execute(target, name, "CREATE TABLE t (a INT)")
		return {}

	def fill_and_end(target: Server, name: str) -> dict:
		end_connections(server)
		return fill(target, name)

	with pytest.raises(StepFailed, match="was lost, and with it its locks"):
		standby.load_by(fill_and_end)
	assert not standby.is_loaded()
	standby.load_by(fill)
	assert standby.is_loaded()
	standby.drop_standby()
	execute(server, None, "DROP DATABASE other_shop")


def test_an_administrator_is_told_what_was_lost_and_asks_anew(server: Server, tmp_path: Path) -> None:
	standby = make_standby(tmp_path, server, LIVE)
	with pytest.raises(StepFailed, match="connection to the server was lost"):
		with standby.ask("Looking at", LIVE) as cursor:
			end_connections(server)
			cursor.execute("SELECT 1")
	with standby.ask("Looking at", LIVE) as cursor:
		assert cursor.execute("SELECT 1")


def test_a_proof_whose_connection_was_ended_leaves_nothing_behind(server: Server) -> None:
	with pytest.raises(pymysql.Error):
		with scratch_database(server) as (cursor, name):
			assert count_databases(server, name) == 1
			end_connections(server)
			cursor.execute(f"USE `{name}`")
	assert count_databases(server, name) == 0


def test_no_limit_of_the_servers_for_idle_connections_ends_a_session(server: Server) -> None:
	limits = ("wait_timeout", "idle_transaction_timeout", "idle_readonly_transaction_timeout")
	before = execute(server, None, f"SELECT {', '.join(f'@@GLOBAL.{each}' for each in limits)}")[0]
	execute(server, None, *(f"SET GLOBAL {each} = 1" for each in limits))
	try:
		with server.session() as cursor:
			cursor.execute("SELECT @@wait_timeout")
			assert cursor.fetchone()[0] == SILENT_SECONDS
		with open_snapshot(server) as reader:
			assert reader.one(f"SELECT {', '.join(f'@@{each}' for each in limits)}") == (SILENT_SECONDS, 0, 0)
	finally:
		execute(
			server,
			None,
			*(f"SET GLOBAL {each} = {value}" for each, value in zip(limits, before, strict=True)),
		)
