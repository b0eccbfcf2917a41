"""Critical tests, in-process by Frappe's own runner, counted from its result objects and never from text.

Invariant: what did not run has not passed. Zero tests, a missing module and a runner that ends the
process are all a `problem`.
"""

from __future__ import annotations

import sys
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import frappe

from press_deploy.site.critical_test_settings import settings_kept
from press_deploy.site.critical_test_targets import check_one_target, check_tests
from press_deploy.site.leftovers import compare, disable_new_users, take_snapshot

MESSAGE_LIMIT = 4000


@dataclass
class Recording:
	"""What unittest reported, in every suite that Frappe's runner made of the target."""

	results: list[unittest.TestResult] = field(default_factory=list)
	started: set[str] = field(default_factory=set)
	stopped_by: str | None = None

	@property
	def skipped(self) -> set[str]:
		return {test.id() for result in self.results for test, _reason in result.skipped}

	def collect(self, kind: str) -> list[dict[str, str]]:
		found = [each for result in self.results for each in getattr(result, kind)]
		return [{"test": test.id(), "message": message[-MESSAGE_LIMIT:]} for test, message in found]

	@property
	def problem(self) -> str | None:
		if self.stopped_by:
			return self.stopped_by
		return None if self.started - self.skipped else "no test ran"


def run_tests(
	app: str | None = None,
	module: str | None = None,
	doctype: str | None = None,
	failfast: bool = False,
	production: bool = False,
) -> dict:
	"""Run one target's tests on this site; `production`: disable at once the users that they enable.

	Returns {"ran", "skipped", "failures", "errors" (lists of {"test", "message"}), "seconds", "problem",
	"left_behind" (see `leftovers.compare`), "users_disabled"}. `ran` counts tests that were executed.
	"""
	check_one_target(app, module, doctype)
	started, recording = time.monotonic(), Recording()
	before = take_snapshot()
	recording.stopped_by = check_tests(app, module, doctype)["problem"]
	if not recording.stopped_by:
		with settings_kept(), _streams_kept():
			_run(recording, {"app": app, "module": module, "doctype": doctype, "failfast": failfast})
	frappe.db.rollback()
	after = take_snapshot()
	found = compare(before, after)
	return {
		"ran": len(recording.started - recording.skipped),
		"skipped": len(recording.skipped),
		"failures": recording.collect("failures") + _unexpected_successes(recording),
		"errors": recording.collect("errors"),
		"seconds": round(time.monotonic() - started, 3),
		"problem": recording.problem,
		"left_behind": found,
		"users_disabled": disable_new_users(found, after) if production else [],
	}


def _run(recording: Recording, target: dict) -> None:
	frappe.db.commit()
	try:
		with _recorded(recording):
			_find_runner()(site=frappe.local.site, **target)
	except BaseException as error:
		# The runner ends the process to say that tests failed; the results say so already.
		if not (
			isinstance(error, SystemExit) and any(not result.wasSuccessful() for result in recording.results)
		):
			recording.stopped_by = f"the tests were stopped by {type(error).__name__}: {error}"
	finally:
		frappe.flags.in_test = False
		frappe.db.rollback()
		frappe.set_user("Administrator")


def _find_runner() -> Callable:
	try:
		from frappe.commands.testing import main  # Frappe 16
	except ImportError:
		from frappe.test_runner import main  # Frappe 15
	return main


@contextmanager
def _recorded(recording: Recording) -> Iterator[None]:
	"""Both versions run through `unittest.TextTestRunner`; keep each result object it makes."""
	make_result = unittest.TextTestRunner._makeResult

	def make_and_keep(runner: unittest.TextTestRunner) -> unittest.TestResult:
		result = make_result(runner)
		start = result.startTest

		def start_and_note(test: unittest.TestCase) -> None:
			recording.started.add(test.id())
			start(test)

		result.startTest = start_and_note
		recording.results.append(result)
		return result

	with mock.patch.object(unittest.TextTestRunner, "_makeResult", make_and_keep):
		yield


@contextmanager
def _streams_kept() -> Iterator[None]:
	# Frappe 16 captures the streams of each test, and does not always put them back.
	streams = sys.stdout, sys.stderr
	try:
		yield
	finally:
		sys.stdout, sys.stderr = streams


def _unexpected_successes(recording: Recording) -> list[dict[str, str]]:
	tests = [test for result in recording.results for test in result.unexpectedSuccesses]
	return [
		{"test": test.id(), "message": "it passed, but it is marked as expected to fail"} for test in tests
	]
