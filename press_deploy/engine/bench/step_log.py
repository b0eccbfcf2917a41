"""The log of one step: what its programs said, and what the step said itself.

Invariant: writing a log never fails a run; with a full disk the line is lost and the run goes on.
"""

from __future__ import annotations

import threading
from pathlib import Path

from press_deploy.engine.ground.errors import STEP_LOG


class StepLog:
	"""Appends to a file, from any thread; without a path it keeps nothing."""

	def __init__(self, path: Path | None = None):
		self.path, self._lock = path, threading.Lock()
		try:
			self._file = path.open("a", encoding="utf-8", errors="replace", buffering=1) if path else None
		except OSError:
			self._file = None

	@property
	def name(self) -> str:
		"""How an error calls it; without a path whoever knows one puts it there (`DeployError.name_log`)."""
		return str(self.path or STEP_LOG)

	def write(self, text: str) -> None:
		with self._lock:
			try:
				if self._file:
					self._file.write(text)
			except (OSError, ValueError):
				pass

	def close(self) -> None:
		with self._lock:
			try:
				if self._file:
					self._file.close()
			except OSError:
				pass
			self._file = None
