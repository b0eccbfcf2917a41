"""Whether the programs of a bench stay up: each still runs as the process that it was when it was first seen.

Invariant: a program that died and was started again is told from one that never died by its process, whatever the
state that it is in at the moment of looking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from press_deploy.engine.bench.services import Services


class ProgramWatch:
	"""Looks at the programs again and again. `processes` is {name: process id}, as an earlier watch saw them.

	Those `late` are still at a job of before, and will be restarted after it: they are nobody's concern.
	"""

	def __init__(self, services: Services, late: Iterable[str] = (), processes: dict[str, int] | None = None):
		self._services, self._late = services, frozenset(late)
		self.processes = {name: pid for name, pid in (processes or {}).items() if name not in self._late}

	def look(self) -> tuple[list[str], list[str]]:
		"""The names of those that died and were started again, and of those that don't run, with their state."""
		programs = {
			each["name"]: each for each in self._services.programs() if each["name"] not in self._late
		}
		running = {name: each["pid"] for name, each in programs.items() if _runs(each)}
		restarted = [name for name, pid in self.processes.items() if running.get(name, pid) != pid]
		down = [f"{name} ({each['state']})" for name, each in programs.items() if not _runs(each)]
		down += [f"{name} (gone)" for name in self.processes if name not in programs]
		self.processes = {**running, **self.processes}
		return restarted, down


def _runs(program: dict[str, Any]) -> bool:
	# Supervisor calls a program running once it survived its `startsecs`; before that it is starting.
	return program["state"] == "RUNNING" and program["pid"] is not None
