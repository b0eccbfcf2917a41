"""Loads a dump into a database that exists, through the `mariadb` client.

Invariant: a dump that can't be unpacked to its end, or a client that did not end with 0, is a failure; no
line of a dump is a command to the client, only SQL for the server; and no load fills the server's disk.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from press_deploy.engine.databases.dumps.dump_file import DamagedFile, unpack
from press_deploy.engine.databases.mariadb.client_errors import read_words, translate_client_error
from press_deploy.engine.databases.mariadb.client_process import close_pipe, end_client, start_client
from press_deploy.engine.databases.mariadb.disk_watch import DiskWatch
from press_deploy.engine.databases.mariadb.remedies import WAITS_FOR
from press_deploy.engine.databases.mariadb.server import Server, client_command
from press_deploy.engine.databases.mariadb.sleeping_events import lay_asleep_in
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.ground.remedies import OTHER_BACKUP, see_disk

DOING = "Loading"
# As they are for a dump's own statements. A stricter server refuses tables that it once took.
SETTINGS = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', innodb_strict_mode = 0"
# One statement of a dump may keep the server busy for long; no statement for an hour.
STALL_SECONDS = 3600


def load_command(options: int, database: str) -> list[str]:
	"""Binary mode keeps NUL and CRLF as they are, and takes nothing for a command such as `\\! rm`."""
	return client_command(
		"mariadb",
		options,
		"--batch",
		"--binary-mode",
		# Those in routines and triggers are a part of them.
		"--comments",
		"--default-character-set=utf8mb4",
		"--max-allowed-packet=1G",
		f"--init-command={SETTINGS}",
		f"--database={database}",
	)


def load_dump(
	path: Path,
	server: Server,
	database: str,
	*,
	progress: Progress | None = None,
	events_asleep: bool = False,
) -> dict[str, int]:
	"""Load a dump (gzip, zstd or plain) into `database`, which exists.

	Progress counts bytes of the file. `events_asleep`: see `sleeping_events`. Returns {"bytes": size of the
	file, "read_bytes": size of the SQL}.
	Raises `StepFailed`, and `CommandFailed` where there is no client; the database is then half-filled.
	"""
	what = f"{path.name} into database {database}"
	watch = DiskWatch(server, database)
	with server.option_file() as options, tempfile.TemporaryFile() as errors:
		process = start_client(load_command(options, database), options, errors, is_fed=True)
		try:
			chunks = unpack(path, progress)
			read = _feed(process, lay_asleep_in(chunks) if events_asleep else chunks, watch, what)
			status = _wait(process, what)
		except OSError as error:
			raise StepFailed(
				DOING, what, f"{path} can't be read: {error.strerror or error}", see_disk(path)
			) from error
		except DamagedFile as error:
			raise StepFailed(DOING, what, str(error), f"{OTHER_BACKUP}; this one is not whole") from error
		finally:
			end_client(process)
		if status:
			raise translate_client_error(DOING, what, "mariadb", status, read_words(errors))
	return {"bytes": path.stat().st_size, "read_bytes": read}


def _feed(process: subprocess.Popen, chunks: Iterable[bytes], watch: DiskWatch, what: str) -> int:
	"""Write the whole SQL to the client, and close; returns its size. A client that has ended is no error here."""
	read = 0
	try:
		for chunk in chunks:
			watch.check(DOING, what)
			_write(process, chunk, what)
			read += len(chunk)
	except BrokenPipeError:
		pass
	close_pipe(process)
	return read


def _write(process: subprocess.Popen, chunk: bytes, what: str) -> None:
	assert process.stdin
	rest = memoryview(chunk)
	while rest:
		if not select.select([], [process.stdin], [], STALL_SECONDS)[1]:
			raise _stalled(what)
		rest = rest[os.write(process.stdin.fileno(), rest) :]


def _wait(process: subprocess.Popen, what: str) -> int:
	try:
		return process.wait(STALL_SECONDS)
	except subprocess.TimeoutExpired:
		raise _stalled(what) from None


def _stalled(what: str) -> StepFailed:
	return StepFailed(
		DOING,
		what,
		f"the server took nothing for {STALL_SECONDS} s; the client was ended",
		WAITS_FOR,
	)
