"""Is a file one that only root could have written?

Invariant: as root, the helper executes and obeys only what passes `require_root_owned`.
"""

from __future__ import annotations

import os
import stat

from .errors import ConfigurationRefused


def require_root_owned(path: str) -> None:
	"""Refuse `path` unless it and every directory above it are root's and writable by root alone.

	A sticky directory (as /tmp) may be writable: nobody but root can replace root's entries there.
	Both the path as given and where its links lead are checked. Raises ConfigurationRefused.
	"""
	for start in {os.path.abspath(path), os.path.realpath(path)}:
		current = start
		while True:
			_require_one(current)
			if current == os.path.dirname(current):
				break
			current = os.path.dirname(current)


def _require_one(path: str) -> None:
	try:
		status = os.lstat(path)
	except OSError as error:
		raise ConfigurationRefused(f"{path} cannot be examined: {error.strerror}.") from None
	if status.st_uid != 0:
		raise ConfigurationRefused(
			f"{path} belongs to user id {status.st_uid}, so somebody other than root could change what the "
			f"helper does as root. Make it root's: chown root {path}"
		)
	writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(status.st_mode)
	sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
	if writable and not sticky:
		raise ConfigurationRefused(
			f"{path} is writable by others than root, so they could change what the helper does as root. "
			f"Correct it: chmod go-w {path}"
		)
