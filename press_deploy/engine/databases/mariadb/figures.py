"""Looking into a site's database on MariaDB, as the site's own user."""

from __future__ import annotations

from typing import Any

import pymysql

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.server import quote
from press_deploy.engine.databases.mariadb.server_errors import is_lost
from press_deploy.engine.databases.unavailable import Ask, DatabaseUnavailable

ERRORS = (pymysql.Error,)
START = "start it (systemctl status mariadb)"


def connect(bench: Bench, site: str, seconds: float) -> Any:
	config = bench.read_config(site)
	address = (
		{"unix_socket": config["db_socket"]}
		if config.get("db_socket")
		else {"host": config.get("db_host") or "127.0.0.1", "port": int(config.get("db_port") or 3306)}
	)
	return pymysql.connect(
		user=config.get("db_user") or config["db_name"],
		password=config.get("db_password", ""),
		database=config["db_name"],
		connect_timeout=seconds,
		read_timeout=seconds,
		autocommit=True,
		**address,
	)


def phrase(query: str) -> str:
	return query


def is_ended(error: Exception) -> bool:
	# A slow answer is not asked for twice.
	return is_lost(error) and not isinstance(error.__context__, TimeoutError)


def count_connections(ask: Ask) -> int | None:
	# The runbook's figure.
	return int(ask("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1])


def find_maximum_connections(ask: Ask) -> int | None:
	return int(ask("SHOW GLOBAL VARIABLES LIKE 'max_connections'")[0][1])


def list_long_statements(ask: Ask, seconds: int) -> list[str]:
	query = (
		"SELECT ID, TIME, COMMAND, LEFT(INFO, 80) FROM information_schema.PROCESSLIST "
		"WHERE COMMAND <> 'Sleep' AND TIME > %s AND ID <> CONNECTION_ID() AND DB = DATABASE()"
	)
	found = [f"connection {row[0]}: {row[2]} for {row[1]} s: {row[3] or ''}" for row in ask(query, seconds)]
	try:
		transactions = ask(
			"SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) "
			"FROM information_schema.INNODB_TRX WHERE TIMESTAMPDIFF(SECOND, trx_started, NOW()) > %s",
			seconds,
		)
	except DatabaseUnavailable:
		# It takes the PROCESS privilege, which a site's user seldom has; statements are seen without.
		return found
	return found + [f"connection {row[0]}: transaction open for {row[1]} s" for row in transactions]


def measure_bytes(ask: Ask, bench: Bench, site: str) -> int | None:
	query = "SELECT SUM(data_length + index_length) FROM information_schema.TABLES WHERE table_schema = DATABASE()"
	size = ask(query)[0][0]
	return None if size is None else int(size)


def list_tables(ask: Ask) -> dict[str, int | None]:
	query = "SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
	return {str(row[0]): None if row[1] is None else int(row[1]) for row in ask(query)}


def list_columns(ask: Ask, table: str) -> set[str]:
	return {str(row[0]) for row in ask(f"SHOW COLUMNS FROM {quote(table)}")}


def as_text(expression: str) -> str:
	# Names are of several collations, and numbers in some tables.
	return f"CONVERT({expression} USING utf8mb4) COLLATE utf8mb4_bin"
