"""Looking into a site's database without Frappe: figures for preflight and monitoring. Reads only.

Invariant: a figure that can't be had is None, never 0. A connection that somebody ended between two questions
is no failure: each question stands by itself, so it is asked again over a new one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb.server_errors import is_lost
from press_deploy.engine.ground.error_log_titles import OWN_ERROR_LOG_TITLE
from press_deploy.engine.ground.errors import DeployError

TIMEOUT_SECONDS = 5


class DatabaseUnavailable(Exception):
	"""The database can't be reached, or its kind is not known."""


class Database:
	"""One site's database; connects when first asked, and again after a failure.

	It lives as long as a run, and Frappe's migrate ends each connection to the site's database that was idle for 30 s.
	"""

	def __init__(self, bench: Bench, site: str):
		self._bench, self._site = bench, site
		self._connection: Any = None

	@property
	def kind(self) -> str:
		try:
			return self._bench.read_config(self._site).get("db_type") or "mariadb"
		except DeployError as error:
			# Frappe does not write its configuration in one step: for an instant it may be no JSON.
			raise DatabaseUnavailable(str(error)) from error

	def rows(self, query: str, *values: Any) -> list[tuple]:
		"""Run one reading query. Raises `DatabaseUnavailable`."""
		try:
			return self._ask(query, values)
		except (pymysql.Error, sqlite3.Error, OSError, KeyError, ValueError, DeployError) as error:
			self.close()
			raise DatabaseUnavailable(str(error)) from error

	def _ask(self, query: str, values: tuple[Any, ...]) -> list[tuple]:
		is_kept = self._connection is not None
		try:
			return self._ask_once(query, values)
		except pymysql.Error as error:
			# Only a connection from before can have been ended meanwhile; a slow answer is not asked for twice.
			if not is_kept or not is_lost(error) or isinstance(error.__context__, TimeoutError):
				raise
		self.close()
		return self._ask_once(query, values)

	def _ask_once(self, query: str, values: tuple[Any, ...]) -> list[tuple]:
		if self._connection is None:
			self._connection = self._connect()
		cursor = self._connection.cursor()
		cursor.execute(query if self.kind == "mariadb" else query.replace("%s", "?"), values)
		return list(cursor.fetchall())

	def connections(self) -> int | None:
		"""Connections open on the server (runbook: Threads_connected); None where there is no server."""
		if self.kind != "mariadb":
			return None
		return int(self.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1])

	def maximum_connections(self) -> int | None:
		if self.kind != "mariadb":
			return None
		return int(self.rows("SHOW GLOBAL VARIABLES LIKE 'max_connections'")[0][1])

	def long_statements(self, seconds: int) -> list[str]:
		"""Statements and transactions of this site that last longer than `seconds`."""
		if self.kind != "mariadb":
			return []
		query = (
			"SELECT ID, TIME, COMMAND, LEFT(INFO, 80) FROM information_schema.PROCESSLIST "
			"WHERE COMMAND <> 'Sleep' AND TIME > %s AND ID <> CONNECTION_ID() AND DB = DATABASE()"
		)
		found = [
			f"connection {row[0]}: {row[2]} for {row[1]} s: {row[3] or ''}"
			for row in self.rows(query, seconds)
		]
		try:
			transactions = self.rows(
				"SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) "
				"FROM information_schema.INNODB_TRX WHERE TIMESTAMPDIFF(SECOND, trx_started, NOW()) > %s",
				seconds,
			)
		except DatabaseUnavailable:
			# It takes the PROCESS privilege, which a site's user seldom has; statements are seen without.
			return found
		return found + [f"connection {row[0]}: transaction open for {row[1]} s" for row in transactions]

	def last_error_log(self) -> str:
		"""The newest `creation` among the Error Log rows; empty when there are none."""
		return str(self.rows("SELECT COALESCE(MAX(creation), '') FROM `tabError Log`")[0][0] or "")

	def error_log_since(self, creation: str, limit: int = 50) -> list[tuple[str, str]]:
		"""(name, title) of the Error Log rows newer than `creation`, oldest first; not those of maintenance."""
		query = (
			"SELECT name, COALESCE(method, '') FROM `tabError Log` WHERE creation > %s "
			"AND COALESCE(method, '') <> %s ORDER BY creation LIMIT %s"
		)
		rows = self.rows(query, creation or "1970-01-01", OWN_ERROR_LOG_TITLE, limit)
		return [(str(row[0]), str(row[1])) for row in rows]

	def size_bytes(self) -> int | None:
		"""Data and indexes, in bytes."""
		if self.kind == "sqlite":
			return self._sqlite_file().stat().st_size
		query = "SELECT SUM(data_length + index_length) FROM information_schema.TABLES WHERE table_schema = DATABASE()"
		size = self.rows(query)[0][0]
		return None if size is None else int(size)

	def close(self) -> None:
		connection, self._connection = self._connection, None
		if connection is not None:
			try:
				connection.close()
			except pymysql.Error:
				pass

	def _sqlite_file(self) -> Path:
		return self._bench.site(self._site) / "db" / f"{self._bench.read_config(self._site)['db_name']}.db"

	def _connect(self) -> Any:
		config = self._bench.read_config(self._site)
		if self.kind == "sqlite":
			file = self._sqlite_file()
			return sqlite3.connect(
				f"{file.resolve().as_uri()}?mode=ro",
				uri=True,
				timeout=TIMEOUT_SECONDS,
				check_same_thread=False,
			)
		if self.kind != "mariadb":
			raise DatabaseUnavailable(f"databases of type {self.kind} can't be looked into yet")
		address = (
			{"unix_socket": config["db_socket"]}
			if config.get("db_socket")
			else {"host": config.get("db_host") or "127.0.0.1", "port": int(config.get("db_port") or 3306)}
		)
		return pymysql.connect(
			user=config.get("db_user") or config["db_name"],
			password=config.get("db_password", ""),
			database=config["db_name"],
			connect_timeout=TIMEOUT_SECONDS,
			read_timeout=TIMEOUT_SECONDS,
			autocommit=True,
			**address,
		)
