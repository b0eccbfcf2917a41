"""Tasks inside Frappe, each in a short-lived process of its own with fresh code.

Invariant: a result is taken only from a process that ended with 0 and wrote it whole. The request goes
through standard input, so that no argument of it stands in a process list; the answer comes through memory, so
that a full disk keeps no task from answering, and no secret in an answer ever lies in a file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_answer import open_answer, read_answer
from press_deploy.engine.ground.errors import STEP_LOG, CommandFailed, CommandTimedOut, SiteProcessFailed


class SiteProcesses:
	"""Starts site processes and takes their answers."""

	def __init__(self, bench: Bench, programs: Programs):
		self._bench, self._programs = bench, programs

	def call(
		self, task: str, site: str, *, timeout: float, sites_directory: Path | None = None, **arguments: Any
	) -> Any:
		"""Do one task on one site and return its value. Raises `SiteProcessFailed`, `CommandTimedOut`.

		`task` is a name in the table of `press_deploy.site.tasks`; `timeout` in seconds. `sites_directory` is
		another one than the bench's where the site is to be seen with another configuration.
		"""
		request = {"task": task, "site": site, "arguments": arguments}
		return self._call(request, site, timeout, sites_directory or self._bench.sites_directory)

	def call_each(self, task: str, sites: list[str], *, timeout: float, **arguments: Any) -> dict[str, Any]:
		"""Do one task on several sites, one after the other in one process, and return {site: value}."""
		request = {"task": task, "sites": sites, "arguments": arguments}
		return self._call(request, ", ".join(sites), timeout, self._bench.sites_directory)

	def _call(self, request: dict[str, Any], site: str, timeout: float, sites_directory: Path) -> Any:
		with open_answer(request["task"]) as answer:
			return self._take_answer(request, answer, site, timeout, sites_directory)

	def _take_answer(
		self, request: dict[str, Any], answer: BinaryIO, site: str, timeout: float, sites_directory: Path
	) -> Any:
		doing = f"Doing {request['task']} on"
		try:
			self._programs.execute(
				[self._bench.python, "-m", self._bench.site_process],
				timeout=timeout,
				doing=doing,
				cwd=sites_directory,
				stdin=json.dumps({**request, "answer": answer.fileno()}),
				descriptors=(answer.fileno(),),
			)
		except CommandTimedOut as error:
			raise CommandTimedOut(doing, site, error.why, error.remedy) from None
		except CommandFailed as error:
			raise self._failure(doing, site, answer, error) from None
		try:
			return read_answer(answer)["value"]
		except (ValueError, KeyError) as error:
			raise SiteProcessFailed(
				doing, site, f"it ended without a result ({error})", f"see {self._programs.log.name}"
			) from None

	def _failure(self, doing: str, site: str, answer: BinaryIO, error: CommandFailed) -> SiteProcessFailed:
		try:
			said = read_answer(answer)["error"]
		except (ValueError, KeyError):
			return SiteProcessFailed(doing, site, error.why, error.remedy)
		failed = SiteProcessFailed(doing, site, said, f"see {STEP_LOG} for the traceback")
		failed.name_log(self._programs.log.name)
		return failed
