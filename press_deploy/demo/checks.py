"""Critical tests and console checks of the practice bench.

Invariant: a console check works on a copy of the database in memory, so that nothing of it stays.
"""

from __future__ import annotations

import io
import signal
import sqlite3
import time
import unittest
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from typing import Any

from press_deploy.demo import framework

OUTPUT_LIMIT = 10_000


class OutOfTime(BaseException):
	"""The check took too long. No `Exception`, so that its own `except Exception` doesn't swallow it."""


def check_tests(
	site: str, app: str | None = None, module: str | None = None, doctype: str | None = None
) -> dict[str, Any]:
	"""Say why these tests can't be run; None when they can."""
	return {"problem": _collect(app, module, doctype)[1]}


def run_tests(
	site: str,
	app: str | None = None,
	module: str | None = None,
	doctype: str | None = None,
	failfast: bool = False,
	production: bool = False,
) -> dict[str, Any]:
	"""Run unit tests. They touch no record, so that nothing can be left behind."""
	begun = time.monotonic()
	suite, problem = _collect(app, module, doctype)
	result = unittest.TestResult()
	result.failfast = failfast
	suite.run(result)
	if problem is None and not result.testsRun:
		problem = "no test was found"
	return {
		"ran": result.testsRun - len(result.skipped),
		"skipped": len(result.skipped),
		"failures": _describe(result.failures),
		"errors": _describe(result.errors),
		"seconds": round(time.monotonic() - begun, 3),
		"problem": problem,
		"left_behind": {
			**{"users_enabled": [], "users_created": [], "system_managers": []},
			**{"roles_granted": [], "rows": {}},
		},
		"users_disabled": [],
	}


def console(site: str, code: str, timeout_seconds: float = 60) -> dict[str, Any]:
	"""Execute Python with `database`, an SQLite connection, in scope."""
	output, error = io.StringIO(), None
	with framework.connect(site) as live, closing(sqlite3.connect(":memory:")) as copy:
		live.backup(copy)
		try:
			framework.import_app("shop")
			with redirect_stdout(output), _time_limit(timeout_seconds):
				exec(
					compile(code, "<console check>", "exec"), {"__name__": "console_check", "database": copy}
				)
		except OutOfTime:
			error = f"not finished after {timeout_seconds:g} s"
		except (Exception, SystemExit) as raised:
			error = f"{type(raised).__name__}: {raised}".rstrip(": ")
	return {"passed": error is None, "error": error, "output": output.getvalue()[-OUTPUT_LIMIT:]}


def _collect(
	app: str | None, module: str | None, doctype: str | None
) -> tuple[unittest.TestSuite, str | None]:
	"""The tests, and why there are none."""
	loader = unittest.TestLoader()
	if doctype:
		return loader.suiteClass(), "the practice bench has no DocTypes; name an app or a module"
	try:
		framework.import_app(module or f"{app}.tests")
		if module:
			return loader.loadTestsFromName(module), None
		top = str(framework.bench_directory() / "apps" / str(app))
		return loader.discover(f"{app}.tests", top_level_dir=top), None
	except Exception as error:
		return loader.suiteClass(), f"{module or app} can't be imported: {type(error).__name__}: {error}"


def _describe(problems: list[tuple[unittest.TestCase, str]]) -> list[dict[str, str]]:
	return [{"test": str(test), "message": message} for test, message in problems]


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
	def stop(_signal: int, _frame: object) -> None:
		raise OutOfTime

	previous = signal.signal(signal.SIGALRM, stop)
	signal.setitimer(signal.ITIMER_REAL, seconds)
	try:
		yield
	finally:
		signal.setitimer(signal.ITIMER_REAL, 0)
		signal.signal(signal.SIGALRM, previous)
