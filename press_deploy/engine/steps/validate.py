"""Validate: critical tests, smoke tests and logs, then the verdict that may open the sites."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench.preview import PREVIEW, open_preview
from press_deploy.engine.bench.program_logs import list_logs
from press_deploy.engine.bench.program_watch import ProgramWatch
from press_deploy.engine.bench.services import Services
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.plan.spec import ConsoleCheck, CriticalTest, HttpCheck
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.before_migrate import FormerErrors
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.decision import decide
from press_deploy.engine.steps.deploy import mark_logs
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.install import Restart, Stabilise
from press_deploy.engine.steps.removals import Removals
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition
from press_deploy.engine.verdict.judge import judge_log_errors, judge_unread
from press_deploy.engine.watching import logs
from press_deploy.engine.watching.watched_logs import WatchedLogs

if TYPE_CHECKING:
	from press_deploy.engine.bench.answer import Answer

GRACE_SECONDS = 30
_MARKUP = re.compile(r"<(head|script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(eq=False)
class CriticalTests(Step):
	"""Run the plan's critical tests; the verdict says what follows from their outcome."""

	site_processes: SiteProcesses
	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = "critical-tests", "Critical tests", Phase.VALIDATE
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


PING = HttpCheck(name="Ping", path="/api/method/ping", expected_text="pong")


def http_checks(run: Run) -> list[HttpCheck]:
	return [test for test in run.spec.smoke_tests if isinstance(test, HttpCheck)]


def check_http(web: Web, site: str, test: HttpCheck, address: str | None) -> Condition:
	"""One HTTP smoke test, at the preview instance's `address` or in public."""
	timeout = max(10.0, (test.maximum_latency_ms or 0) / 1000 * 2)
	answer = web.ask(
		site,
		test.path,
		address=address,
		public=address is None,
		method=test.method,
		headers=test.headers,
		timeout=timeout,
	)
	wrong = _what_is_wrong(test, answer)
	value = f"{answer.status or answer.kind} in {answer.latency_ms:.0f} ms"
	limit = f" within {test.maximum_latency_ms:g} ms" if test.maximum_latency_ms else ""
	wanted = f"{test.expected_status}{limit}{_content_wanted(test)}"
	return Condition(f"{test.name} ({site})", not wrong, value, wanted, wrong, "error_rate")


def judge_programs(run: Run, services: Services) -> list[Condition]:
	"""Whether every program is still the process that was there when the services had settled.

	Nothing where that is not known: a run may have been begun by an earlier version of this app.
	"""
	name, wanted = "Programs", "none died since the restart"
	processes = run.state.result(Stabilise.name).get("processes")
	if not processes:
		return []
	watch = ProgramWatch(services, run.state.result(Restart.name).get("late", []), processes)
	try:
		restarted, down = watch.look()
	except DeployError as error:
		return [Condition(name, None, "unknown", wanted, error.why)]
	died = [*(f"{each} (started again)" for each in restarted), *down]
	value = f"{len(died)} died" if died else f"{len(processes)} up"
	logs_of = list_logs(run.bench, [each.split(" ")[0] for each in died])
	evidence = f"{', '.join(died)} (log: {logs_of})" if died else ""
	return [Condition(name, not died, value, wanted, evidence, "error_rate")]


def find_new_errors(
	run: Run, watched_logs: WatchedLogs, databases: Databases
) -> tuple[list[dict[str, Any]], dict[str, str]]:
	"""Errors since the switch as plain data: log files, and new Error Log rows of every site.

	And {site: why} for those whose Error Log can't be read. That is no error: what stands there is unknown.
	"""
	tests, marks = run.state.result(CriticalTests.name), _marks(run)
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
			findings.append(
				logs.Finding(logs.fingerprint(example), example, {"Error Log"}, len(rows)).as_data()
			)
	return [*tests.get("findings", []), *findings], unread


def _marks(run: Run) -> dict[str, Any]:
	"""Where to read on from: after the critical tests if there were any, else after the switch."""
	tests = run.state.result(CriticalTests.name)
	return tests if "marks" in tests else run.state.result("mark-logs")


def _new_error_log(databases: Databases, site: str, newest: str | None) -> list[tuple[str, str]]:
	"""(name, title) of its rows after `newest`. Raises `DatabaseUnavailable`."""
	if newest is None:
		raise DatabaseUnavailable("it could not be read at the switch, so that nobody knows what is new")
	return databases.sites[site].error_log_since(newest)


def _what_is_wrong(test: HttpCheck, answer: Answer) -> str:
	if answer.status != test.expected_status:
		return answer.why or f"answered {answer.status}: {_visible_text(answer.text)[:200]}"
	if test.expected_text is not None and test.expected_text not in answer.text:
		return f"the text {test.expected_text[:60]!r} is not in the answer"
	if test.expected_json is not None and not _contains_json(answer.text, test.expected_json):
		return f"the answer does not contain {json.dumps(test.expected_json)[:100]}: {answer.text[:100]}"
	if test.maximum_latency_ms is not None and answer.latency_ms > test.maximum_latency_ms:
		return "it was too slow"
	return ""


def _content_wanted(test: HttpCheck) -> str:
	text = "" if test.expected_text is None else f" with the text {test.expected_text[:60]!r}"
	if test.expected_json is None:
		return text
	# In the letters of the answer, so that the two can be compared.
	return f"{text}{' and' if text else ''} with {json.dumps(test.expected_json, ensure_ascii=False)[:100]}"


def _visible_text(page: str) -> str:
	"""What a person would read of an answer, on one line."""
	return " ".join(_MARKUP.sub(" ", page).split())


def _contains_json(text: str, wanted: Any) -> bool:
	try:
		return _contains(json.loads(text), wanted)
	except ValueError:
		return False


def _contains(found: Any, wanted: Any) -> bool:
	"""Whether `wanted` is a fragment of `found`: objects by their keys, everything else by equality."""
	if isinstance(wanted, dict) and isinstance(found, dict):
		return all(key in found and _contains(found[key], value) for key, value in wanted.items())
	return type(found) is type(wanted) and found == wanted


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
