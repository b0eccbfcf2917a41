"""A large file that is written as `.part`: whole under its name, or not there.

Invariant: the name is given when every byte is on the disk, and a part that was not completed is removed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def write_whole(target: Path) -> Iterator[IO[bytes]]:
	"""A private file to write; it replaces `target` at the end of a block that raised nothing.

	What a killed process left is thrown away. Raises `OSError`.
	"""
	part = name_part(target)
	try:
		_remove(part)
		with open(part, "xb", opener=open_private) as file:
			yield file
			file.flush()
			os.fsync(file.fileno())
		os.replace(part, target)
		durable.sync_directory(target.parent)
	finally:
		_remove(part)


def name_part(target: Path) -> Path:
	return target.with_name(f"{target.name}.part")


def translate_write_error(error: OSError, doing: str, what: str, file: Path) -> StepFailed:
	"""The error for a `file` that can't be written: the disk is full, or else what the system says."""
	full = error.errno in _FULL
	why = f"{file} can't be written: {'the disk is full' if full else error.strerror or error}"
	remedy = f"free space for {file.parent}" if full else f"see the rights and the disk of {file.parent}"
	return StepFailed(doing, what, why, remedy)


def open_private(path: str, flags: int) -> int:
	"""An opener for `open`: only the owner may read what is created."""
	return os.open(path, flags, 0o600)


def _remove(part: Path) -> None:
	try:
		part.unlink(missing_ok=True)
	except OSError:
		# A disk that fails has said so already; the next attempt begins with removing it.
		pass
