"""What was logged since the switch, in files and in the Error Log of each site.

Invariant: an Error Log that can't be read is unknown, and no error.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.deploy import FormerErrors
from press_deploy.engine.steps.install import Stabilise
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching import logs
from press_deploy.engine.watching.fingerprints import fingerprint
from press_deploy.engine.watching.log_entries import Entry
from press_deploy.engine.watching.watched_logs import WatchedLogs

# This step reads the logs before its tests, and marks them anew behind them.
CRITICAL_TESTS = "critical-tests"


def find_new_errors(
	run: Run, watched_logs: WatchedLogs, databases: Databases
) -> tuple[list[dict[str, Any]], dict[str, str]]:
	"""Errors since the switch as plain data: log files, and new Error Log rows of every site.

	And {site: why} for those whose Error Log can't be read. That is no error: what stands there is unknown.
	"""
	tests, marks = run.state.result(CRITICAL_TESTS), _marks(run)
	settled = run.state.result(Stabilise.name).get("settled", {})
	former = FormerErrors.read(run.state)
	read = logs.excuse_former(watched_logs.read(marks, settled), former)
	findings = [finding.as_data() for finding in read]
	unread = dict(tests.get("unread", {}))
	for site, newest in marks["error_log"].items():
		try:
			rows = _new_error_log(databases, site, newest)
		except DatabaseUnavailable as error:
			unread[site] = str(error)
			continue
		if rows:
			example = f"Error Log of {site}: {rows[0][1]}"
			name = fingerprint(Entry(example))
			findings.append(logs.Finding(name, example, {"Error Log"}, len(rows)).as_data())
	return [*tests.get("findings", []), *findings], unread


def _marks(run: Run) -> dict[str, Any]:
	"""Where to read on from: after the critical tests if there were any, else after the switch."""
	tests = run.state.result(CRITICAL_TESTS)
	return tests if "marks" in tests else run.state.result("mark-logs")


def _new_error_log(databases: Databases, site: str, newest: str | None) -> list[tuple[str, str]]:
	"""(name, title) of its rows after `newest`. Raises `DatabaseUnavailable`."""
	if newest is None:
		raise DatabaseUnavailable("it could not be read at the switch, so that nobody knows what is new")
	return databases.sites[site].error_log_since(newest)
