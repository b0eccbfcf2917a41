"""What a site's database says there is: its DocTypes with their rows, and what else a migration may remove.

Looked at before and after a migration, each time over a connection of its own: migrate ends those that are idle.

Invariant: it reads only. Numbers of rows are exact, except for large tables, whose `about` is true.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.errors import StepFailed

# What a release defines beside DocTypes, and Frappe removes when it does so no more.
KINDS = (
	*("Module Def", "Report", "Page", "Workspace", "Custom Field", "Property Setter"),
	*("Scheduled Job Type", "Role"),
)
# Counting takes time while the site is closed: of larger tables the server's estimate is enough.
COUNTED_ROWS = 50_000
TABLES_PER_QUERY = 50
_NO_TABLE = {"rows": None, "about": False, "first": None, "last": None}
_FLAGS = ("custom", "issingle", "is_virtual")


def take_inventory(bench: Bench, site: str) -> dict[str, Any]:
	"""Plain data: "doctypes" {name: what it is}, "names" {kind: [names]}, "modules" {name: app}, and
	"apps" that are installed (None: nobody knows).

	A DocType is {"module", "custom", "issingle", "is_virtual", "rows", "about", "first", "last"}; "rows" is None
	where it has no table. "first" and "last" are names of documents, by which a renamed table is known again.
	Raises `StepFailed`.
	"""
	with closing(Database(bench, site)) as database:
		try:
			sizes = database.tables()
			return {
				"doctypes": _list_doctypes(database, sizes),
				"names": {kind: _list_names(database, kind) for kind in KINDS if f"tab{kind}" in sizes},
				"modules": _list_modules(database, sizes),
				"apps": _list_apps(database, sizes),
			}
		except DatabaseUnavailable as error:
			raise _unreadable(site, error) from error


def list_apps(bench: Bench, site: str) -> list[str] | None:
	"""The apps that are installed on a site, by its own list; None where it keeps none. Raises `StepFailed`."""
	with closing(Database(bench, site)) as database:
		try:
			return _list_apps(database, database.tables())
		except DatabaseUnavailable as error:
			raise _unreadable(site, error) from error


def list_executed_patches(bench: Bench, site: str) -> set[str]:
	"""The lines of patches.txt that need not run on this site any more. Raises `StepFailed`."""
	with closing(Database(bench, site)) as database:
		try:
			query = "SELECT patch FROM `tabPatch Log`"
			if "skipped" in database.columns("tabPatch Log"):
				query += " WHERE COALESCE(skipped, 0) = 0"
			return {str(row[0]) for row in database.rows(query)}
		except DatabaseUnavailable as error:
			raise _unreadable(site, error) from error


def count_rows(bench: Bench, site: str, doctype: str) -> int | None:
	"""The exact number of rows in the table of a DocType; None where there is no such table."""
	with closing(Database(bench, site)) as database:
		try:
			return int(database.rows(f"SELECT COUNT(*) FROM {_quote(f'tab{doctype}')}")[0][0])
		except DatabaseUnavailable:
			return None


def holds(bench: Bench, site: str, doctype: str, names: list[str]) -> bool:
	"""Whether all of these are names of documents of a DocType."""
	query = f"SELECT COUNT(*) FROM {_quote(f'tab{doctype}')} WHERE name IN (%s, %s)"
	with closing(Database(bench, site)) as database:
		try:
			return int(database.rows(query, names[0], names[-1])[0][0]) == len(set(names))
		except DatabaseUnavailable:
			return False


def _list_doctypes(database: Database, sizes: dict[str, int | None]) -> dict[str, dict[str, Any]]:
	if "tabDocType" not in sizes:
		return {}
	rows = database.rows(f"SELECT name, module, {', '.join(_FLAGS)} FROM `tabDocType`")
	tables = _describe_tables(
		database, {f"tab{row[0]}": sizes[f"tab{row[0]}"] for row in rows if f"tab{row[0]}" in sizes}
	)
	found = {}
	for name, module, *flags in rows:
		about = {"module": module, **{flag: bool(value) for flag, value in zip(_FLAGS, flags, strict=True)}}
		found[str(name)] = {**about, **tables.get(f"tab{name}", _NO_TABLE)}
	return found


def _describe_tables(database: Database, sizes: dict[str, int | None]) -> dict[str, dict[str, Any]]:
	"""Rows, first and last name of each; many tables in one question, since a site has hundreds of them."""
	found, names = {}, sorted(sizes)
	for begin in range(0, len(names), TABLES_PER_QUERY):
		some = names[begin : begin + TABLES_PER_QUERY]
		parts = [_select_facts(database, number, table, sizes[table]) for number, table in enumerate(some)]
		for number, rows, first, last in database.rows(" UNION ALL ".join(parts)):
			table = some[int(number)]
			about = _is_large(sizes[table])
			facts = {"rows": sizes[table] if about else int(rows), "about": about}
			found[table] = {**facts, "first": first, "last": last}
	return found


def _select_facts(database: Database, number: int, table: str, size: int | None) -> str:
	# In one answer, the names of all tables have to be of one kind.
	count = "0" if _is_large(size) else "COUNT(*)"
	ends = ", ".join(database.as_text(f"{function}(name)") for function in ("MIN", "MAX"))
	return f"SELECT {number}, {count}, {ends} FROM {_quote(table)}"


def _is_large(size: int | None) -> bool:
	return (size or 0) > COUNTED_ROWS


def _list_names(database: Database, kind: str) -> list[str]:
	return sorted(str(row[0]) for row in database.rows(f"SELECT name FROM {_quote(f'tab{kind}')}"))


def _list_modules(database: Database, sizes: dict[str, int | None]) -> dict[str, str]:
	if "tabModule Def" not in sizes:
		return {}
	return {str(row[0]): str(row[1]) for row in database.rows("SELECT name, app_name FROM `tabModule Def`")}


def _list_apps(database: Database, sizes: dict[str, int | None]) -> list[str] | None:
	if "tabDefaultValue" not in sizes:
		return None
	query = "SELECT defvalue FROM `tabDefaultValue` WHERE defkey = 'installed_apps' AND parent = '__global'"
	rows = database.rows(query)
	try:
		return [str(app) for app in json.loads(rows[0][0])] if rows else None
	except (TypeError, ValueError):
		return None


def _quote(table: str) -> str:
	return "`{}`".format(table.replace("`", "``"))


def _unreadable(site: str, error: Exception) -> StepFailed:
	return StepFailed(
		"Listing what is on",
		site,
		f"its database could not be asked: {error}",
		f"see that it answers (bench --site {site} db-console), then start the plan again",
	)
