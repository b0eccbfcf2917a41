"""A real sshd on a free port of loopback, with keys made for it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from press_deploy.demo.ports import choose_port

from .practice_bench import wait_until

LOOPBACK = "127.0.0.1"
_CONFIGURATION = """
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=/usr/local/bin:/usr/bin:/bin
"""
# The programs that are tested find this client before the real one: it knows the server and nothing else.
_CLIENT = """#!/bin/sh
exec {ssh} -F none -oUserKnownHostsFile={directory}/known_hosts -oGlobalKnownHostsFile=/dev/null \
-oIdentityAgent=none "$@"
"""


@dataclass(frozen=True)
class SshServer:
	"""Where it listens, whom it lets in, and the directory of the client to put first in PATH."""

	port: int
	identity: Path
	known_hosts: Path
	programs: Path

	@property
	def host(self) -> str:
		return f"{getpass.getuser()}@{LOOPBACK}"


@contextmanager
def running_sshd(directory: Path) -> Iterator[SshServer]:
	"""Start sshd for the present user; it ends with the context."""
	sshd = _find("sshd", "openssh-server")
	_find("rsync", "rsync")
	for name in ("host_key", "user_key"):
		subprocess.run(
			[_find("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", directory / name],
			check=True,
		)
	shutil.copyfile(directory / "user_key.pub", directory / "authorized_keys")
	port = choose_port()
	host_key = (directory / "host_key.pub").read_text()
	(directory / "known_hosts").write_text(f"[{LOOPBACK}]:{port} {host_key}")
	(directory / "sshd_config").write_text(_CONFIGURATION.format(port=port, directory=directory))
	_write_client(directory)
	if os.geteuid() == 0:
		Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
	with (directory / "sshd.log").open("wb") as log:
		process = subprocess.Popen([sshd, "-D", "-e", "-f", directory / "sshd_config"], stderr=log)
	try:
		wait_until(lambda: process.poll() is not None or _answers(port), "sshd")
		assert process.poll() is None, (directory / "sshd.log").read_text()
		yield SshServer(port, directory / "user_key", directory / "known_hosts", directory / "bin")
	finally:
		process.terminate()
		process.wait()


def _find(program: str, package: str) -> str:
	found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
	assert found, f"{program} is not installed here: sudo apt-get install {package}"
	return found


def _write_client(directory: Path) -> None:
	client = directory / "bin" / "ssh"
	client.parent.mkdir()
	client.write_text(_CLIENT.format(ssh=_find("ssh", "openssh-client"), directory=directory))
	client.chmod(0o755)


def _answers(port: int) -> bool:
	try:
		with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
			connection.settimeout(5)
			return connection.recv(4) == b"SSH-"
	except OSError:
		return False
