"""A directory of an SSH host as safe place: rsync brings files there, sha256sum reads them again there.

Invariant: the remote shell is given constant scripts; names reach them only as quoted arguments. Nothing is
asked of a person: an unknown host key or a wrong key is an error.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Sequence
from typing import Any

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.errors import CommandFailed, DeployError, StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import show_size
from press_deploy.engine.ground.remedies import see_disk
from press_deploy.engine.plan.safe_places import SshPlace
from press_deploy.engine.safe_places.base import (
	CHECK_NAME,
	PROBE_TEXT,
	Progress,
	SafePlace,
	StoredFile,
	altered_source,
	check_names,
	differing_copy,
	evidence,
	lost_copy,
)
from press_deploy.engine.safe_places.ssh_errors import translate

ANSWER_SECONDS = 60
# Bytes per second of the slowest that is waited for; a transfer that stands still is ended after a minute.
SLOWEST_TRANSFER = 100_000
SLOWEST_DISK = 5_000_000
STALLED_SECONDS = 60
PARTIAL_DIRECTORY = ".press_deploy-partial"
BLOCK_BYTES = 1024
SSH_PORT = 22

# $1 is the place, which is never created: what should be mounted there may be missing. $2 is below it.
_MAKE = 'cd -- "$1" && umask 077 && mkdir -p -- "$2"'
_FREE = 'cd -- "$1" && df -P -k . | tail -n 1'
_TRY = (
	'cd -- "$1" && umask 077 && cat >"$2" && cat -- "$2" && rm -- "$2" || exit 1; '
	"for name in rsync sha256sum sync; do "
	'command -v "$name" >/dev/null || { echo "$name: not found" >&2; exit 1; }; done'
)
_HASH = (
	'cd -- "$1" || exit 1; [ -d "$2" ] || exit 0; cd -- "$2" || exit 1; shift 2; '
	'for name do [ ! -f "$name" ] || { sync -- "$name" && sha256sum -- "$name"; } || exit 1; done'
)


class SshSafePlace(SafePlace):
	"""Files below a directory of another host, with modes for their owner alone."""

	def __init__(self, spec: SshPlace, programs: Programs):
		self._spec, self._programs = spec, programs

	def describe(self) -> str:
		port = f", port {self._spec.port}" if self._spec.port != SSH_PORT else ""
		return f"{self._spec.host}:{self._spec.path}{port}"

	def check(self, needed_bytes: int = 0) -> list[Check]:
		try:
			self._try()
			free = self._free_bytes()
		except DeployError as error:
			return [fail(CHECK_NAME, f"{self.describe()}: {error.why}", error.remedy)]
		found = f"{self.describe()}: written, read and deleted a probe, {show_size(free)} free"
		if free < needed_bytes:
			return [fail(CHECK_NAME, f"{found}, {show_size(needed_bytes)} are needed", "free space there")]
		return [ok(CHECK_NAME, found)]

	def store(
		self, files: Sequence[StoredFile], below: str, progress: Progress | None = None
	) -> list[dict[str, Any]]:
		check_names(files, below)
		report = progress or (lambda _bytes: None)
		self._ask("Making", self._location(below), _MAKE, below)
		there, done = self._hashes(files, below), 0
		missing = [file for file in files if there.get(file.name) != file.sha256]
		for file in files:
			if file in missing:
				self._send(file, self._location(f"{below}/{file.name}"))
			done += file.size
			report(done)
		self._read_again(missing, below)
		return [
			evidence(file, self._location(f"{below}/{file.name}"), sent=file in missing) for file in files
		]

	def holds(self, files: Sequence[StoredFile], below: str) -> Observation:
		check_names(files, below)
		there = self._hashes(files, below)
		for file in files:
			location = self._location(f"{below}/{file.name}")
			if file.name not in there:
				return Observation(False, f"{location} is not there")
			if there[file.name] != file.sha256:
				return Observation(False, f"{location} has another content")
		return Observation(bool(files), f"{len(files)} file(s) in {self._location(below)}, SHA-256 compared")

	def _location(self, below: str) -> str:
		return f"{self._spec.host}:{self._spec.path}/{below}"

	def _try(self) -> None:
		probe, text = f".press_deploy-probe-{uuid.uuid4().hex}", PROBE_TEXT.decode()
		if self._ask("Trying", self.describe(), _TRY, probe, stdin=text) != text:
			raise differing_copy(self.describe())

	def _free_bytes(self) -> int:
		"""What df says of the place: `filesystem size used free …` in blocks of 1024 bytes."""
		answer = self._ask("Trying", self.describe(), _FREE).split()
		if len(answer) < 4 or not answer[3].isdigit():
			raise StepFailed("Trying", self.describe(), "its free space can't be read", "see `df -Pk` there")
		return int(answer[3]) * BLOCK_BYTES

	def _hashes(self, files: Sequence[StoredFile], below: str) -> dict[str, str]:
		"""SHA-256 by name, of those files that are there."""
		names = [file.name for file in files]
		timeout = ANSWER_SECONDS + sum(file.size for file in files) / SLOWEST_DISK
		answer = self._ask("Reading again", self._location(below), _HASH, below, *names, timeout=timeout)
		pairs = (line.partition("  ") for line in answer.splitlines())
		return {name: digest for digest, _, name in pairs}

	def _read_again(self, files: Sequence[StoredFile], below: str) -> None:
		there = self._hashes(files, below) if files else {}
		for file in files:
			location = self._location(f"{below}/{file.name}")
			if file.name not in there:
				raise lost_copy(location)
			if there[file.name] != file.sha256:
				raise differing_copy(location)

	def _send(self, file: StoredFile, location: str) -> None:
		try:
			is_unchanged = hash_file(file.path) == file.sha256
		except OSError as error:
			raise StepFailed(
				"Reading",
				str(file.path),
				error.strerror or str(error),
				see_disk(file.path),
			) from error
		if not is_unchanged:
			raise altered_source(file)
		timeout = ANSWER_SECONDS + file.size / SLOWEST_TRANSFER
		self._execute("Sending", location, send_command(self._spec, file, location), timeout)

	def _ask(
		self,
		doing: str,
		what: str,
		script: str,
		*names: str,
		stdin: str | None = None,
		timeout: float = ANSWER_SECONDS,
	) -> str:
		return self._execute(doing, what, script_command(self._spec, script, *names), timeout, stdin)

	def _execute(
		self, doing: str, what: str, command: list[str], timeout: float, stdin: str | None = None
	) -> str:
		try:
			return self._programs.execute(command, timeout=timeout, doing=doing, stdin=stdin)
		except CommandFailed as error:
			raise translate(doing, what, error) from error


def ssh_command(spec: SshPlace) -> list[str]:
	"""The client, without the host: it asks nothing, trusts no new host key and notices a dead connection."""
	identity = ["-i", spec.identity_file, "-oIdentitiesOnly=yes"] if spec.identity_file else []
	return [
		"ssh",
		"-oBatchMode=yes",
		"-oStrictHostKeyChecking=yes",
		"-oConnectTimeout=15",
		"-oServerAliveInterval=15",
		"-oServerAliveCountMax=4",
		"-p",
		str(spec.port),
		*identity,
	]


def script_command(spec: SshPlace, script: str, *names: str) -> list[str]:
	"""A constant script there; the path of the place is its $1, the names follow.

	ssh joins its arguments with spaces for the remote shell, so each of them is quoted for it.
	"""
	return [*ssh_command(spec), "--", spec.host, shlex.join(["sh", "-c", script, "sh", spec.path, *names])]


def send_command(spec: SshPlace, file: StoredFile, location: str) -> list[str]:
	"""One file by rsync, which goes on where an interrupted one stopped.

	rsync splits the value of --rsh at spaces and hands it to no shell; no part of it holds one.
	"""
	return [
		"rsync",
		"--protect-args",
		"--ignore-times",
		"--perms",
		"--chmod=F600",
		f"--partial-dir={PARTIAL_DIRECTORY}",
		f"--timeout={STALLED_SECONDS}",
		f"--rsh={' '.join(ssh_command(spec))}",
		"--",
		str(file.path),
		location,
	]
