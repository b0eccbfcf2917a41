"""Physical backups: `mariadb-backup` copies the files of one database while users go on writing.

One file (`.mbstream`): the tables' files with what brings them to one instant, and the definitions of views,
triggers, routines and events. It is not packed: packing costs more time than it saves. It also holds the
server's system tablespace and redo log, which are those of all databases: keep it as private as the server.

Invariant: the file appears under its name only when the program said that it is complete, every table that
was there all the time is in it, and every byte is on the disk.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine import durable
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.objects import StoredObject, read_objects
from press_deploy.engine.mariadb.physical_check import encode_name, find_directory, read_settings, why_not
from press_deploy.engine.mariadb.physical_load import load
from press_deploy.engine.mariadb.physical_program import PROGRAM, execute_backup, size_of
from press_deploy.engine.mariadb.physical_stream import DamagedStream, list_tables, read_stream, write_label
from press_deploy.engine.mariadb.server import Server, client_command
from press_deploy.engine.mariadb.server_errors import translate_server_errors
from press_deploy.engine.progress import Progress

__all__ = ["SUFFIX", "back_up", "check_whole", "load", "why_not"]

SUFFIX = ".mbstream"
DOING = "Backing up"
# Two read at a time: one waits for the disk while the other's data is written.
THREADS = 2


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
	part = target.with_name(f"{target.name}.part")
	what = f"database {database}"
	try:
		before = _describe(server, database)
		_write_part(server, database, before, part, progress)
		after = _describe(server, database)
		tables = _check_tables(part, before, after, what)
		os.replace(part, target)
		durable.sync_directory(target.parent)
	except OSError as error:
		raise _translate(error, what, part) from error
	finally:
		_remove(part)
	return {"bytes": target.stat().st_size, "tables": tables}


def check_whole(path: Path, progress: Progress | None = None) -> dict[str, Any]:
	"""Rung 2 of such a file: read it to its end, with all its checksums.

	Returns {"database", "server_version", "tables", "files", "bytes"}. Raises `StepFailed`.
	"""
	try:
		content = read_stream(path, progress=progress)
	except DamagedStream as error:
		raise StepFailed("Checking", str(path), str(error), "use another backup") from error
	except OSError as error:
		raise StepFailed("Checking", str(path), error.strerror or str(error), "see the file and its disk") from error
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


def _write_part(
	server: Server, database: str, described: dict[str, Any], part: Path, progress: Progress | None
) -> None:
	expected = _estimate(server, database) if progress else None

	def watch() -> int:
		done = size_of(part)
		if progress:
			progress(done, expected if expected and done <= expected else None)
		return done

	_remove(part)
	what = f"database {database}"
	with open(part, "xb", opener=_open_private) as file, server.option_file() as options:
		command = backup_command(options, described["label"]["directory"])
		execute_backup(command, doing=DOING, what=what, output=file, options=options, watch=watch)
		file.seek(0, os.SEEK_END)
		write_label(file, described["label"])
		file.flush()
		os.fsync(file.fileno())


def _check_tables(part: Path, before: dict[str, Any], after: dict[str, Any], what: str) -> int:
	"""What a name that isn't found would leave out without a word: the program then copies no table at all."""
	if before["label"]["objects"] != after["label"]["objects"]:
		raise StepFailed(
			DOING, what, "views, triggers, routines or events were changed meanwhile", "try again when nobody does"
		)
	try:
		found = list_tables(part, before["label"]["directory"])
	except DamagedStream as error:
		raise StepFailed(DOING, what, f"{PROGRAM} wrote no whole file: {error}", "see the disk") from error
	missing = sorted((before["tables"] & after["tables"]) - found)
	if missing or not found:
		why = f"{PROGRAM} left out {len(missing)} tables, such as {', '.join(missing[:3]) or 'all'}"
		raise StepFailed(DOING, what, why, "use the logical method")
	return len(found)


def _estimate(server: Server, database: str) -> int | None:
	"""Bytes of the files that will be copied, without the redo log. Only progress hangs on it."""
	try:
		with server.session() as cursor:
			directory = find_directory(cursor, database)
		files = [*directory.iterdir(), *directory.parent.glob("ibdata*")]
		return sum(file.stat().st_size for file in files)
	except (pymysql.Error, OSError):
		return None


def _translate(error: OSError, what: str, part: Path) -> StepFailed:
	full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
	why = f"{part} can't be written: {'the disk is full' if full else error.strerror or error}"
	remedy = f"free space for {part.parent}" if full else f"see the rights and the disk of {part.parent}"
	return StepFailed(DOING, what, why, remedy)


def _remove(part: Path) -> None:
	try:
		part.unlink(missing_ok=True)
	except OSError:
		# A disk that fails has said so already; a new backup begins with removing it.
		pass


def _open_private(path: str, flags: int) -> int:
	return os.open(path, flags, 0o600)
