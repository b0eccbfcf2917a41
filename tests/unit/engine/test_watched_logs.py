"""A verdict over no log is unknown, and preflight says what is watched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.checks import OK, WARNING
from press_deploy.engine.ground.errors import ServiceError
from press_deploy.engine.plan.spec import Thresholds
from press_deploy.engine.steps.preflight.machine import check_watched_logs
from press_deploy.engine.verdict.judge import judge_log_errors
from press_deploy.engine.watching import journald
from press_deploy.engine.watching.watched_logs import WatchedLogs
from tests.unit.engine.support import SITE, make_bench

UNIT = "bench-frappe-web.service"


@pytest.fixture
def bench(tmp_path):
	return Bench(make_bench(tmp_path / "bench"))


def run_of(bench, *programs):
	def answer():
		if programs == (None,):
			raise ServiceError("Asking", "services", "nobody answers")
		return [{"name": name} for name in programs]

	services: Any = SimpleNamespace(programs=answer)
	return SimpleNamespace(bench=bench, watched_logs=WatchedLogs(bench, [SITE], services, lambda text: None))


def judge(run, marks):
	findings = [finding.as_data() for finding in run.watched_logs.read(marks, {})]
	return judge_log_errors(findings, Thresholds())


def test_a_log_check_over_nothing_is_unknown(bench):
	run = run_of(bench, "bench-web:bench-frappe-web")
	condition = judge(run, run.watched_logs.mark())
	assert (condition.holds, condition.value) == (None, "unknown")
	assert str(bench.logs) in condition.evidence


@pytest.mark.parametrize("where", ["logs", f"sites/{SITE}/logs"])
def test_a_log_check_over_a_file_holds_until_something_is_in_it(bench, where):
	file = bench.path / where / "web.log"
	file.write_text("")
	run = run_of(bench)
	marks = run.watched_logs.mark()
	assert judge(run, marks).holds is True
	file.write_text("ERROR new trouble\n")
	assert judge(run, marks).holds is False
	file.unlink()
	assert judge(run, marks).holds is True, "it was watched; that it went is no reason to know nothing"


def test_an_error_is_an_error_although_something_else_could_not_be_read(bench):
	unread = {"count": 1, "example": "web.log: Permission denied", "weight": "unknown"}
	error = {"count": 1, "example": "ERROR x", "weight": "against"}
	assert judge_log_errors([error, unread], Thresholds()).holds is False
	condition = judge_log_errors([unread], Thresholds())
	assert condition.holds is None and "Permission denied" in condition.evidence


def test_what_is_excused_is_said_and_counted_as_nothing(bench):
	excused = {"count": 3, "example": "x", "weight": "nothing", "says": "logging itself failed"}
	condition = judge_log_errors([excused], Thresholds())
	assert (condition.holds, condition.value) == (True, "0")
	assert condition.evidence == "not held against the release: 3 × logging itself failed"


def test_marks_and_findings_of_earlier_journals_stay_readable(bench):
	(bench.logs / "web.log").write_text("ERROR x\n")
	assert judge(run_of(bench), {"marks": {}}).holds is False
	assert judge_log_errors([{"count": 1, "example": "ERROR x"}], Thresholds()).holds is False


def test_the_journal_is_watched_where_systemd_runs_the_services(bench, monkeypatch):
	asked = []

	def ask(units, *options, hints=None):
		asked.append(units)
		entry = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1", "_SYSTEMD_UNIT": UNIT, "_PID": "7"}
		yield {**entry, "MESSAGE": "ERROR new trouble"}

	monkeypatch.setattr(journald, "_ask", ask)
	run = run_of(bench, UNIT)
	marks = run.watched_logs.mark()
	assert marks["journal"]["cursor"] == "c"
	assert judge(run, marks).holds is False
	assert asked == [[UNIT]] * 2


def check(run):
	(found,) = check_watched_logs(run, run)
	return found


def test_preflight_says_what_is_watched(bench, monkeypatch):
	(bench.logs / "web.log").write_text("")
	found = check(run_of(bench))
	assert found.outcome == OK and "1 files" in found.found and "journal" not in found.found
	monkeypatch.setattr(journald, "find_hindrance", lambda units: "")
	found = check(run_of(bench, UNIT))
	assert found.outcome == OK and UNIT in found.found


@pytest.mark.parametrize("programs", [(), (None,)], ids=["no unit", "nobody knows"])
def test_preflight_warns_where_nothing_is_watched(bench, programs):
	found = check(run_of(bench, *programs))
	assert found.outcome == WARNING and "none" in found.found and found.remedy


def test_preflight_names_the_group_that_reads_the_journal(bench, monkeypatch):
	monkeypatch.setattr(journald, "find_hindrance", lambda units: "insufficient permissions")
	found = check(run_of(bench, UNIT))
	assert found.outcome == WARNING and "insufficient permissions" in found.found
	assert "--groups systemd-journal" in found.remedy
