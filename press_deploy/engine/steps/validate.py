"""Validate: critical tests, smoke tests and logs, then the verdict that may open the sites."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.preview import PREVIEW, open_preview
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.plan.spec import ConsoleCheck, CriticalTest
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.decision import decide
from press_deploy.engine.steps.deploy import mark_logs
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.http_checks import PING, check_http, http_checks
from press_deploy.engine.steps.living_programs import judge_programs
from press_deploy.engine.steps.new_errors import CRITICAL_TESTS, find_new_errors
from press_deploy.engine.steps.removals import Removals
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition
from press_deploy.engine.verdict.judge import judge_log_errors, judge_unread
from press_deploy.engine.watching.watched_logs import WatchedLogs

GRACE_SECONDS = 30


@dataclass(eq=False)
class CriticalTests(Step):
	"""Run the plan's critical tests; the verdict says what follows from their outcome."""

	site_processes: SiteProcesses
	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = CRITICAL_TESTS, "Critical tests", Phase.VALIDATE
	undone_by = ("undo-critical-tests",)
	undo_is_observable = False

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.critical_tests else "the plan has none"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		# Tests provoke errors on purpose: what they write to the logs is not the release's.
		findings, unread = find_new_errors(run, self.watched_logs, self.databases)
		conditions = [self._run(run, test) for test in run.spec.critical_tests]
		passed = sum(condition.holds is True for condition in conditions)
		return {
			**mark_logs(run, self.watched_logs, self.databases),
			"findings": findings,
			"unread": unread,
			"conditions": [condition.as_data() for condition in conditions],
			"found": f"{passed} of {len(conditions)} as expected on {run.spec.test_site}",
		}

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		"""Put back what killed tests left switched on: `allow_tests`, and the scheduler off."""
		self.site_processes.call("repair_tests", run.spec.test_site, timeout=GRACE_SECONDS)

	def _run(self, run: Run, test: CriticalTest) -> Condition:
		name, wanted = f"Critical tests: {test.target}", _wanted(test)
		try:
			outcome = self.site_processes.call(
				"run_tests",
				run.spec.test_site,
				timeout=test.timeout_seconds + GRACE_SECONDS,
				app=test.app,
				module=test.module,
				doctype=test.doctype,
				failfast=test.failfast,
				production=run.spec.tests_run_on_production,
			)
		except DeployError as error:
			# Tests that hang or can't run have not passed.
			run.log(str(error))
			why = f"{error.told} (log: {run.directory.step_log(self.name)})"
			return Condition(name, False, "not run to the end", wanted, why, "critical_tests")
		self._report_leftovers(run, test, outcome)
		return _judge_tests(name, test, outcome, run.spec.tests_run_on_production)

	def _report_leftovers(self, run: Run, test: CriticalTest, outcome: dict[str, Any]) -> None:
		left = {key: value for key, value in outcome["left_behind"].items() if value}
		if left:
			run.note(
				f"Critical tests of {test.target} left behind on {run.spec.test_site}: {json.dumps(left)}"
			)
		if outcome["users_disabled"]:
			run.note(f"Disabled at once, the tests had enabled them: {', '.join(outcome['users_disabled'])}")


@dataclass(eq=False)
class SmokeTests(Step):
	"""Ask the new release through the preview instance, while the public sees maintenance."""

	doors: Doors
	site_processes: SiteProcesses

	name, title, phase = "smoke-tests", "Smoke tests", Phase.VALIDATE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		directory = run.directory.path / PREVIEW
		sites = run.spec.site_names
		with open_preview(run.bench, sites, directory, run.programs, self.doors.web) as address:
			conditions = [
				condition
				for site in sites
				for condition in (
					check_http(self.doors.web, site, PING, address),
					*(check_http(self.doors.web, site, test, address) for test in http_checks(run)),
				)
			]
		for site in sites:
			conditions += [self._check_console(run, site, test) for test in _console_checks(run)]
		held = sum(condition.holds is True for condition in conditions)
		return {
			"conditions": [condition.as_data() for condition in conditions],
			"found": f"{held} of {len(conditions)} in order, through the preview instance",
		}

	def _check_console(self, run: Run, site: str, test: ConsoleCheck) -> Condition:
		name, wanted = f"{test.name} ({site})", "runs without an error; rolled back"
		try:
			outcome = self.site_processes.call(
				"console",
				site,
				timeout=test.timeout_seconds + GRACE_SECONDS,
				code=test.code,
				timeout_seconds=test.timeout_seconds,
			)
		except DeployError as error:
			why = f"{error.told} (log: {run.directory.step_log(self.name)})"
			return Condition(name, False, "not run to the end", wanted, why, "critical_tests")
		run.log(outcome["output"])
		value = "passed" if outcome["passed"] else "failed"
		return Condition(
			name, bool(outcome["passed"]), value, wanted, outcome["error"] or "", "critical_tests"
		)


@dataclass(eq=False)
class LogCheck(Step):
	"""Look for errors written since the switch, in log files and in the Error Log."""

	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = "log-check", "Log check", Phase.VALIDATE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		findings, unread = find_new_errors(run, self.watched_logs, self.databases)
		condition = judge_log_errors(findings, run.spec.thresholds)
		unknown = f"; not known: the Error Log of {', '.join(unread)}" if unread else ""
		return {
			"conditions": [each.as_data() for each in (condition, *judge_unread(unread))],
			"findings": findings[:20],
			"found": f"{condition.value} new error(s) since the switch{unknown}",
		}


@dataclass(eq=False)
class Verdict(Step):
	"""GO opens the sites, and nothing else does."""

	doors: Doors

	name, title, phase = "verdict", "Verdict", Phase.VALIDATE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		return decide(run, self.name, "before opening", lambda: self._collect(run))

	def _collect(self, run: Run) -> list[Condition]:
		found = []
		for step in (Removals, CriticalTests, SmokeTests, LogCheck):
			found += [Condition(**data) for data in run.state.result(step.name).get("conditions", [])]
		return [*found, *judge_programs(run, self.doors.services)]


def _console_checks(run: Run) -> list[ConsoleCheck]:
	return [test for test in run.spec.smoke_tests if isinstance(test, ConsoleCheck)]


def _wanted(test: CriticalTest) -> str:
	return f"{test.expected_tests} tests pass" if test.expected_tests else "all tests pass, at least one"


def _judge_tests(name: str, test: CriticalTest, outcome: dict[str, Any], production: bool) -> Condition:
	failed = [*outcome["failures"], *outcome["errors"]]
	value = f"{outcome['ran']} ran, {len(failed)} failed, {outcome['skipped']} skipped"
	evidence = ""
	if outcome.get("problem"):
		evidence = outcome["problem"]
	elif failed:
		evidence = "; ".join(
			f"{each['test']}: {each['message'].strip().splitlines()[-1][:200]}" for each in failed[:5]
		)
	elif not outcome["ran"]:
		evidence = "no test ran"
	elif test.expected_tests and outcome["ran"] != test.expected_tests:
		evidence = f"{test.expected_tests} tests were expected"
	elif production and (users := outcome["users_disabled"] or outcome["left_behind"]["system_managers"]):
		evidence = f"the tests enabled users on the production site, now disabled: {', '.join(users)}"
	return Condition(name, not evidence, value, _wanted(test), evidence, "critical_tests")
