"""The helper's own memory on disk: small JSON files that are replaced as a whole.

Invariant: after a crash a file holds what was last written, never a part of it. Between processes and
threads, whoever reads in order to write does so inside `locked()`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import OperationFailed


class StateDirectory:
	"""A directory of named JSON objects, each with a lock of its own."""

	def __init__(self, path: str):
		self.path = path

	def read(self, name: str) -> dict:
		"""Return the object, or an empty one when it was never written. Raises OperationFailed."""
		path = self._path(name)
		try:
			with open(path, encoding="utf-8") as file:
				content = json.load(file)
		except FileNotFoundError:
			return {}
		except (OSError, ValueError) as error:
			raise OperationFailed(self._explain("read", path, error)) from error
		if not isinstance(content, dict):
			raise OperationFailed(self._explain("read", path, "it does not hold a JSON object"))
		return content

	def write(self, name: str, content: dict) -> None:
		"""Replace the object, durably. Raises OperationFailed."""
		path = self._path(name)
		try:
			os.makedirs(self.path, mode=0o755, exist_ok=True)
			with open(f"{path}.new", "w", encoding="utf-8") as file:
				json.dump(content, file, indent=1, sort_keys=True)
				file.flush()
				os.fsync(file.fileno())
			os.replace(f"{path}.new", path)
			_sync_directory(self.path)
		except OSError as error:
			raise OperationFailed(self._explain("write", path, error)) from error

	@contextmanager
	def locked(self, name: str) -> Iterator[None]:
		"""Keep every other thread and process from changing the object; wait as long as it takes."""
		lock = os.path.join(self.path, f"{name}.lock")
		try:
			os.makedirs(self.path, mode=0o755, exist_ok=True)
			descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
		except OSError as error:
			raise OperationFailed(self._explain("lock", lock, error)) from error
		try:
			fcntl.flock(descriptor, fcntl.LOCK_EX)
			yield
		finally:
			os.close(descriptor)

	def _path(self, name: str) -> str:
		return os.path.join(self.path, f"{name}.json")

	def _explain(self, action: str, path: str, error: object) -> str:
		reason = getattr(error, "strerror", None) or error
		return f"The helper could not {action} its state {path}: {reason}. Correct this, then ask again."


def _sync_directory(path: str) -> None:
	descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
	try:
		os.fsync(descriptor)
	finally:
		os.close(descriptor)
