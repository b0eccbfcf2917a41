"""Executes `mariadb-backup`, to make a backup and to prepare one.

Invariant: it has succeeded only when it ended with 0 and its last line says so; what it says goes to no log,
and of it to messages only the lines that tell why it failed.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from press_deploy.engine.bench.programs import Programs, end_group
from press_deploy.engine.databases.mariadb.client_errors import translate_client_error
from press_deploy.engine.databases.mariadb.client_process import end_client, start_client
from press_deploy.engine.databases.mariadb.physical_stream import DamagedStream
from press_deploy.engine.databases.mariadb.remedies import AS_SQL, WAITS_FOR
from press_deploy.engine.ground.errors import StepFailed

PROGRAM = "mariadb-backup"
READ_BYTES = 1 << 20
END_SECONDS = 60
# When nothing was written for so long, it waits for a lock that nobody releases.
STALL_SECONDS = 900
SUCCESS = "completed OK!"
_VERSION = re.compile(r"server (\d+\.\d+\.\d+)")
_TELLING = re.compile(r"error|fail|denied|can't|cannot|no space|full|refuse", re.IGNORECASE)
_FULL = re.compile(
	r"No space left|Disk quota|File too large|errno: 28\b|OS error: 28\b|\(28\b", re.IGNORECASE
)


def read_version() -> str | None:
	"""The version of MariaDB that the program was built for (`10.11.19`); None when it doesn't say."""
	done = subprocess.run(
		[PROGRAM, "--version"], capture_output=True, text=True, env=Programs().environment()
	)
	found = _VERSION.search(done.stdout + done.stderr)
	return found[1] if found else None


def prepare_backup(arguments: Sequence[str], what: str) -> None:
	"""Run it on an unpacked backup, to its end. Raises `StepFailed` and `CommandFailed`."""
	with execute_backup(arguments, doing="Preparing", what=what) as stream:
		for _ in stream:
			pass


@contextmanager
def execute_backup(
	arguments: Sequence[str], *, doing: str, what: str, options: int | None = None
) -> Iterator[Iterator[bytes]]:
	"""Run it; yields what it writes, to be drawn to its end. `options` is the option file's descriptor.

	It is ended when the block is left early, or when it writes nothing for `STALL_SECONDS`. Its own failure
	goes before that of the block: a stream cut off is a consequence. Raises `StepFailed` and `CommandFailed`.
	"""
	# It starts a server to prepare a backup, and that removes what other servers have in a shared directory.
	with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as own:
		process = start_client(arguments, options, errors, remedy="install mariadb-backup", temporary=own)
		_enlarge_pipe(process)
		try:
			yield _draw(process, doing, what)
		except DamagedStream as error:
			_check_end(_wait(process), errors, doing, what)
			why = f"{PROGRAM} wrote no whole stream: {error}"
			raise StepFailed(doing, what, why, f"try again; if it fails again, {AS_SQL}") from error
		else:
			_check_end(_wait(process), errors, doing, what)
		finally:
			end_client(process)


def _enlarge_pipe(process: subprocess.Popen) -> None:
	assert process.stdout
	try:
		fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, READ_BYTES)
	except (AttributeError, OSError):
		# It is faster with a large pipe, and right with any.
		pass


def _draw(process: subprocess.Popen, doing: str, what: str) -> Iterator[bytes]:
	assert process.stdout
	while True:
		if not select.select([process.stdout], [], [], STALL_SECONDS)[0]:
			raise StepFailed(
				doing,
				what,
				f"{PROGRAM} wrote nothing for {STALL_SECONDS} s and was ended",
				WAITS_FOR,
			)
		data = os.read(process.stdout.fileno(), READ_BYTES)
		if not data:
			return
		yield data


def _wait(process: subprocess.Popen) -> int:
	"""Its status; one that neither writes nor ends is ended, and has failed."""
	assert process.stdout
	process.stdout.close()
	try:
		return process.wait(END_SECONDS)
	except subprocess.TimeoutExpired:
		end_group(process)
		return process.wait()


def _check_end(status: int, errors: IO[bytes], doing: str, what: str) -> None:
	words = _read(errors)
	lines = [line for line in words.splitlines() if line.strip()]
	if status == 0 and lines and lines[-1].endswith(SUCCESS):
		return
	if _FULL.search(words):
		raise StepFailed(
			doing,
			what,
			"a disk is full that the program writes to",
			"free space in the run's directory, on the server's data disk or in its tmpdir (df -h), then try again",
		)
	# It says a lot; what went wrong is seldom in the last lines alone.
	telling = [line for line in lines if _TELLING.search(line)][-2:] or lines[-2:]
	if status == 0:
		why = f"{PROGRAM} ended with 0 without “{SUCCESS}”: {' | '.join(telling)}"
		raise StepFailed(doing, what, why, f"try again; if it fails again, {AS_SQL}")
	raise translate_client_error(doing, what, PROGRAM, status, "\n".join(telling))


def _read(errors: IO[bytes]) -> str:
	errors.seek(0)
	return errors.read().decode("utf-8", "replace")
