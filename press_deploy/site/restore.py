"""The site's database goes back to a dump. The last resort: what was written since then is lost.

Invariant: nothing of the present database is touched before the dump was verified and the present
database lies in quarantine, verified too. Called again after an interruption it goes on where it was.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import frappe

from press_deploy.engine.databases.dumps import dump_file
from press_deploy.engine.databases.mariadb.dumper import choose_dumper
from press_deploy.engine.databases.mariadb.loading import choose_importer
from press_deploy.engine.databases.mariadb.objects import drop_objects
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.databases.mariadb.sql_dump import dump_database as dump_stream
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.databases.sqlite.file_check import check_file
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import InputError, SiteProcessFailed
from press_deploy.site.backup import dump_database, private_files, sqlite_file
from press_deploy.site.caches import clear_cache
from press_deploy.site.dumps import Dump, inspect, unpack
from press_deploy.site.tables import list_relations, list_tables

LOCK_WAIT_SECONDS = 60


def restore(database: str, quarantine: str) -> dict:
	"""Replace this site's database by the dump `database`; the present one is first kept in `quarantine`.

	Both are absolute paths; the dump may be packed with gzip or zstd, what is kept is packed with gzip. Returns {"tables": how many there are now}. Raises
	`SiteProcessFailed` when a dump is not whole or the result has not the tables of the dump.
	"""
	dump = inspect(Path(database))
	if dump.kind != frappe.conf.db_type:
		raise InputError(
			"database", database, f"it is a dump of {dump.kind}", f"name one of {frappe.conf.db_type}"
		)
	_put_into_quarantine(Path(quarantine))
	tables = _replace_sqlite(dump) if dump.kind == "sqlite" else _replace_mariadb(dump)
	if tables != dump.tables:
		raise SiteProcessFailed(
			"Restoring",
			f"the database of {frappe.local.site}",
			f"it has {tables} tables now, the dump has {dump.tables}",
			f"try again; the former database is in {quarantine}",
		)
	clear_cache()
	return {"tables": tables}


def _put_into_quarantine(quarantine: Path) -> None:
	"""Keep the present database, once: what is there already was put there before an interruption."""
	if quarantine.exists():
		inspect(quarantine)
		return
	part = quarantine.with_name(f"{quarantine.name}.part")
	part.unlink(missing_ok=True)
	if frappe.conf.db_type == "mariadb" and shutil.which("mariadb-dump"):
		_dump_mariadb(part)
	else:
		dump_database(part)
	inspect(part)
	with part.open("rb") as file:
		os.fsync(file.fileno())
	part.replace(quarantine)
	durable.sync_directory(quarantine.parent)


def _dump_mariadb(target: Path) -> None:
	"""Frappe's own dump would leave routines and events out, and they are about to be dropped."""
	whole = target.with_name(f"{target.name}.zst")
	try:
		dump_stream(choose_dumper(frappe.conf), frappe.conf.db_name, whole)
		with private_files(), gzip.open(target, "wb", compresslevel=6) as packed:
			packed.writelines(dump_file.unpack(whole))
	finally:
		whole.unlink(missing_ok=True)


def _replace_mariadb(dump: Dump) -> int:
	importer = choose_importer(frappe.conf)
	_drop_everything(importer)
	# Our own transaction would hold on to a database that is not there any more.
	frappe.db.close()
	load_dump(dump.path, importer, frappe.conf.db_name)
	frappe.connect()
	return len(list_tables())


def _drop_everything(importer: Server) -> None:
	"""Drop what is in the site's own database: tables and sequences as its own user."""
	frappe.db.commit()
	what = f"the database of {frappe.local.site}"
	with translate_server_errors("Emptying", what), importer.session() as cursor:
		cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")
		drop_objects(cursor, frappe.conf.db_name)
	frappe.db.sql(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}, FOREIGN_KEY_CHECKS = 0")
	for name, kind in list_relations().items():
		frappe.db.sql_ddl(f"DROP {kind} `{name.replace('`', '``')}`")


def _replace_sqlite(dump: Dump) -> int:
	live = sqlite_file()
	new = live.with_name(f"{live.name}.restored")
	with private_files():
		unpack(dump.path, new)
	new.chmod(live.stat().st_mode)
	frappe.db.close()
	# The old write-ahead log must not be played into the new file.
	with closing(sqlite3.connect(live, timeout=LOCK_WAIT_SECONDS)) as connection:
		connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
	for suffix in ("-wal", "-shm"):
		live.with_name(live.name + suffix).unlink(missing_ok=True)
	new.replace(live)
	durable.sync_directory(live.parent)
	frappe.connect()
	return len(check_file(live))
