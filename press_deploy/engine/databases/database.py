"""Looking into a site's database without Frappe: figures for preflight and monitoring. Reads only.

Invariant: a figure that can't be had is None, never 0. A connection that somebody ended between two questions
is no failure: each question stands by itself, so it is asked again over a new one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.engine import Engine, Figures
from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.error_log_titles import OWN_ERROR_LOG_TITLE
from press_deploy.engine.ground.errors import DeployError

TIMEOUT_SECONDS = 5


class Database:
	"""One site's database; connects when first asked, and again after a failure.

	It lives as long as a run, and Frappe's migrate ends each connection to the site's database that was idle for 30 s.
	"""

	def __init__(self, bench: Bench, site: str):
		self._bench, self._site = bench, site
		self._connection: Any = None
		# What the driver of that connection raises.
		self._errors: tuple[type[Exception], ...] = ()

	@property
	def engine(self) -> Engine:
		"""Raises `DatabaseUnavailable` where it is not known."""
		try:
			return engine_of(self._bench.read_config(self._site).get("db_type"))
		except DeployError as error:
			# Frappe does not write its configuration in one step: for an instant it may be no JSON.
			raise DatabaseUnavailable(str(error)) from error

	def rows(self, query: str, *values: Any) -> list[tuple]:
		"""Run one reading query. Raises `DatabaseUnavailable`."""
		figures = self._figures
		try:
			return self._ask(figures, query, values)
		except (*figures.ERRORS, OSError, KeyError, ValueError, DeployError) as error:
			self.close()
			raise DatabaseUnavailable(str(error)) from error

	def connections(self) -> int | None:
		"""Connections open on the server; None where there is no server."""
		return self._figures.count_connections(self.rows)

	def maximum_connections(self) -> int | None:
		return self._figures.find_maximum_connections(self.rows)

	def long_statements(self, seconds: int) -> list[str]:
		"""Statements and transactions of this site that last longer than `seconds`."""
		return self._figures.list_long_statements(self.rows, seconds)

	def tables(self) -> dict[str, int | None]:
		"""{table: about how many rows; None where nobody estimates}."""
		return self._figures.list_tables(self.rows)

	def columns(self, table: str) -> set[str]:
		return self._figures.list_columns(self.rows, table)

	def as_text(self, expression: str) -> str:
		"""A value as text that may stand in one column with text of any other kind."""
		return self._figures.as_text(expression)

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
		return self._figures.measure_bytes(self.rows, self._bench, self._site)

	def close(self) -> None:
		connection, self._connection = self._connection, None
		if connection is not None:
			with suppress(*self._errors):
				connection.close()

	@property
	def _figures(self) -> Figures:
		return self.engine.figures

	def _ask(self, figures: Figures, query: str, values: tuple[Any, ...]) -> list[tuple]:
		is_kept = self._connection is not None
		try:
			return self._ask_once(figures, query, values)
		except figures.ERRORS as error:
			# Only a connection from before can have been ended meanwhile.
			if not is_kept or not figures.is_ended(error):
				raise
		self.close()
		return self._ask_once(figures, query, values)

	def _ask_once(self, figures: Figures, query: str, values: tuple[Any, ...]) -> list[tuple]:
		if self._connection is None:
			self._connection = figures.connect(self._bench, self._site, TIMEOUT_SECONDS)
			self._errors = figures.ERRORS
		cursor = self._connection.cursor()
		cursor.execute(figures.phrase(query), values)
		return list(cursor.fetchall())
