"""Backups by Frappe's own generator, in-process: database, configuration, public and private files.

Invariant: complete whatever `site_config.backup` excludes, readable by the bench user alone, and nowhere
where Frappe's daily clean-up deletes.
"""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import frappe
from frappe.utils import cint
from frappe.utils.backups import BackupGenerator

from press_deploy.engine.ground.errors import InputError
from press_deploy.site.database_client import credentials

FILE_NAMES = {
	"database": "database.sql.gz",
	"config": "site_config.json",
	"public_files": "public-files.tar",
	"private_files": "private-files.tar",
}


class CompleteBackup(BackupGenerator):
	"""Frappe's generator with a consistent dump of SQLite: its own packs the file while others write to it."""

	def take_dump(self) -> None:
		if self.db_type == "sqlite":
			_dump_sqlite(sqlite_file(), Path(self.backup_path_db))
		else:
			with credentials():
				super().take_dump()


def back_up(directory: str, with_files: bool = True, with_database: bool = True) -> dict:
	"""Back up this site into an existing or new `directory` (absolute).

	`with_database` False leaves the database to whoever can dump it faster.

	Returns {"files": [{"kind", "path"}], "partial": False, "encrypted": False, "encryption_wanted": bool}.
	Never encrypted: a deployment has to verify and restore it. Whether System Settings ask for encryption
	is said, so that the caller can warn.
	"""
	paths = {kind: Path(directory, f"{frappe.local.site}-{name}") for kind, name in FILE_NAMES.items()}
	_check(directory)
	with private_files():
		generator = make_generator(**paths)
		if with_database:
			generator.take_dump()
		generator.copy_site_config()
		if with_files:
			generator.backup_files()
	return {
		"files": [{"kind": kind, "path": str(path)} for kind, path in paths.items() if path.exists()],
		"partial": bool(generator.partial),
		"encrypted": False,
		"encryption_wanted": bool(cint(frappe.get_system_settings("encrypt_backup"))),
	}


def dump_database(path: Path) -> None:
	"""Dump the database alone to `path`, gzipped."""
	_check(str(path.parent))
	with private_files():
		make_generator(
			path, *[path.with_name(f".{path.name}.{kind}") for kind in ("config", "public", "private")]
		).take_dump()


def make_generator(database: Path, config: Path, public_files: Path, private_files: Path) -> CompleteBackup:
	conf = frappe.conf
	return CompleteBackup(
		conf.db_name,
		conf.db_user or conf.db_name,
		None,  # Not among the arguments of mariadb-dump: `credentials` hands it over in a file.
		db_socket=conf.db_socket,
		db_host=conf.db_host,
		db_port=conf.db_port,
		db_type=conf.db_type,
		backup_path_db=str(database),
		backup_path_conf=str(config),
		backup_path_files=str(public_files),
		backup_path_private_files=str(private_files),
		ignore_conf=True,
	)


@contextmanager
def private_files() -> Iterator[None]:
	"""Files and directories made in this block are the bench user's alone."""
	previous = os.umask(0o077)
	try:
		yield
	finally:
		os.umask(previous)


def _check(directory: str) -> None:
	# Frappe's generator puts the path into a shell command without quoting it.
	if not os.path.isabs(directory) or shlex.quote(directory) != directory:
		raise InputError(
			"directory",
			directory,
			"it is not an absolute path without spaces and special characters",
			"name a directory such as /backup/site",
		)


def sqlite_file() -> Path:
	return Path(frappe.get_site_path("db", f"{frappe.conf.db_name}.db"))


def _dump_sqlite(source: Path, target: Path) -> None:
	with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dump-") as directory:
		copy = Path(directory, "database")
		with closing(sqlite3.connect(source, timeout=60)) as live, closing(sqlite3.connect(copy)) as frozen:
			live.backup(frozen)
		with copy.open("rb") as plain, gzip.open(target, "wb", compresslevel=6) as packed:
			shutil.copyfileobj(plain, packed, 1 << 20)
