"""Looking into a site's SQLite file: it is opened for reading alone."""

from __future__ import annotations

import sqlite3
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.sqlite.place import file_of, quote
from press_deploy.engine.databases.unavailable import Ask

ERRORS = (sqlite3.Error,)
START = "see its file in the site's directory db"


def connect(bench: Bench, site: str, seconds: float) -> Any:
	address = f"{file_of(bench, site).resolve().as_uri()}?mode=ro"
	return sqlite3.connect(address, uri=True, timeout=seconds, check_same_thread=False)


def phrase(query: str) -> str:
	return query.replace("%s", "?")


def is_ended(error: Exception) -> bool:
	return False


def count_connections(ask: Ask) -> int | None:
	return None


def find_maximum_connections(ask: Ask) -> int | None:
	return None


def list_long_statements(ask: Ask, seconds: int) -> list[str]:
	return []


def measure_bytes(ask: Ask, bench: Bench, site: str) -> int | None:
	return file_of(bench, site).stat().st_size


def list_tables(ask: Ask) -> dict[str, int | None]:
	return {str(row[0]): None for row in ask("SELECT name FROM sqlite_master WHERE type = 'table'")}


def list_columns(ask: Ask, table: str) -> set[str]:
	return {str(row[1]) for row in ask(f"PRAGMA table_info({quote(table)})")}


def as_text(expression: str) -> str:
	return f"CAST({expression} AS TEXT)"
