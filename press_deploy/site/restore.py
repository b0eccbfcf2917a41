"""The site's database goes back to a dump. The last resort: what was written since then is lost.

Invariant: nothing of the present database is touched before the dump was verified and the present
database lies in quarantine, verified too. Called again after an interruption it goes on where it was.
"""

from __future__ import annotations

import os
from pathlib import Path

import frappe

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import InputError, SiteProcessFailed
from press_deploy.site.backup import dump_database, private_files
from press_deploy.site.caches import clear_cache
from press_deploy.site.dumps import inspect
from press_deploy.site.engine import site_directory, site_engine


def restore(database: str, quarantine: str) -> dict:
	"""Replace this site's database by the dump `database`; the present one is first kept in `quarantine`.

	Both are absolute paths; the dump may be packed with gzip or zstd, what is kept is packed with gzip. Returns
	{"tables": how many there are now}. Raises `SiteProcessFailed` when a dump is not whole or the result has not the
	tables of the dump.
	"""
	dump = inspect(Path(database))
	engine = site_engine()
	if dump.kind != engine.dump_format.NAME:
		raise InputError(
			"database", database, f"it is a dump of {dump.kind}", f"name one of {frappe.conf.db_type}"
		)
	_put_into_quarantine(Path(quarantine))
	tables = engine.loading.replace(frappe.conf, site_directory(), dump.path, frappe.db)
	frappe.connect()
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
	with private_files():
		is_dumped = site_engine().dumping.dump_everything(frappe.conf, site_directory(), part)
	if not is_dumped:
		dump_database(part)
	inspect(part)
	with part.open("rb") as file:
		os.fsync(file.fileno())
	part.replace(quarantine)
	durable.sync_directory(quarantine.parent)
