"""Starting and ending the processes of a practice bench.

Invariant: everything that is started carries the practice bench's directory in its environment, and is
found by it, also after its parent was killed. What anybody else started is never touched.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

from press_deploy.demo.places import Places
from press_deploy.engine.bench.programs import RUN_VARIABLE
from press_deploy.engine.journal.run_directory import list_runs

MARK = "PRESS_DEPLOY_PRACTICE_BENCH"
GRACE_SECONDS = 5.0
KILL_SECONDS = 20.0
POLL_SECONDS = 0.05

Result = TypeVar("Result")


def launch(places: Places, command: Sequence[str], log: Path) -> subprocess.Popen:
	"""Start a daemon that outlives this process."""
	inherited = {
		name: value for name, value in os.environ.items() if name not in ("SITES_PATH", RUN_VARIABLE)
	}
	with log.open("ab") as output:
		return subprocess.Popen(
			list(command),
			cwd=places.bench,
			env={**inherited, MARK: str(places.directory)},
			stdin=subprocess.DEVNULL,
			stdout=output,
			stderr=output,
			start_new_session=True,
		)


def find_all(places: Places) -> list[psutil.Process]:
	"""Every living process of a practice bench: its services, and the runs on it with what they started."""
	spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
	runs = {run.name for run in list_runs(places.bench)}
	return [
		process
		for process in psutil.process_iter()
		if process.pid not in spared and _belongs(process, places, runs)
	]


def end_all(places: Places) -> None:
	"""End them as supervisor ends them, and by force what is left after that. Raises `TimeoutError`."""
	found = find_all(places)
	numbers = {process.pid for process in found}
	# Nobody but its parent can take leave of a process: those that have one here are left to it.
	roots = [process for process in found if _parent_of(process) not in numbers]
	for root in roots:
		_signal(root.terminate)
	psutil.wait_procs(roots, timeout=GRACE_SECONDS)
	kill_all(places)


def kill_all(places: Places) -> None:
	"""End them by force, at once. Raises `TimeoutError` when some survive."""

	def kill_what_is_left() -> bool:
		left = find_all(places)
		for process in left:
			_signal(process.kill)
		return not left

	wait_for(kill_what_is_left, KILL_SECONDS, f"the end of the processes of {places.directory}")


def wait_for(look: Callable[[], Result], seconds: float, what: str, every: float = POLL_SECONDS) -> Result:
	"""Look every so many seconds until there is something to see, and return it. Raises `TimeoutError`."""
	deadline = time.monotonic() + seconds
	while not (result := look()):
		if time.monotonic() > deadline:
			raise TimeoutError(f"Waited {seconds:g} s for {what}")
		time.sleep(every)
	return result


def _belongs(process: psutil.Process, places: Places, runs: set[str]) -> bool:
	try:
		environment = process.environ()
		# The helper starts a runner with an environment of its own; its arguments tell the bench.
		is_runner = [*process.cmdline()[-2:]] == ["--bench", str(places.bench)]
	except psutil.Error:
		return False
	return (
		environment.get(MARK) == str(places.directory) or environment.get(RUN_VARIABLE) in runs or is_runner
	)


def _parent_of(process: psutil.Process) -> int | None:
	try:
		return process.ppid()
	except psutil.Error:
		return None


def _signal(send: Callable[[], None]) -> None:
	try:
		send()
	except psutil.NoSuchProcess:
		pass
