"""What the limits do to made-up releases; `make bench` has the table over ten thousand of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from press_deploy.cli import main
from press_deploy.engine.verdict.simulation import Outcome, Release, simulate, summarise
from press_deploy.engine.verdict.traffic import Limits
from tests.unit.engine.support import MINIMAL

WINDOWS = 20


def judge(release: Release) -> dict[str, Any]:
	return summarise(simulate(release, Limits(), WINDOWS, seed=1))


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_healthy_releases_stay(rate: float) -> None:
	found = judge(Release(rate))
	assert (found["share_rolled_back"], found["median_seconds"]) == (0, None)


def test_the_runbook_s_words_would_roll_most_of_them_back() -> None:
	assert judge(Release(0.2))["literally"]["share_rolled_back"] > 0.9


def test_bad_releases_go_back_soon() -> None:
	failing, slow = judge(Release(1.0, error_rate=0.15)), judge(Release(1.0, slowdown=2.0))
	assert failing["share_within_600_seconds"] == slow["share_within_600_seconds"] == 1
	assert failing["median_seconds"] <= 60 and slow["median_seconds"] <= 120


def test_the_same_seed_is_the_same() -> None:
	first, second = (simulate(Release(1.0, 0.06), Limits(), 5, seed) for seed in (1, 1))
	assert first == second != simulate(Release(1.0, 0.06), Limits(), 5, seed=2)


def test_no_release_is_no_share() -> None:
	assert summarise([])["share_rolled_back"] == 0
	assert summarise([Outcome(10.0, None), Outcome(None, 60.0)])["literally"] == {
		"share_rolled_back": 0.5,
		"median_seconds": 60.0,
	}


def test_the_command_says_it_to_people_and_programs() -> None:
	typed = ["judge", "--simulate", "--windows", "3", "--rate", "1", "--error-rate", "0.5", "--slowdown", "1"]
	shown = CliRunner().invoke(main, typed)
	assert shown.exit_code == 0, shown.output
	assert "Rolled back: 100.00 %" in shown.output and "word for word" in shown.output
	found = json.loads(CliRunner().invoke(main, [*typed, "--seed", "7", "--json"]).output)
	assert (found["windows"], found["seed"], found["share_rolled_back"]) == (3, 7, 1.0)
	assert CliRunner().invoke(main, ["judge"]).exit_code == 2


def test_the_limits_of_a_plan_are_taken(tmp_path) -> None:
	plan = tmp_path / "plan.json"
	plan.write_text(json.dumps({**MINIMAL, "thresholds": {"error_rate_percent": 90.0}}))
	typed = ["judge", "--simulate", "--windows", "2", "--error-rate", "0.5", "--plan", str(plan), "--json"]
	found = json.loads(CliRunner().invoke(main, typed).output)
	assert found["share_rolled_back"] == 0
