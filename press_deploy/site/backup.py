"""Backups by Frappe's own generator, in-process: database, configuration, public and private files.

Invariant: complete whatever `site_config.backup` excludes, readable by the bench user alone, and nowhere
where Frappe's daily clean-up deletes.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import frappe
from frappe.utils import cint
from frappe.utils.backups import BackupGenerator

from press_deploy.engine.ground.errors import InputError
from press_deploy.site.database_client import credentials
from press_deploy.site.engine import site_directory, site_engine

FILE_NAMES = {
	"database": "database.sql.gz",
	"config": "site_config.json",
	"public_files": "public-files.tar",
	"private_files": "private-files.tar",
}


class CompleteBackup(BackupGenerator):
	"""Frappe's generator, with a consistent dump also where its own is none."""

	def take_dump(self) -> None:
		dumping = site_engine().dumping
		if dumping.FRAPPES_IS_CONSISTENT:
			with credentials():
				super().take_dump()
		else:
			dumping.dump_everything(frappe.conf, site_directory(), Path(self.backup_path_db))


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
