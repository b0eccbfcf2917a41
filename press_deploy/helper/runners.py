"""Starting the runners of a bench, as the bench's user.

Invariant: we never have two living children for one run, and no child of ours stays a zombie. (That a
run is executed once is not decided here: the runner takes the bench's lock, and a second one leaves.)
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable

from .bench_user import BenchUser


class Runners:
	"""The runners that this process has started. `on_killed(run, pid)` is told of those that a signal ended."""

	def __init__(self, bench_user: BenchUser, on_killed: Callable[[str, int], None] = lambda run, pid: None):
		self._bench_user = bench_user
		self._on_killed = on_killed
		self._children: dict[str, subprocess.Popen] = {}
		self._lock = threading.Lock()

	def act_as(self, bench_user: BenchUser) -> None:
		"""Start those to come as the configuration says by now."""
		with self._lock:
			self._bench_user = bench_user

	def resume(self, run: str) -> dict:
		"""Start the runner of a run, unless ours is still alive; return `{"pid"}`. Raises HelperError."""
		with self._lock:
			child = self._children.get(run)
			if child is None or child.poll() is not None:
				child = self._bench_user.launch(run)
				self._children[run] = child
				threading.Thread(target=self._await_end, args=(run, child), daemon=True).start()
			return {"pid": child.pid}

	def _await_end(self, run: str, child: subprocess.Popen) -> None:
		child.wait()
		with self._lock:
			if self._children.get(run) is child:
				del self._children[run]
		if child.returncode < 0:
			# One that ends by itself has said why, and would say the same again.
			self._on_killed(run, child.pid)
