"""A logical dump: `mariadb-dump`, packed with zstd on all processors while it is read.

Invariant: the file appears under its name only when the program ended with 0, its last line was seen, and
every byte is on the disk.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from pathlib import Path
from typing import IO

import pymysql
import zstandard

from press_deploy.engine.databases.mariadb.client_errors import read_words, translate_client_error
from press_deploy.engine.databases.mariadb.client_process import end_client, start_client
from press_deploy.engine.databases.mariadb.part_file import translate_write_error, write_whole
from press_deploy.engine.databases.mariadb.remedies import SERVER_LOG, WAITS_FOR
from press_deploy.engine.databases.mariadb.server import Server, client_command
from press_deploy.engine.ground.errors import InputError, StepFailed
from press_deploy.engine.ground.progress import Progress

DOING = "Dumping"
# Without one byte for so long, the program waits for a lock that nobody releases.
STALL_SECONDS = 900
END_SECONDS = 60
CHUNK_BYTES = 1 << 20
LEVEL = 1
CLOSING_LINE = b"-- Dump completed"
_OPTIONS = (
	"--single-transaction",
	"--quick",
	"--triggers",
	"--hex-blob",
	"--no-tablespaces",
	# With it, rows of a table whose default is a sequence's next number can't be loaded (error 1100).
	"--skip-add-locks",
	"--default-character-set=utf8mb4",
	"--max-allowed-packet=1G",
)
# What belongs to the database as a whole, not to one of its tables.
_WHOLE_DATABASE = ("--routines", "--events")


def dump_command(options: int, database: str, tables: list[str] | None) -> list[str]:
	"""Names come behind `--`: one that begins with a dash is no option."""
	whole = _WHOLE_DATABASE if tables is None else ()
	return client_command("mariadb-dump", options, *_OPTIONS, *whole, "--", database, *(tables or ()))


def dump_database(
	server: Server,
	database: str,
	target: Path,
	*,
	tables: list[str] | None = None,
	progress: Progress | None = None,
) -> dict[str, int]:
	"""Dump a database, or some tables with their triggers, to `target` (`.sql.zst`), at one instant.

	Returns {"bytes": size of the file, "read_bytes": size of the SQL in it}. Progress counts SQL; what it
	expects is the server's own estimate. Raises `StepFailed`, `CommandFailed` (no such program) and
	`InputError` (no table named).
	"""
	if tables is not None and not tables:
		raise InputError("tables", tables, "it names no table", "name at least one, or None for all")
	try:
		with write_whole(target) as file:
			read = _write(server, database, tables, file, progress)
	except OSError as error:
		raise translate_write_error(error, DOING, f"database {database}", target) from error
	return {"bytes": target.stat().st_size, "read_bytes": read}


def _write(
	server: Server, database: str, tables: list[str] | None, file: IO[bytes], progress: Progress | None
) -> int:
	expected = _estimate(server, database, tables) if progress else None
	with server.option_file() as options, tempfile.TemporaryFile() as errors:
		process = start_client(dump_command(options, database, tables), options, errors)
		try:
			read, tail = _pack(process, file, expected, progress, database)
			_check_end(process, errors, tail, database)
		finally:
			end_client(process)
	return read


def _pack(
	process: subprocess.Popen, file: IO[bytes], expected: int | None, progress: Progress | None, database: str
) -> tuple[int, bytes]:
	"""Pack what the program writes, to its end; returns the number of bytes, and the last of them."""
	compressor = zstandard.ZstdCompressor(level=LEVEL, threads=-1, write_checksum=True)
	read, tail = 0, b""
	with compressor.stream_writer(file, closefd=False) as packed:
		while chunk := _read(process, database):
			packed.write(chunk)
			read, tail = read + len(chunk), (tail + chunk[-512:])[-512:]
			if progress:
				progress(read, expected if expected and read < expected else None)
	return read, tail


def _read(process: subprocess.Popen, database: str) -> bytes:
	assert process.stdout
	if not select.select([process.stdout], [], [], STALL_SECONDS)[0]:
		raise StepFailed(
			DOING,
			f"database {database}",
			f"mariadb-dump wrote nothing for {STALL_SECONDS} s and was ended",
			WAITS_FOR,
		)
	return os.read(process.stdout.fileno(), CHUNK_BYTES)


def _check_end(process: subprocess.Popen, errors: IO[bytes], tail: bytes, database: str) -> None:
	try:
		status = process.wait(END_SECONDS)
	except subprocess.TimeoutExpired:
		status = -1
	if status:
		words = read_words(errors)
		raise translate_client_error(DOING, f"database {database}", "mariadb-dump", status, words)
	if CLOSING_LINE not in tail.rsplit(b"\n", 2)[-2]:
		raise StepFailed(
			DOING,
			f"database {database}",
			"mariadb-dump ended with 0 before its closing line",
			f"try again; if it ends so again, see {SERVER_LOG}",
		)


def _estimate(server: Server, database: str, tables: list[str] | None) -> int | None:
	"""How many bytes of rows the server believes to have. Only progress hangs on it."""
	query = "SELECT TABLE_NAME, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
	try:
		with server.session() as cursor:
			cursor.execute(query, (database,))
			sizes = dict(cursor.fetchall())
	except (pymysql.Error, OSError):
		return None
	return sum(int(size or 0) for name, size in sizes.items() if tables is None or name in tables) or None
