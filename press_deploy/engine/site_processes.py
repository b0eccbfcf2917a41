"""Tasks inside Frappe, each in a short-lived process of its own with fresh code.

Invariant: a result is taken only from a process that ended with 0 and wrote it whole. The request goes
through standard input, so that no argument of it stands in a process list.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import STEP_LOG, CommandFailed, CommandTimedOut, SiteProcessFailed
from press_deploy.engine.programs import Programs


class SiteProcesses:
	"""Starts site processes; their answers pass through `private`, a directory of the bench's user alone."""

	def __init__(self, bench: Bench, private: Path, programs: Programs):
		self._bench, self._private, self._programs = bench, private, programs

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
		answer = self._private / f"{request['task']}-{secrets.token_hex(4)}.json"
		doing = f"Doing {request['task']} on"
		try:
			self._programs.execute(
				[self._bench.python, "-m", self._bench.site_process],
				timeout=timeout,
				doing=doing,
				cwd=sites_directory,
				stdin=json.dumps({**request, "answer": str(answer)}),
			)
		except CommandTimedOut as error:
			raise CommandTimedOut(doing, site, error.why, error.remedy) from None
		except CommandFailed as error:
			raise self._failure(doing, site, answer, error) from None
		try:
			return json.loads(answer.read_text())["value"]
		except (OSError, ValueError, KeyError) as error:
			raise SiteProcessFailed(
				doing, site, f"it ended without a result ({error})", f"see {self._programs.log.name}"
			) from None
		finally:
			answer.unlink(missing_ok=True)

	def _failure(self, doing: str, site: str, answer, error: CommandFailed) -> SiteProcessFailed:
		try:
			said = json.loads(answer.read_text())["error"]
		except (OSError, ValueError, KeyError):
			return SiteProcessFailed(doing, site, error.why, error.remedy)
		finally:
			answer.unlink(missing_ok=True)
		failed = SiteProcessFailed(doing, site, said, f"see {STEP_LOG} for the traceback")
		failed.name_log(self._programs.log.name)
		return failed
