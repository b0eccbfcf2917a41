"""How the database of a site on SQLite is backed up: in the site process, which copies the file at one instant."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.method import FRAPPE, Measure, Method, refuse_unless
from press_deploy.engine.databases.sqlite.place import file_in

COPIES: Mapping[str, Callable[[Path], dict[str, Any]]] = {}
# It packs the file while others write to it.
FRAPPES_IS_CONSISTENT = False
BUSY_SECONDS = 60


def choose_method(
	wanted: str, config: dict[str, Any], size: int | None = None, *, as_dump: bool = False
) -> Method:
	refuse_unless(wanted in ("auto", FRAPPE), wanted, "the database is sqlite")
	return Method(FRAPPE, "sqlite: Frappe's own backup")


def require_readable(method: Method, config: dict[str, Any]) -> str | None:
	return None


def require_whole(method: Method, config: dict[str, Any]) -> None:
	"""A file holds all there is."""


def dump(
	method: Method, config: dict[str, Any], site: str, directory: Path, measure: Measure
) -> list[dict[str, str]]:
	return []


def name_in_dump(config: dict[str, Any]) -> str | None:
	return None


def dump_everything(config: dict[str, Any], site: Path, target: Path) -> bool:
	source = file_in(site, config["db_name"])
	with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dump-") as directory:
		copy = Path(directory, "database")
		with (
			closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as live,
			closing(sqlite3.connect(copy)) as frozen,
		):
			live.backup(frozen)
		with copy.open("rb") as plain, gzip.open(target, "wb", compresslevel=6) as packed:
			shutil.copyfileobj(plain, packed, 1 << 20)
	return True
