"""Loads a physical backup into a database beside the live one, on the same server.

The files are unpacked and prepared; a private server reads the copy. Tables whose files the server takes are
imported; what it does not take (search indexes, sequences, partitions, other engines) is read from the copy
and loaded as SQL.

Invariant: the definitions are the backup's own; a table is imported whole or the load fails. The live
database is never touched, and the server's directories only below that of the standby.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.objects import make_objects
from press_deploy.engine.databases.mariadb.physical_check import find_directory
from press_deploy.engine.databases.mariadb.physical_import import import_tables
from press_deploy.engine.databases.mariadb.physical_program import PROGRAM, prepare_backup
from press_deploy.engine.databases.mariadb.physical_stream import DamagedStream, read_stream
from press_deploy.engine.databases.mariadb.remedies import AS_SQL
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import translate, translate_server_errors
from press_deploy.engine.databases.mariadb.sleeping_events import lay_asleep
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import OTHER_BACKUP, see_disk

DOING = "Loading"
MEMORY = "256M"
# What the copy was made with, and only then can be read with.
_KEPT_SETTINGS = ("innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces")
# Those that are files of rows and nothing else; SQL would lose the history of the second.
_PLAIN_KINDS = ("BASE TABLE", "SYSTEM VERSIONED")
_FULLTEXT = (
	"SELECT DISTINCT TABLE_NAME FROM information_schema.STATISTICS "
	"WHERE TABLE_SCHEMA = %s AND INDEX_TYPE = 'FULLTEXT'"
)


@dataclass(frozen=True)
class Tables:
	"""How each table of a copy gets into the standby; `importable` has its definition and its size in bytes."""

	importable: dict[str, tuple[str, int]]
	logical: list[str]


def load(
	path: Path,
	server: Server,
	database: str,
	standby: str,
	workdir: Path,
	progress: Progress | None = None,
) -> dict[str, Any]:
	"""Load the backup of `database` in `path` into the database `standby`, which exists and is empty.

	`workdir` is a private directory, best on the disk of the server's data, where as much room as the database
	takes is used for the time of the call; its subdirectory `copy` is emptied. Progress counts bytes unpacked.
	Returns {"imported": number of tables, "logical": their names, "left_out": views that can't be made}.
	Raises `StepFailed`; the standby is then half-filled: drop it, make it again, and call again.
	"""
	what = f"{path.name} into database {standby}"
	copy = workdir / "copy"
	refused: dict[str, str] = {}
	try:
		for _ in range(2):
			label = _unpack(path, copy, database, what, progress)
			_prepare(copy, what)
			tables, failed = _fill(server, standby, label, copy, set(refused), what)
			if not failed:
				break
			# Its files were used up by the attempt; once more, and these as SQL.
			_drop_tables(server, standby, what)
			refused |= failed
		else:
			raise StepFailed(DOING, what, _tell(refused), AS_SQL)
		left_out = _make_objects(server, standby, label, what)
	finally:
		shutil.rmtree(copy, ignore_errors=True)
	return {"imported": len(tables.importable), "logical": sorted(tables.logical), "left_out": left_out}


def _unpack(path: Path, copy: Path, database: str, what: str, progress: Progress | None) -> dict[str, Any]:
	shutil.rmtree(copy, ignore_errors=True)
	try:
		copy.mkdir(mode=0o700, parents=True)
		label = read_stream(path, copy, progress).label
	except DamagedStream as error:
		raise StepFailed(DOING, what, str(error), f"{OTHER_BACKUP}; this one is not whole") from error
	except OSError as error:
		why = f"{path} can't be unpacked into {copy}: {error.strerror or error}"
		raise StepFailed(DOING, what, why, f"free space there, or {see_disk(copy.parent)}") from error
	if label["database"] != database:
		why = f"it is a backup of database {label['database']}, not of {database}"
		raise StepFailed(DOING, what, why, f"use a backup of this site; {OTHER_BACKUP}")
	return label


def _prepare(copy: Path, what: str) -> None:
	"""Bring all files to one instant, and write beside each what the server needs to import it."""
	command = [
		*(PROGRAM, f"--defaults-file={copy / 'backup-my.cnf'}", "--prepare", "--export"),
		*(f"--use-memory={MEMORY}", f"--target-dir={copy}"),
	]
	prepare_backup(command, what)


@contextmanager
def _read_copy(copy: Path) -> Iterator[Server]:
	"""A private server that reads the prepared copy and changes nothing in it."""
	settings = dict(
		line.split("=", 1) for line in (copy / "backup-my.cnf").read_text().splitlines() if "=" in line
	)
	options = [f"--{name}={settings[name]}" for name in _KEPT_SETTINGS if name in settings]
	# The server's own tables stay out of the backup, passwords are among them; it starts without.
	(copy / "mysql").mkdir(exist_ok=True)
	# They are made from the label, when all tables are there.
	for file in (*copy.glob("*/*.TRG"), *copy.glob("*/*.TRN")):
		file.unlink()
	# A short path: that of a socket may not be long.
	with tempfile.TemporaryDirectory(prefix="press-deploy-") as name:
		(Path(name) / "data").symlink_to(copy.resolve())
		with run_scratch_server(
			Path(name),
			*(
				"--innodb-read-only",
				"--skip-grant-tables",
				"--skip-log-bin",
				f"--innodb-buffer-pool-size={MEMORY}",
			),
			*("--innodb-buffer-pool-load-at-startup=OFF", "--innodb-buffer-pool-dump-at-shutdown=OFF"),
			*options,
		) as source:
			yield source


def _sort_tables(source: Server, database: str, directory: Path, refused: set[str]) -> Tables:
	"""Which tables of the copy can be imported: plain InnoDB tables of the usual row formats."""
	importable, logical = {}, []
	with source.session() as cursor:
		cursor.execute(_FULLTEXT, (database,))
		fulltext = {row[0] for row in cursor.fetchall()}
		cursor.execute("SELECT @@innodb_default_row_format")
		usual = cursor.fetchone()[0]
		cursor.execute(
			"SELECT TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, CREATE_OPTIONS, "
			"CAST(CONVERT(TABLE_NAME USING filename) AS BINARY) "
			"FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE <> 'VIEW'",
			(database,),
		)
		for name, kind, engine, row_format, options, encoded in cursor.fetchall():
			file = directory / encoded.decode("ascii")
			named = "row_format" in options.lower() or (row_format or "").lower() == usual
			plain = kind in _PLAIN_KINDS and engine == "InnoDB" and "partitioned" not in options and named
			if (
				not plain
				or name in fulltext
				or name in refused
				or not file.with_name(f"{file.name}.cfg").exists()
			):
				logical.append(name)
				continue
			cursor.execute(f"SHOW CREATE TABLE {quote(database)}.{quote(name)}")
			size = file.with_name(f"{file.name}.ibd").stat().st_size
			importable[name] = (cursor.fetchone()[1], size)
	return Tables(importable, logical)


def _fill(
	server: Server, standby: str, label: dict[str, Any], copy: Path, refused: set[str], what: str
) -> tuple[Tables, dict[str, str]]:
	"""Returns what was to be loaded, and what the server didn't take; the standby is then of no use."""
	files, rest = copy / label["directory"], copy / "rest.sql.zst"
	try:
		with _read_copy(copy) as source:
			with translate_server_errors("Reading", f"the copy in {copy}"):
				tables = _sort_tables(source, label["database"], files, refused)
			with server.session() as cursor:
				target = find_directory(cursor, standby)
			failed = import_tables(server, standby, tables.importable, files, target)
			if not failed and tables.logical:
				dump_database(source, label["database"], rest, tables=tables.logical)
				load_dump(rest, server, standby)
	except pymysql.Error as error:
		raise translate(error, DOING, what) from error
	except OSError as error:
		why = f"the files can't be put in place: {error.strerror or error} ({error.filename})"
		raise StepFailed(DOING, what, why, see_disk(error.filename or standby)) from error
	return tables, failed


def _drop_tables(server: Server, standby: str, what: str) -> None:
	with translate_server_errors(DOING, what), server.session(standby) as cursor:
		cursor.execute("SET foreign_key_checks = 0")
		cursor.execute("SHOW TABLES")
		for (name,) in cursor.fetchall():
			cursor.execute(f"DROP TABLE {quote(name)}")


def _make_objects(server: Server, standby: str, label: dict[str, Any], what: str) -> list[str]:
	"""Views that are broken in the live database as well are named, and are no reason to fail.

	Events are asleep as those of a dump are: see `sleeping_events`.
	"""
	with translate_server_errors(DOING, what), server.session(standby) as cursor:
		failed = make_objects(cursor, standby, lay_asleep(label["objects"]))
	others = [
		f"{each['kind'].lower()} {each['name']}: {each['why']}" for each in failed if each["kind"] != "VIEW"
	]
	if others:
		raise StepFailed(DOING, what, f"it can't be made: {'; '.join(others[:3])}", AS_SQL)
	return [f"view {each['name']}: {each['why']}" for each in failed]


def _tell(refused: dict[str, str]) -> str:
	some = "; ".join(f"{name}: {why}" for name, why in list(refused.items())[:3])
	return f"{len(refused)} tables can't be imported: {some}"
