"""What a dead runner left running is ended before the run goes on: two writers would undo each other.

Processes of a run are known by `programs.RUN_VARIABLE` in their environment, which children inherit.
"""

from __future__ import annotations

import os
import time

import psutil

from press_deploy.engine.bench.programs import RUN_VARIABLE
from press_deploy.engine.ground.errors import StepFailed

LIMIT_SECONDS = 30


def end_processes_of(run: str) -> list[int]:
	"""Kill every process of a run except this one and its ancestors; return the process ids."""
	ended: list[int] = []
	deadline = time.monotonic() + LIMIT_SECONDS
	# Again until there is none: one of them may have started another while it was looked for.
	while victims := _find(run):
		for victim in victims:
			try:
				victim.kill()
			except psutil.NoSuchProcess:
				pass
		_gone, alive = psutil.wait_procs(victims, timeout=max(0.0, deadline - time.monotonic()))
		if alive or time.monotonic() > deadline:
			raise StepFailed(
				"Ending",
				f"processes {[process.pid for process in alive or victims]} that a dead runner left",
				f"they are still there after {LIMIT_SECONDS} s",
				f"end them (sudo kill -9 {' '.join(str(process.pid) for process in alive or victims)}), then resume the run {run}",
			)
		ended += [process.pid for process in victims]
	return ended


def list_ports_of(run: str) -> set[int]:
	"""The TCP ports from which this process and those of a run are connected to something."""
	ports: set[int] = set()
	for process in [psutil.Process(), *_find(run)]:
		# psutil before 6 has another name for it.
		look = getattr(process, "net_connections", None) or process.connections
		try:
			ports |= {each.laddr.port for each in look(kind="tcp") if each.laddr}
		except psutil.Error:
			continue
	return ports


def started_at(pid: int) -> float | None:
	"""When a process started, in epoch seconds with 10 ms resolution; None when there is none.

	`psutil.create_time` adds a boot time rounded to a second, too coarse for “started after the switch”.
	"""
	try:
		with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
			ticks = int(file.read().rpartition(")")[2].split()[19])
	except (OSError, IndexError, ValueError):
		return None
	age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
	return time.time() - age


def _find(run: str) -> list[psutil.Process]:
	own = psutil.Process()
	spared = {own.pid, *(parent.pid for parent in own.parents())}
	found = []
	for process in psutil.process_iter():
		try:
			if process.pid not in spared and process.environ().get(RUN_VARIABLE) == run:
				found.append(process)
		except psutil.Error:
			continue
	return found
