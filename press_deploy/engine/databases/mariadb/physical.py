"""Physical backups: `mariadb-backup` copies the files of one database while users go on writing.

One file: the tables' files with what brings them to one instant, and the definitions of views, triggers,
routines and events. `zstd -dc FILE | mbstream -x` unpacks it, too. It also holds the server's system tablespace
and redo log, which are those of all databases: keep it as private as the server. `physical_load` loads it.

Invariant: the file appears under its name only when the program said that it is complete, every table that
was there all the time is in it, and every byte is on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pymysql
import zstandard

from press_deploy.engine.databases.mariadb.objects import StoredObject, read_objects
from press_deploy.engine.databases.mariadb.part_file import name_part, translate_write_error, write_whole
from press_deploy.engine.databases.mariadb.physical_check import (
	encode_name,
	find_directory,
	read_settings,
	why_not,
)
from press_deploy.engine.databases.mariadb.physical_program import PROGRAM, execute_backup
from press_deploy.engine.databases.mariadb.physical_stream import (
	DamagedStream,
	list_tables,
	make_label,
	read_stream,
)
from press_deploy.engine.databases.mariadb.remedies import AS_SQL
from press_deploy.engine.databases.mariadb.server import Server, client_command
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import OTHER_BACKUP, see_disk

__all__ = ["SUFFIX", "back_up", "check_whole", "load", "why_not"]

SUFFIX = ".mbstream"
DOING = "Backing up"
# Two read at a time: one waits for the disk while the other's data is written.
THREADS = 2
# Measured on 1 GB and two processors: a quarter of the size in the time that a fast disk takes for the whole;
# the usual levels take longer, and without packing a slow disk does.
LEVEL = -3


def backup_command(options: int, directory: str) -> list[str]:
	"""`directory` is the database's name as the server writes it in names of files; it has no spaces."""
	return client_command(
		PROGRAM,
		options,
		"--backup",
		"--stream=mbstream",
		f"--parallel={THREADS}",
		f"--databases={directory}",
	)


def back_up(server: Server, database: str, target: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""Back up a database, with all its objects, to `target` (`.mbstream`).

	Ask `why_not` before. Returns {"bytes": size of the file, "tables": number of tables and views in it}.
	Raises `StepFailed` and `CommandFailed`.
	"""
	what = f"database {database}"
	try:
		with write_whole(target) as file:
			before = _describe(server, database)
			found = _write(server, database, before["label"], file, progress)
			_check_tables(found, before, _describe(server, database), what)
	except OSError as error:
		raise translate_write_error(error, DOING, what, name_part(target)) from error
	return {"bytes": target.stat().st_size, "tables": len(found)}


def load(
	path: Path, server: Server, database: str, standby: str, workdir: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Load such a file into the empty database `standby`: see `physical_load.load`."""
	# It needs what reads dumps, and that needs this module, to check backups.
	from press_deploy.engine.databases.mariadb import physical_load

	return physical_load.load(path, server, database, standby, workdir, progress)


def check_whole(path: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""Rung 2 of such a file: read it to its end, with all its checksums.

	Returns {"database", "server_version", "tables", "files", "bytes"}. Raises `StepFailed`.
	"""
	try:
		content = read_stream(path, progress=progress)
	except DamagedStream as error:
		raise StepFailed("Checking", str(path), str(error), OTHER_BACKUP) from error
	except OSError as error:
		raise StepFailed("Checking", str(path), error.strerror or str(error), see_disk(path)) from error
	label = content.label
	return {
		"database": label["database"],
		"server_version": label["version"],
		"tables": len(content.tables_of(label["directory"])),
		"files": len(content.sizes),
		"bytes": path.stat().st_size,
	}


def _describe(server: Server, database: str) -> dict[str, Any]:
	"""What the label says of a database, and its tables as names of files."""
	with translate_server_errors(DOING, f"database {database}"), server.session() as cursor:
		objects: list[StoredObject] = read_objects(cursor, database)
		cursor.execute(
			"SELECT CAST(CONVERT(TABLE_NAME USING filename) AS BINARY) FROM information_schema.TABLES "
			"WHERE TABLE_SCHEMA = %s",
			(database,),
		)
		tables = {row[0].decode("ascii") for row in cursor.fetchall()}
		version = read_settings(cursor)["version"]
		directory = encode_name(cursor, database)
	label = {"database": database, "directory": directory, "version": version, "objects": objects}
	return {"label": label, "tables": tables}


def _write(
	server: Server, database: str, label: dict[str, Any], file: IO[bytes], progress: Progress | None
) -> set[str]:
	"""Returns the tables and views that are in it, as names of files."""
	expected = _estimate(server, database) if progress else None
	compressor = zstandard.ZstdCompressor(level=LEVEL, threads=-1, write_checksum=True)
	directory = label["directory"]
	with compressor.stream_writer(file, closefd=False) as packed, server.option_file() as options:
		command = backup_command(options, directory)
		with execute_backup(command, doing=DOING, what=f"database {database}", options=options) as stream:
			found = list_tables(_pass_on(stream, packed, expected, progress), directory)
		packed.write(make_label(label))
	return found


def _pass_on(
	stream: Iterator[bytes], packed: IO[bytes], expected: int | None, progress: Progress | None
) -> Iterator[bytes]:
	done = 0
	for data in stream:
		packed.write(data)
		done += len(data)
		if progress:
			progress(done, expected if expected and done <= expected else None)
		yield data


def _check_tables(found: set[str], before: dict[str, Any], after: dict[str, Any], what: str) -> None:
	"""What a name that isn't found would leave out without a word: the program then copies no table at all."""
	if before["label"]["objects"] != after["label"]["objects"]:
		raise StepFailed(
			DOING,
			what,
			"views, triggers, routines or events were changed meanwhile",
			"try again when nobody does",
		)
	missing = sorted((before["tables"] & after["tables"]) - found)
	if missing or not found:
		why = f"{PROGRAM} left out {len(missing)} tables, such as {', '.join(missing[:3]) or 'all'}"
		raise StepFailed(DOING, what, why, AS_SQL)


def _estimate(server: Server, database: str) -> int | None:
	"""Bytes of the files that will be copied, without the redo log. Only progress hangs on it."""
	try:
		with server.session() as cursor:
			directory = find_directory(cursor, database)
		files = [*directory.iterdir(), *directory.parent.glob("ibdata*")]
		return sum(file.stat().st_size for file in files)
	except (pymysql.Error, OSError):
		return None
