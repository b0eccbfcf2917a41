"""Puts prepared tablespaces into a database: ALTER TABLE … DISCARD and IMPORT TABLESPACE, table by table.

Source: MariaDB's documentation of mariadb-backup, “Restoring Individual Tables and Partitions”.

Invariant: a file gets into the server's directory only when the server has let go of its own, with the owner
and the mode that the server gives its files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.physical_check import encode_name
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import number_of

CONNECTIONS = 2
FILE_MODE = 0o660
# A killed process may leave it there, and a directory with a file that isn't the server's can't be dropped:
# of those that are not tables it removes only these and its own (MariaDB's sources: sql/sql_db.cc, del_exts).
COPY_SUFFIX = ".BAK"
# The tablespace does not fit the definition, is damaged by its own checksums, or is of a kind it doesn't take.
REFUSALS = {1808, 1809, 1810, 1815, 1005, 1030, 1031, 1118, 1235}
_SETTINGS = (
	"SET SESSION foreign_key_checks = 0, unique_checks = 0, innodb_strict_mode = 0, "
	"sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
)


def import_tables(
	server: Server, standby: str, tables: dict[str, tuple[str, int]], source: Path, target: Path
) -> dict[str, str]:
	"""Make and fill `tables` {name: (definition, size)} in `standby`, whose files are in `target`.

	The files are moved away from `source`. Returns {name: the server's words} for those it refused. Raises
	`pymysql.Error` and `OSError` for everything else.
	"""
	# The largest first, dealt out in turn, so that both connections have about as much to do.
	names = sorted(tables, key=lambda name: -tables[name][1])
	shares = [names[number::CONNECTIONS] for number in range(CONNECTIONS)]
	with ThreadPoolExecutor(CONNECTIONS) as pool:
		work = [
			pool.submit(_import_share, server, standby, share, tables, source, target) for share in shares
		]
		return {name: why for each in work for name, why in each.result().items()}


def _import_share(
	server: Server,
	standby: str,
	names: Iterable[str],
	tables: dict[str, tuple[str, int]],
	source: Path,
	target: Path,
) -> dict[str, str]:
	refused = {}
	with server.session(standby) as cursor:
		cursor.execute(_SETTINGS)
		for name in names:
			try:
				_import_table(cursor, name, tables[name][0], source, target)
			except pymysql.Error as error:
				if number_of(error) not in REFUSALS:
					raise
				refused[name] = str(error.args[-1])
	return refused


def _import_table(cursor: Any, name: str, definition: str, source: Path, target: Path) -> None:
	file = encode_name(cursor, name)
	# Without parameters: a definition may hold percent signs.
	cursor.execute(definition)
	cursor.execute(f"ALTER TABLE {quote(name)} DISCARD TABLESPACE")
	owner = target.stat()
	for suffix in ("ibd", "cfg"):
		_move(source / f"{file}.{suffix}", target / f"{file}.{suffix}", owner)
	cursor.execute(f"ALTER TABLE {quote(name)} IMPORT TABLESPACE")
	(target / f"{file}.cfg").unlink()


def _move(source: Path, target: Path, owner: os.stat_result) -> None:
	"""The server is to own it before it has its name; across disks it is copied."""
	if _is_on_another_disk(source, owner):
		copy = target.with_suffix(COPY_SUFFIX)
		shutil.copyfile(source, copy)
		source.unlink()
		source = copy
	source.chmod(FILE_MODE)
	if os.geteuid() == 0:
		os.chown(source, owner.st_uid, owner.st_gid)
	source.rename(target)


def _is_on_another_disk(source: Path, owner: os.stat_result) -> bool:
	return source.stat().st_dev != owner.st_dev
