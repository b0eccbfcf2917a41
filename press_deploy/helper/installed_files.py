"""Writes the files of the installation: whole or not at all, with fixed modes, only where they differ.

Invariant: a file that was written has exactly the content, owner and mode asked for, whatever the umask.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .errors import OperationFailed

LAUNCHER = b'''"""Starts the helper: python3 -I DIRECTORY --config FILE"""

import sys

from press_deploy.helper.__main__ import main

sys.exit(main())
'''
PACKAGE = b'"""Holds the helper alone; the application itself is in the bench."""\n'


def copy_code(code: str) -> bool:
	"""Make `code` a directory that `python3 -I` can run; return whether anything changed.

	The package keeps its name, `press_deploy.helper`, so that both copies are the same to the last byte.
	"""
	source = Path(__file__).resolve().parent
	package = os.path.join(code, "press_deploy", "helper")
	wanted = {os.path.join(package, path.name): _read(path) for path in source.glob("*.py")}
	wanted[os.path.join(code, "press_deploy", "__init__.py")] = PACKAGE
	wanted[os.path.join(code, "__main__.py")] = LAUNCHER
	make_directory(package)
	changed = False
	for stale in Path(code).rglob("*.py"):
		if str(stale) not in wanted:
			stale.unlink()
			changed = True
	for path, content in wanted.items():
		changed |= write(path, content, 0o644)
	return changed


def write(path: str, content: bytes, mode: int) -> bool:
	"""Make a file have this content and mode; return whether it had to be written."""
	try:
		if _matches(path, content, mode):
			return False
		make_directory(os.path.dirname(path))
		new = f"{path}.new"
		with suppress(FileNotFoundError):
			os.unlink(new)
		with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
			os.fchmod(file.fileno(), mode)
			file.write(content)
			file.flush()
			os.fsync(file.fileno())
		os.replace(new, path)
		return True
	except OSError as error:
		raise OperationFailed(f"Writing {path} failed: {error.strerror}.") from error


def make_directory(path: str) -> None:
	"""Create a directory and those above it, each readable by all and writable by us alone."""
	missing = []
	while not os.path.isdir(path):
		missing.append(path)
		path = os.path.dirname(path)
	try:
		for directory in reversed(missing):
			os.mkdir(directory)
			os.chmod(directory, 0o755)
	except OSError as error:
		raise OperationFailed(f"Creating {missing[0]} failed: {error.strerror}.") from error


def _matches(path: str, content: bytes, mode: int) -> bool:
	try:
		status = os.lstat(path)
		same = status.st_uid == os.geteuid() and status.st_mode & 0o7777 == mode and not os.path.islink(path)
		return same and Path(path).read_bytes() == content
	except FileNotFoundError:
		return False


def _read(path: Path) -> bytes:
	# Code is read from the bench user's tree: a link there must not publish a file that only root reads.
	try:
		with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
			return file.read()
	except OSError as error:
		raise OperationFailed(
			f"Copying {path} failed: {error.strerror}. Check that the app's files are complete and no links."
		) from error
