"""Executes `mariadb-backup`, to make a backup and to prepare one.

Invariant: it has succeeded only when it ended with 0 and its last line says so; what it says goes to no log,
and of it to messages only the lines that tell why it failed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from press_deploy.engine.errors import CommandFailed, StepFailed
from press_deploy.engine.mariadb.client_errors import translate_client_error
from press_deploy.engine.programs import Programs, end_group

PROGRAM = "mariadb-backup"
POLL_SECONDS = 0.05
# When nothing was written for so long, it waits for a lock that nobody releases.
STALL_SECONDS = 900
SUCCESS = "completed OK!"
_VERSION = re.compile(r"server (\d+\.\d+\.\d+)")
_TELLING = re.compile(r"error|fail|denied|can't|cannot|no space|full|refuse", re.IGNORECASE)
_FULL = re.compile(r"No space left|Disk quota|File too large|errno: 28\b|OS error: 28\b|\(28\b", re.IGNORECASE)


def find_program() -> str | None:
	"""The path of the program on this machine; None where it is not installed."""
	return shutil.which(PROGRAM)


def read_version() -> str | None:
	"""The version of MariaDB that the program was built for (`10.11.19`); None when it doesn't say."""
	done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, env=Programs().environment())
	found = _VERSION.search(done.stdout + done.stderr)
	return found[1] if found else None


def execute_backup(
	arguments: Sequence[str],
	*,
	doing: str,
	what: str,
	output: IO[bytes] | None = None,
	options: int | None = None,
	watch: Callable[[], int],
) -> None:
	"""Run it to its end, with `output` for its stream; `options` is the option file's descriptor.

	`watch` tells how many bytes it has written; without progress for `STALL_SECONDS` it is ended. Raises
	`StepFailed` and `CommandFailed`.
	"""
	with tempfile.TemporaryFile() as errors:
		process = _start(arguments, output, options, errors)
		try:
			_wait(process, watch, doing, what)
		finally:
			if process.poll() is None:
				end_group(process)
				process.wait()
		_check_end(process.returncode, _read(errors), doing, what)


def _start(
	arguments: Sequence[str], output: IO[bytes] | None, options: int | None, errors: IO[bytes]
) -> subprocess.Popen:
	try:
		return subprocess.Popen(
			arguments,
			stdin=subprocess.DEVNULL,
			stdout=output or errors,
			stderr=errors,
			pass_fds=() if options is None else (options,),
			env=Programs().environment(),
			start_new_session=True,
		)
	except OSError as error:
		raise CommandFailed(
			"Starting", arguments[0], error.strerror or str(error), "install mariadb-backup"
		) from None


def _wait(process: subprocess.Popen, watch: Callable[[], int], doing: str, what: str) -> None:
	written, since = -1, time.monotonic()
	while True:
		try:
			process.wait(POLL_SECONDS)
			return
		except subprocess.TimeoutExpired:
			now = watch()
		if now != written:
			written, since = now, time.monotonic()
		elif time.monotonic() - since > STALL_SECONDS:
			raise StepFailed(
				doing,
				what,
				f"{PROGRAM} wrote nothing for {STALL_SECONDS} s and was ended",
				"see what it waits for: SHOW FULL PROCESSLIST",
			)


def _check_end(status: int, words: str, doing: str, what: str) -> None:
	lines = [line for line in words.splitlines() if line.strip()]
	if status == 0 and lines and lines[-1].endswith(SUCCESS):
		return
	if _FULL.search(words):
		raise StepFailed(doing, what, "the disk is full", "free space on it, then try again")
	# It says a lot; what went wrong is seldom in the last lines alone.
	telling = [line for line in lines if _TELLING.search(line)][-2:] or lines[-2:]
	if status == 0:
		why = f"{PROGRAM} ended with 0 without “{SUCCESS}”: {' | '.join(telling)}"
		raise StepFailed(doing, what, why, "try again; use the logical method if it fails again")
	raise translate_client_error(doing, what, PROGRAM, status, "\n".join(telling))


def _read(errors: IO[bytes]) -> str:
	errors.seek(0)
	return errors.read().decode("utf-8", "replace")


def size_of(path: Path) -> int:
	"""Bytes of a file that is being written; 0 as long as it isn't there."""
	try:
		return path.stat().st_size
	except FileNotFoundError:
		return 0
