"""The helper's listening socket.

Invariant: there is one helper per state directory and per socket. A socket file is taken away only when
nobody answers on it, and when we leave only if it is still ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator

from .errors import Conflict, OperationFailed

BACKLOG = 32
LONGEST_PATH = 107
PROBE_SECONDS = 2.0
INSTANCE_LOCK = "helper.lock"


@contextlib.contextmanager
def open_listener(path: str, state_directory: str) -> Iterator[socket.socket]:
	"""Listen on a unix socket at `path` for the time of the block. Raises Conflict, OperationFailed.

	As root, everybody may connect: who may do what is decided by the caller's user id, not by the file's
	mode. Otherwise only the user himself has any business here.
	"""
	if len(os.fsencode(path)) > LONGEST_PATH:
		raise OperationFailed(f"The socket's path {path} is longer than {LONGEST_PATH} bytes; shorten it.")
	with _only_instance(state_directory), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
		try:
			_remove_stale(path)
			listener.bind(path)
			os.chmod(path, 0o666 if os.geteuid() == 0 else 0o600)
			listener.listen(BACKLOG)
			ours = os.lstat(path)
		except OSError as error:
			raise OperationFailed(f"Listening on {path} failed: {error.strerror or error}.") from error
		try:
			yield listener
		finally:
			with contextlib.suppress(OSError):
				if os.path.samestat(ours, os.lstat(path)):
					os.unlink(path)


@contextlib.contextmanager
def _only_instance(state_directory: str) -> Iterator[None]:
	lock = os.path.join(state_directory, INSTANCE_LOCK)
	try:
		os.makedirs(state_directory, mode=0o755, exist_ok=True)
		descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
	except OSError as error:
		raise OperationFailed(f"The helper's state {lock} cannot be opened: {error.strerror}.") from error
	try:
		_lock_at_once(descriptor, state_directory)
		yield
	finally:
		os.close(descriptor)


def _lock_at_once(descriptor: int, state_directory: str) -> None:
	try:
		fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
	except BlockingIOError:
		raise Conflict(f"A helper that keeps its state in {state_directory} runs; stop it first.") from None


def _remove_stale(path: str) -> None:
	try:
		status = os.lstat(path)
	except FileNotFoundError:
		return
	if not stat.S_ISSOCK(status.st_mode):
		raise OperationFailed(f"{path} is there and not a socket; remove it.")
	with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
		probe.settimeout(PROBE_SECONDS)
		try:
			probe.connect(path)
		except ConnectionRefusedError:
			os.unlink(path)
			return
	raise Conflict(f"Another process answers on {path}; stop it first.")
