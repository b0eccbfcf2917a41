"""Reading and atomically changing a Frappe configuration file (site's or common), values and absence.

Invariant: at every instant, even across `kill -9` and power loss, the file is either wholly the old or
wholly the new one; no symbolic link is followed to or beside it; changes made at the same time by
Frappe's own `update_site_config` are not lost, because both hold the same lock.

A value is written as `{"present": True, "value": …}`, its absence as `{"present": False}`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .errors import OperationFailed

MAXIMUM_BYTES = 1024 * 1024
LOCK_SECONDS = 5.0
LOCK_POLL_SECONDS = 0.02
NEW_SUFFIX = ".press_deploy-new"


def site_config_paths(bench_path: str, site: str) -> tuple[str, str]:
	"""Return the path of a site's configuration and of the lock that Frappe takes to change it."""
	directory = os.path.join(bench_path, "sites", site)
	return os.path.join(directory, "site_config.json"), os.path.join(directory, "locks", "site_config.lock")


def common_config_paths(bench_path: str) -> tuple[str, str]:
	"""Return the path of the bench's common configuration and of the lock that Frappe takes to change it."""
	path = os.path.join(bench_path, "sites", "common_site_config.json")
	return path, os.path.join(bench_path, "config", "site_config.lock")


def read_config(path: str) -> dict:
	"""Return the whole configuration. Raises OperationFailed."""
	with _translated("reading", path), _open_directory(path) as directory:
		return _read(path, directory)[0]


def get_value(path: str, key: str) -> dict:
	"""Return `{"present": True, "value": …}` or `{"present": False}`. Raises OperationFailed."""
	return _describe(read_config(path), key)


def set_values(path: str, lock_path: str, values: dict, lock_seconds: float = LOCK_SECONDS) -> dict:
	"""Set and remove keys; return what was there before, in the same shape.

	`values` is `{key: {"present": True, "value": …} | {"present": False}}`. Waits up to `lock_seconds`
	for Frappe's lock. A file that is already as wanted is not rewritten. Raises OperationFailed.
	"""
	with _translated("changing", path), _open_directory(path) as directory, _locked(lock_path, lock_seconds):
		config, status = _read(path, directory)
		previous = {key: _describe(config, key) for key in values}
		changed = {**config, **{key: wanted["value"] for key, wanted in values.items() if wanted["present"]}}
		for key, wanted in values.items():
			if not wanted["present"]:
				changed.pop(key, None)
		content = json.dumps(changed, indent=1, sort_keys=True)
		# Compared as text: to Python 1 == True, to whoever reads the file they differ.
		if content != json.dumps(config, indent=1, sort_keys=True):
			_replace(os.path.basename(path), directory, content.encode(), status)
		return previous


def _describe(config: dict, key: str) -> dict:
	return {"present": True, "value": config[key]} if key in config else {"present": False}


@contextmanager
def _translated(action: str, path: str) -> Iterator[None]:
	"""Turn whatever goes wrong with the file into one error that says what to do."""
	try:
		yield
	except (OSError, ValueError, TypeError, RecursionError) as error:
		reason = getattr(error, "strerror", None) or error
		if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR):
			reason = "the file or its directory is a symbolic link, or no directory; put the real one there"
		raise OperationFailed(f"{action.capitalize()} {path} failed: {reason}") from error


@contextmanager
def _open_directory(path: str) -> Iterator[int]:
	"""Hold the file's directory open, so that everything beneath happens in one and the same place."""
	directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
	try:
		yield directory
	finally:
		os.close(directory)


def _read(path: str, directory: int) -> tuple[dict, os.stat_result]:
	# Without O_NONBLOCK, opening a FIFO put in the file's place would wait for ever.
	flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
	with open(os.open(os.path.basename(path), flags, dir_fd=directory), "rb") as file:
		status = os.fstat(file.fileno())
		if not stat.S_ISREG(status.st_mode):
			raise ValueError("it is not a regular file")
		content = file.read(MAXIMUM_BYTES + 1)
	if len(content) > MAXIMUM_BYTES:
		raise ValueError(f"it has more than {MAXIMUM_BYTES} bytes, which no configuration has")
	config = json.loads(content)
	if not isinstance(config, dict):
		raise ValueError("it does not hold a JSON object; correct the file first")
	return config, status


def _replace(name: str, directory: int, content: bytes, like: os.stat_result) -> None:
	new = f".{name}{NEW_SUFFIX}"
	with suppress(FileNotFoundError):
		# Whoever left this was killed in here: the lock that we hold says that nobody is using it.
		os.unlink(new, dir_fd=directory)
	# Created unreadable to others, because it holds passwords, then given the mode of the old file.
	flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
	try:
		with open(os.open(new, flags, 0o600, dir_fd=directory), "wb") as file:
			_copy_ownership(file.fileno(), like)
			file.write(content)
			file.flush()
			os.fsync(file.fileno())
		os.replace(new, name, src_dir_fd=directory, dst_dir_fd=directory)
	except BaseException:
		with suppress(OSError):
			os.unlink(new, dir_fd=directory)
		raise
	os.fsync(directory)


def _copy_ownership(descriptor: int, like: os.stat_result) -> None:
	own = os.fstat(descriptor)
	if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
		try:
			os.fchown(descriptor, like.st_uid, like.st_gid)
		except PermissionError:
			raise ValueError(
				f"it belongs to user id {like.st_uid}, group id {like.st_gid}, which user id {os.geteuid()} "
				"cannot keep; give it to the bench's user: chown"
			) from None
	os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


@contextmanager
def _locked(lock_path: str, seconds: float) -> Iterator[None]:
	"""Hold the lock that the `filelock` package (hence Frappe) would hold: flock on this very file."""
	descriptor = _acquire(lock_path, time.monotonic() + seconds)
	try:
		yield
	finally:
		os.close(descriptor)


def _acquire(lock_path: str, deadline: float) -> int:
	with suppress(FileExistsError):
		os.mkdir(os.path.dirname(lock_path))
	while True:
		flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
		descriptor = os.open(lock_path, flags, 0o644)
		try:
			fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
			# Some versions of filelock delete the file on release: a lock on a deleted file is none.
			if os.path.exists(lock_path) and os.path.samestat(os.fstat(descriptor), os.lstat(lock_path)):
				return descriptor
		except BlockingIOError:
			pass
		except BaseException:
			os.close(descriptor)
			raise
		os.close(descriptor)
		if time.monotonic() >= deadline:
			raise ValueError(f"another process keeps the lock {lock_path}; find it with: fuser {lock_path}")
		time.sleep(LOCK_POLL_SECONDS)
