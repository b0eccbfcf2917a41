"""An Error Log that can't be read is unknown: it never counts as an error of the release, nor as none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.steps.new_errors import find_new_errors
from press_deploy.engine.steps.validate import CriticalTests, LogCheck
from press_deploy.engine.verdict.conditions import Condition, Verdict, conclude
from press_deploy.engine.verdict.judge import judge_triggers
from press_deploy.engine.watching import logs
from press_deploy.engine.watching.watched_logs import WatchedLogs
from tests.support.steps import hand

from .support import SITE, make_bench, make_spec

LOST = "(2013, 'Lost connection to server during query')"


class FakeDatabase:
	"""Answers with rows, or fails as often as there is no answer."""

	def __init__(self, *answers: list[tuple[str, str]] | None):
		self.answers = list(answers)

	def error_log_since(self, creation: str) -> list[tuple[str, str]]:
		rows = self.answers.pop(0)
		if rows is None:
			raise DatabaseUnavailable(LOST)
		return rows


@pytest.fixture
def run(tmp_path: Path) -> Any:
	bench = Bench(make_bench(tmp_path / "bench"))
	run = SimpleNamespace(
		bench=bench,
		watched_logs=WatchedLogs(bench, [SITE], SimpleNamespace(programs=list), print),
		spec=make_spec(),
		results={},
		databases=None,
		state=SimpleNamespace(result=lambda step: run.results.get(step, {}), before=lambda step: {}),
	)
	(run.bench.logs / "web.error.log").write_text("")
	run.results["mark-logs"] = {
		"marks": logs.mark(run.watched_logs.files()),
		"error_log": {SITE: "2030-01-01"},
	}
	return run


def check(run: Any, *answers: list[tuple[str, str]] | None) -> list[Condition]:
	run.databases = SimpleNamespace(sites={SITE: FakeDatabase(*answers)})
	return [Condition(**each) for each in hand(LogCheck, run).apply(run, {})["conditions"]]


def test_it_makes_the_verdict_inconclusive_and_rolls_nothing_back(run: Any) -> None:
	conditions = check(run, None)
	assert conclude(conditions) is Verdict.INCONCLUSIVE
	assert [each.evidence for each in conditions if each.holds is None] == [LOST]
	run.databases = SimpleNamespace(sites={SITE: FakeDatabase(None)})
	assert (
		judge_triggers([], [], find_new_errors(run, run.watched_logs, run.databases)[0], {}, run.spec) == []
	)


def test_it_is_asked_again_by_the_next_look(run: Any) -> None:
	assert conclude(check(run, [])) is Verdict.GO
	run.databases = SimpleNamespace(sites={SITE: FakeDatabase(None, [("1", "ImportError")])})
	assert find_new_errors(run, run.watched_logs, run.databases) == ([], {SITE: LOST})
	findings, unread = find_new_errors(run, run.watched_logs, run.databases)
	assert not unread and [each["example"] for each in findings] == [f"Error Log of {SITE}: ImportError"]


def test_what_was_unknown_at_the_switch_stays_unknown(run: Any) -> None:
	run.results["mark-logs"]["error_log"][SITE] = None
	assert conclude(check(run)) is Verdict.INCONCLUSIVE
	assert "could not be read at the switch" in find_new_errors(run, run.watched_logs, run.databases)[1][SITE]


def test_what_could_not_be_read_before_the_critical_tests_stays_unknown(run: Any) -> None:
	run.results[CriticalTests.name] = {
		**run.results["mark-logs"],
		"findings": [],
		"unread": {SITE: LOST},
	}
	assert conclude(check(run, [])) is Verdict.INCONCLUSIVE
