"""What web server, worker and site process of the practice bench share: where things are, and the app's code.

Invariant: the sites directory is `SITES_PATH` if that is set, else the working directory, as with Frappe.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

# A run starts many site processes, and these are much of what each of them would import.
TYPE_CHECKING = False
if TYPE_CHECKING:
	import sqlite3
	from typing import Any, NoReturn

DATABASE_SECONDS = 10.0


def sites_directory() -> Path:
	"""The sites directory of this process."""
	return Path(os.environ.get("SITES_PATH") or os.getcwd())


def bench_directory() -> Path:
	"""The bench, also where the sites directory is another one that links to it."""
	return (sites_directory().parent / "apps").resolve().parent


def list_sites() -> list[str]:
	return sorted(path.parent.name for path in sites_directory().glob("*/site_config.json"))


def read_config(site: str) -> dict[str, Any]:
	"""The site's keys over the common ones, as they are on disk now."""
	files = (sites_directory() / "common_site_config.json", sites_directory() / site / "site_config.json")
	return {key: value for file in files for key, value in json.loads(file.read_text()).items()}


def database_file(site: str) -> Path:
	return sites_directory() / site / "db" / f"{read_config(site)['db_name']}.db"


def connect(site: str) -> closing[sqlite3.Connection]:
	"""The site's database, to be used in a `with` statement, which closes it. Fails if there is none."""
	import sqlite3

	file = database_file(site).resolve()
	return closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=DATABASE_SECONDS))


def hold_file() -> Path:
	"""Names the run for which the worker takes no other job; absent while none does."""
	return bench_directory() / "config" / "held-workers"


def held_by() -> str | None:
	try:
		return hold_file().read_text()
	except FileNotFoundError:
		return None


def import_app(module: str) -> ModuleType:
	"""Import a module of an app of this bench. What was imported once stays as it was."""
	# Python compares a cached file by size and whole second, which a quick switch of releases can fool.
	sys.dont_write_bytecode = True
	apps = bench_directory() / "apps"
	for name in (sites_directory() / "apps.txt").read_text().split():
		if str(apps / name) not in sys.path:
			sys.path.insert(0, str(apps / name))
	return importlib.import_module(module)


def leave(status: int) -> NoReturn:
	"""End this process, which has closed what it opened, without taking it down piece by piece."""
	sys.stdout.flush()
	sys.stderr.flush()
	os._exit(status)
