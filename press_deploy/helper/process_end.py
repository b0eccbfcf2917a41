"""Waits for the end of one process, by a pidfd, in a thread that can be told to stop.

Invariant: whoever waits holds three descriptors and one thread, and gives all of them back at once when it is
stopped or the process has ended; a process that takes over the number of another is never taken for it.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable


class ProcessEnd:
	"""Calls `on_end()` once when the process has ended, unless it was stopped before."""

	def __init__(self, pid: int, on_end: Callable[[], None]):
		"""Raises ProcessLookupError when it is gone, AttributeError or OSError where there is no pidfd."""
		self._process = os.pidfd_open(pid)
		try:
			self._awake, self._waker = os.pipe()
		except OSError:
			os.close(self._process)
			raise
		self._on_end = on_end
		self._lock = threading.Lock()
		self._is_stopped = False

	def begin(self) -> None:
		threading.Thread(target=self._wait, daemon=True).start()

	def stop(self) -> None:
		"""Wait no longer. Safe to repeat, and after the end."""
		with self._lock:
			if not self._is_stopped:
				self._is_stopped = True
				os.close(self._waker)

	def drop(self) -> None:
		"""Give everything back instead of `begin`."""
		self.stop()
		self._close()

	def _wait(self) -> None:
		try:
			poll = select.poll()
			for descriptor in (self._process, self._awake):
				poll.register(descriptor, select.POLLIN)
			ready = {descriptor for descriptor, _ in poll.poll()}
		finally:
			with self._lock:
				was_stopped = self._is_stopped
			self.drop()
		if self._process in ready and not was_stopped:
			self._on_end()

	def _close(self) -> None:
		os.close(self._process)
		os.close(self._awake)
