"""A private MariaDB server in a directory of its own: no rights are needed, nobody else can reach it.

It proves a dump where no administrator's rights are to be had, and it reads a physical backup.

Invariant: it listens on a socket in its directory alone, and it ends with the `with` block.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.waiting import wait_until

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.05
# The path of a unix socket may be no longer.
SOCKET_PATH_LIMIT = 100


def find_server_program() -> str | None:
	"""The server's program on this machine; None where there is only a client, or nothing."""
	path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
	return shutil.which("mariadbd", path=path)


@contextmanager
def run_scratch_server(
	directory: Path, *options: str, environment: dict[str, str] | None = None
) -> Iterator[Server]:
	"""Serve the data directory `directory/data`, made when it isn't there; yields its administrator.

	`options` are added to the server's arguments. Raises `StepFailed`.
	"""
	scratch = start_scratch_server(directory, *options, environment=environment)
	try:
		yield scratch.server
	finally:
		scratch.stop()


class ScratchServer:
	"""A server that was started: its process, and how to ask it."""

	def __init__(self, process: subprocess.Popen, server: Server):
		self.process, self.server = process, server

	def stop(self) -> None:
		"""End it in order; a server that won't is killed."""
		if self.process.poll() is None:
			self.process.terminate()
			try:
				self.process.wait(STOP_SECONDS)
			except subprocess.TimeoutExpired:
				self.kill()

	def kill(self) -> None:
		"""End it as a crash would."""
		self.process.send_signal(signal.SIGKILL)
		self.process.wait()


def start_scratch_server(
	directory: Path, *options: str, environment: dict[str, str] | None = None
) -> ScratchServer:
	"""Start it and wait until it answers; started again on the same directory it goes on with its data."""
	program = find_server_program()
	if program is None:
		raise StepFailed(
			"Starting",
			"a private MariaDB",
			"mariadbd was not found",
			"install it: apt install mariadb-server",
		)
	data, log = directory / "data", directory / "server.log"
	socket, temporary = directory / "s", directory / "tmp"
	if len(str(socket)) > SOCKET_PATH_LIMIT:
		raise StepFailed(
			"Starting",
			"a private MariaDB",
			f"{socket} is too long for a socket",
			"use a bench with a shorter path, or a shorter TMPDIR",
		)
	temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
	# Servers that share a directory for temporary tables remove those of each other.
	environment = {**(os.environ if environment is None else environment), "TMPDIR": str(temporary)}
	if not (data / "mysql").is_dir():
		_install(data, environment)
	command = [
		*(program, "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking"),
		*(f"--pid-file={directory}/pid", f"--user={getpass.getuser()}", f"--tmpdir={temporary}"),
		*("--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci", *options),
	]
	with log.open("ab") as output:
		process = subprocess.Popen(
			command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
			start_new_session=True,
		)  # fmt: skip
	scratch = ScratchServer(process, Server(user=getpass.getuser(), socket=str(socket)))
	_wait_until_it_answers(scratch, log)
	return scratch


def _install(data: Path, environment: dict[str, str] | None) -> None:
	part = data.with_name("data.part")
	shutil.rmtree(part, ignore_errors=True)
	user = getpass.getuser()
	command = [
		*("mariadb-install-db", "--no-defaults", f"--datadir={part}", f"--user={user}", "--skip-test-db"),
		*(
			"--auth-root-authentication-method=socket",
			f"--auth-root-socket-user={user}",
			"--skip-name-resolve",
		),
	]
	done = subprocess.run(command, capture_output=True, text=True, env=environment)
	if done.returncode:
		said = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
		last = " | ".join(said[:3]) or f"exit status {done.returncode}"
		raise StepFailed(
			"Making",
			"a private MariaDB",
			last,
			"see whether mariadb-server is installed whole: mariadb-install-db --version",
		)
	part.replace(data)


def _wait_until_it_answers(scratch: ScratchServer, log: Path) -> None:
	def answers() -> bool:
		try:
			scratch.server.connect().close()
		except (pymysql.Error, OSError):
			return False
		return True

	def is_over(answered: bool) -> bool:
		return answered or scratch.process.poll() is not None

	if wait_until(answers, START_SECONDS, is_over, poll_seconds=POLL_SECONDS):
		return
	scratch.stop()
	last = " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
	raise StepFailed("Starting", "a private MariaDB", last or "it did not answer", f"see {log}")
