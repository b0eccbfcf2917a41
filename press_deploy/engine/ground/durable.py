"""Files that are whole or absent, and on the disk when the call returns."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
	write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
	"""Replace `path` by `content` in one step: a reader sees the old file or the new one, never a part."""
	descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
	try:
		with os.fdopen(descriptor, "wb") as file:
			file.write(content)
			file.flush()
			os.fchmod(file.fileno(), mode)
			os.fsync(file.fileno())
		os.replace(temporary, path)
	except BaseException:
		Path(temporary).unlink(missing_ok=True)
		raise
	sync_directory(path.parent)


def write_json(path: Path, data: Any, mode: int = 0o600) -> None:
	write_text(path, json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n", mode)


def copy(source: Path, target: Path) -> None:
	"""Copy a file's content, and return when it is on the disk. Directories on the way are made."""
	target.parent.mkdir(parents=True, exist_ok=True)
	with source.open("rb") as content, target.open("wb") as output:
		shutil.copyfileobj(content, output, CHUNK_BYTES)
		output.flush()
		os.fsync(output.fileno())


def sync_directory(path: Path) -> None:
	"""Make a new or renamed entry of a directory survive a power cut."""
	descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
	try:
		os.fsync(descriptor)
	finally:
		os.close(descriptor)
