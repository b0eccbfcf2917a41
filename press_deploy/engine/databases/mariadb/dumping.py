"""How the database of a site on MariaDB is backed up: as a packed stream, physically, or by Frappe."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import unpack
from press_deploy.engine.databases.dumps.method import FRAPPE, Measure, Method, refuse_unless
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.dumper import choose_dumper, require_frappes_dump
from press_deploy.engine.databases.mariadb.foreign_objects import find_unreadable
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.ground.progress import show_size

STREAM, PHYSICAL = "stream", "physical"
# A copy of the server's files holds its system tablespace and its log, too; that pays for large databases.
PHYSICAL_FROM_BYTES = 500_000_000
COPIES = {physical.SUFFIX: physical.check_whole}
FRAPPES_IS_CONSISTENT = True


def choose_method(
	wanted: str, config: dict[str, Any], size: int | None = None, *, as_dump: bool = False
) -> Method:
	if as_dump and wanted == PHYSICAL:
		wanted = "auto"
	no_physical = "the site is to import it" if as_dump else _why_not_physical(config, size, wanted)
	no_stream = _why_not_stream()
	if wanted == PHYSICAL or (wanted == "auto" and no_physical is None):
		refuse_unless(no_physical is None, wanted, no_physical or "")
		return Method(PHYSICAL, "the server's files can be copied: fastest to make and to load")
	if wanted == STREAM or (wanted == "auto" and no_stream is None):
		refuse_unless(no_stream is None, wanted, no_stream or "")
		why = "as the plan says" if wanted == STREAM else f"no physical copy: {no_physical}"
		return Method(STREAM, why)
	return Method(FRAPPE, "as the plan says" if wanted == FRAPPE else f"{no_stream}")


def require_readable(method: Method, config: dict[str, Any]) -> str | None:
	own = Server.of_site(config)
	if method.name == PHYSICAL:
		# The administrator's files, and his look at what is not in them.
		return None
	if method.name == FRAPPE:
		require_frappes_dump(config)
		return f"{own.user} can read all of them"
	dumper = choose_dumper(config)
	if dumper == own:
		return f"{own.user} can read all of them"
	return f"{dumper.user} dumps them: {own.user} can't read {find_unreadable(own, config['db_name'])}"


def require_whole(method: Method, config: dict[str, Any]) -> None:
	if method.name == FRAPPE:
		require_frappes_dump(config)


def dump(
	method: Method, config: dict[str, Any], site: str, directory: Path, measure: Measure
) -> list[dict[str, str]]:
	database = config.get("db_name", "")
	if method.name == STREAM:
		target = directory / f"{site}-database.sql.zst"
		dump_database(choose_dumper(config), database, target, progress=measure(f"{site}, dumping"))
		return [{"kind": "database", "path": str(target)}]
	if method.name == PHYSICAL:
		target = directory / f"{site}-database{physical.SUFFIX}"
		physical.back_up(find_administrator(config), database, target, measure(f"{site}, copying"))
		return [{"kind": "physical", "path": str(target)}]
	return []


def name_in_dump(config: dict[str, Any]) -> str | None:
	return config.get("db_name")


def dump_everything(config: dict[str, Any], site: Path, target: Path) -> bool:
	if _why_not_stream():
		return False
	# Frappe's own dump would leave routines and events out.
	whole = target.with_name(f"{target.name}.zst")
	try:
		dump_database(choose_dumper(config), config["db_name"], whole)
		with gzip.open(target, "wb", compresslevel=6) as packed:
			packed.writelines(unpack(whole))
	finally:
		whole.unlink(missing_ok=True)
	return True


def _why_not_physical(config: dict[str, Any], size: int | None, wanted: str) -> str | None:
	if wanted == "auto" and (size or 0) < PHYSICAL_FROM_BYTES:
		return f"the database has less than {show_size(PHYSICAL_FROM_BYTES)}, which a dump reads soon enough"
	try:
		administrator = find_administrator(config)
	except Refused as error:
		return error.why
	if administrator is None:
		return "no administrator of the database is known"
	return physical.why_not(administrator, config["db_name"])


def _why_not_stream() -> str | None:
	return None if shutil.which("mariadb-dump") else "mariadb-dump was not found"
