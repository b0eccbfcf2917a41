"""Rung 5: a site is started on its standby database, in private, and answers.

Invariant: the standby is reached by a user of its own, which can see nothing else and is gone with the test;
nothing of the bench's own configuration changes, nor of the site's user. What a killed test left is removed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.preview import BOOT, LOG, open_preview, read_lines
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.ground.errors import STEP_LOG, StepFailed

PATHS = ("/api/method/ping", "/login")
ANSWER_SECONDS, CONSOLE_SECONDS = 60, 300


class Booting:
	"""Starts the sites of one run, whose directory is `run`."""

	def __init__(self, bench: Bench, run: Path, programs: Programs, web: Web, site_processes: SiteProcesses):
		self._bench, self._run, self._programs, self._web = bench, run, programs, web
		self._site_processes = site_processes

	def boot(self, site: str, standby: StandbyDatabase | None, code: str) -> dict[str, Any]:
		"""Start the site on its standby database and ask it; then execute `code` there, if any.

		Returns {"answers", "console"}. Raises `StepFailed`.
		"""
		directory = self._run / BOOT
		_remove_leftovers(self._run.parent)
		if standby is None:
			raise StepFailed(
				"Starting",
				f"{site} on its standby database",
				"it has none, because the database's administrator is not known",
				f"name the administrator ({WHERE_NAMED}), or require rung 4 only in the plan",
			)
		with (
			standby.let_in(self._bench.read_config(site)) as login,
			open_preview(self._bench, [site], directory, self._programs, self._web, login) as address,
		):
			answers = {path: self._ask(site, path, address, directory / LOG) for path in PATHS}
			return {"answers": answers, "console": self._check_console(site, code, directory / "sites")}

	def _ask(self, site: str, path: str, address: str, log: Path) -> int:
		answer = self._web.ask(site, path, address=address, timeout=ANSWER_SECONDS)
		if answer.kind != GOOD:
			raise StepFailed(
				"Starting",
				f"{site} on its standby database",
				": ".join([f"{path} answers {answer.status or answer.kind}", *_find_error(log)]),
				f"see {STEP_LOG}; the backup restores, but what it restores does not serve",
			)
		return answer.status

	def _check_console(self, site: str, code: str, sites: Path) -> str:
		if not code:
			return "the plan names none"
		found = self._site_processes.call(
			"console",
			site,
			timeout=CONSOLE_SECONDS,
			sites_directory=sites,
			code=code,
			timeout_seconds=CONSOLE_SECONDS,
		)
		if not found["passed"]:
			raise StepFailed(
				"Checking",
				f"{site} on its standby database",
				found["error"],
				f"see the plan's boot check, and {STEP_LOG}",
			)
		return "passed"


def _remove_leftovers(runs: Path) -> None:
	"""Remove what killed tests left in any run of this bench: configurations with the password of their user.

	No other test is under way: a bench has one run at a time.
	"""
	for left in runs.glob(f"*/{BOOT}"):
		shutil.rmtree(left, ignore_errors=True)


def _find_error(log: Path) -> list[str]:
	"""The last line of the last traceback in the instance's log, where there is one."""
	lines = read_lines(log)
	if not any(line.startswith("Traceback ") for line in lines):
		return []
	# Gunicorn's own lines begin with a bracket.
	return [line for line in lines if line.strip() and line[0] not in "[ "][-1:]
