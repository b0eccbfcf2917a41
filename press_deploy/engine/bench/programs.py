"""The one place that executes other programs.

Invariant: constant argument lists, never a shell; no secret among the arguments; every process started
for a run carries the run's name in its environment, so that a resumed run finds what the dead one left.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from press_deploy.engine.bench.step_log import StepLog
from press_deploy.engine.ground.errors import CommandFailed, CommandTimedOut, DeployError

RUN_VARIABLE = "PRESS_DEPLOY_RUN"
_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)
# Ask for nothing: no password, no host key, no editor.
_UNATTENDED = {
	"GIT_TERMINAL_PROMPT": "0",
	"GIT_ASKPASS": "/bin/false",
	"SSH_ASKPASS": "/bin/false",
	"LC_ALL": "C.UTF-8",
}
# Set inside a git hook; they would point git to another repository than the one it is told to use.
_NOT_INHERITED = {
	"GIT_DIR",
	"GIT_WORK_TREE",
	"GIT_INDEX_FILE",
	"GIT_OBJECT_DIRECTORY",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_COMMON_DIR",
	"GIT_NAMESPACE",
	"GIT_PREFIX",
}
# How long the output of a program that was ended is waited for.
OUTPUT_SECONDS = 5


class Programs:
	"""Executes programs for one run, with their output in the log of the step at work."""

	def __init__(self, run: str | None = None):
		self._run = run
		self.log = StepLog()

	@contextmanager
	def logging_to(self, path: Path) -> Iterator[None]:
		"""All that is said within goes to this log, and errors that leave it name it."""
		outer, self.log = self.log, StepLog(path)
		try:
			yield
		except DeployError as error:
			error.name_log(str(path))
			raise
		finally:
			self.log.close()
			self.log = outer

	def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
		own = {RUN_VARIABLE: self._run} if self._run else {}
		inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
		return {**inherited, **_UNATTENDED, **own, **(extra or {})}

	def execute(
		self,
		arguments: Sequence[str],
		*,
		timeout: float,
		doing: str,
		cwd: Path | None = None,
		stdin: str | None = None,
		environment: dict[str, str] | None = None,
		descriptors: Sequence[int] = (),
	) -> str:
		"""Run a program to its end; past `timeout` seconds it is ended with all its children.

		Of the open descriptors of this process it has those in `descriptors`, under their numbers.
		Returns its standard output, byte for byte: what is no UTF-8 in it is escaped as in Python's file names
		(`text.encode("utf-8", "surrogateescape")` is what the program wrote). Both outputs also go to the step's log.
		"""
		self._write(f"$ {' '.join(arguments)}\n")
		process = self._start(arguments, cwd, stdin is not None, environment, descriptors)
		try:
			output, errors = map(_decode, process.communicate(_encode(stdin), timeout=timeout))
		except subprocess.TimeoutExpired:
			end_group(process)
			self._write(_remaining_output(process))
			raise CommandTimedOut(
				doing,
				arguments[0],
				f"it was not finished after {timeout:g} s and was ended",
				self._say_where(arguments, cwd),
			) from None
		except BaseException:
			end_group(process)
			raise
		self._write(output + errors)
		if process.returncode:
			reason = redact(errors.strip() or output.strip()).splitlines()[-3:]
			why = f"exit status {process.returncode}" + (f": {' | '.join(reason)}" if reason else "")
			raise CommandFailed(doing, Path(arguments[0]).name, why, self._say_where(arguments, cwd))
		return output

	def _say_where(self, arguments: Sequence[str], cwd: Path | None) -> str:
		"""Where all that a program said can be read; where nobody kept it, how to have it said again."""
		if self.log.path:
			return f"see {self.log.name}"
		directory = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
		return f"see all that it says: {directory}{redact(shlex.join(arguments))}"

	def _start(
		self, arguments, cwd, reads: bool, environment, descriptors: Sequence[int]
	) -> subprocess.Popen:
		try:
			return subprocess.Popen(
				list(arguments),
				cwd=cwd,
				env=self.environment(environment),
				stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
				stdout=subprocess.PIPE,
				stderr=subprocess.PIPE,
				start_new_session=True,
				pass_fds=descriptors,
			)
		except OSError as error:
			raise CommandFailed(
				"Starting",
				arguments[0],
				error.strerror or str(error),
				f"install it, or see its rights: command -v {shlex.quote(arguments[0])}",
			) from None

	def _write(self, text: str) -> None:
		if text:
			self.log.write(redact(text if text.endswith("\n") else text + "\n"))


def _decode(output: bytes) -> str:
	return output.decode("utf-8", "surrogateescape")


def _encode(text: str | None) -> bytes | None:
	return None if text is None else text.encode("utf-8", "surrogateescape")


def redact(text: str) -> str:
	"""Without the passwords that programs repeat from addresses: `https://user:token@host`."""
	return _CREDENTIALS.sub(r"\1***@", text)


def _remaining_output(process: subprocess.Popen) -> str:
	"""What an ended program had said. A child in a session of its own may hold the pipes open for ever."""
	try:
		return "".join(map(_decode, process.communicate(timeout=OUTPUT_SECONDS)))
	except subprocess.TimeoutExpired:
		for pipe in (process.stdin, process.stdout, process.stderr):
			if pipe:
				pipe.close()
		return "(its output is held by a process that it left behind)"


def end_group(process: subprocess.Popen) -> None:
	"""End a process that leads its own group, with everything it started in that group."""
	try:
		os.killpg(process.pid, signal.SIGKILL)
	except ProcessLookupError:
		pass
