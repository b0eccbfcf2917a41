"""A command goes on in the home of the run that it is about, as it was typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from press_deploy.cli import home, main
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.homes.home import HOMES, Home
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan

from .support import PLAN

SPEC = read_plan(PLAN)
COMMANDS = (
	("resume",),
	("resume", "--dry-run"),
	("rollback", "--reason", "it is slow"),
	("decide", "no-go"),
	("losses", "--json"),
	("report",),
)


class Gone(Exception):
	"""This process would have become another program."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
	"""What this process became: the home's name, and the arguments."""
	became = []

	def execute(path: str, command: list[str]) -> None:
		became.append(tuple(command))
		raise Gone

	monkeypatch.setattr(home.os, "execv", execute)
	monkeypatch.setattr(Home, "find_damage", lambda self: None)
	monkeypatch.setattr(Home, "command", lambda self, *words: [self.name, *words])
	return became


def make_run(bench: Path, name: str | None = None) -> RunDirectory:
	run = RunDirectory.create(bench, SPEC)
	if name:
		journal = Journal(run.journal)
		journal.append(
			"run-created", {"plan_sha256": run.read_plan().sha256, "run": run.name, "dry_run": False}
		)
		journal.append("runner-started", {"pid": 1, "resumed": False, "home": name})
		journal.close()
	return run


def call(*words: str) -> Result:
	return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_it_goes_on_in_the_home_of_the_run(bench, started, monkeypatch, command) -> None:
	monkeypatch.setattr(home, "running_home", lambda: None)
	run = make_run(bench, "1.0-a")
	name, *options = command
	words = (name, run.name, *options, "--bench", str(bench))
	assert isinstance(call(*words).exception, Gone)
	assert started == [("1.0-a", *words)]


def test_it_leaves_the_home_of_another_run(bench, started, at_home) -> None:
	run = make_run(bench, "1.0-a")
	assert isinstance(call("report", run.name, "--bench", str(bench)).exception, Gone)
	assert started[0][0] == "1.0-a"


@pytest.mark.parametrize("options", [("--here",), ()])
def test_it_stays_where_it_is_told_to_and_where_it_belongs(
	bench, started, at_home, monkeypatch, options
) -> None:
	run = make_run(bench, "1.0-a" if options else at_home.name)
	if options:
		monkeypatch.setattr(home, "running_home", lambda: None)
	result = call("report", run.name, *options, "--bench", str(bench))
	assert result.exit_code == 0 and not started, result.output


def test_what_is_installed_goes_on_from_a_home_of_its_own(bench, started, monkeypatch, tmp_path) -> None:
	"""From then on that one is the run's, so that whoever resumes it finds it."""
	monkeypatch.setattr(home, "running_home", lambda: None)
	monkeypatch.setattr(home, "_make", lambda bench: Home(tmp_path / "2.0-b"))
	run = make_run(bench, "1.0-a")
	assert isinstance(call("resume", "--installed", run.name, "--bench", str(bench)).exception, Gone)
	assert started == [("2.0-b", "resume", run.name, "--bench", str(bench), "--here")]


@pytest.mark.parametrize("options", [("--installed",), ()])
def test_a_home_leaves_to_the_environment_what_is_installed(
	bench, started, at_home, monkeypatch, options
) -> None:
	run = make_run(bench, "1.0-a")
	monkeypatch.setattr(Home, "find_damage", lambda self: None if options else "it was changed")
	assert isinstance(call("resume", run.name, *options, "--bench", str(bench)).exception, Gone)
	environment = f"{bench.resolve()}/env/bin/press-deploy"
	assert started == [(environment, "resume", run.name, *options, "--bench", str(bench))]


def test_a_run_without_a_home_is_executed_from_the_present_one(bench, started, monkeypatch, tmp_path) -> None:
	made = []
	monkeypatch.setattr(home, "running_home", lambda: None)
	monkeypatch.setattr(home, "_make", lambda bench: made.append(bench.path) or Home(tmp_path / "2.0-b"))
	plan = tmp_path / "plan.json"
	plan.write_text(json.dumps(SPEC.as_data()))
	for words in (("run", str(plan)), ("resume", make_run(bench).name)):
		assert isinstance(call(*words, "--bench", str(bench)).exception, Gone)
	assert [each[0] for each in started] == ["2.0-b", "2.0-b"] and made == [bench.resolve()] * 2


def test_a_damaged_home_is_made_again_or_nothing_is_done(bench, monkeypatch) -> None:
	"""Another one is never taken in its place."""
	made = []
	monkeypatch.setattr(home, "running_home", lambda: None)
	monkeypatch.setattr(home, "_make", lambda bench: made.append(1) or Home(bench.path / "2.0-b"))
	run = make_run(bench, "1.0-a")
	result = call("resume", run.name, "--bench", str(bench))
	assert result.exit_code == 2 and made
	assert f"{bench.resolve()}/deployments/{HOMES}/1.0-a/home.json can't be read" in result.output
	assert "--installed" in result.output


def test_what_keeps_a_home_from_being_made_is_told(bench, monkeypatch) -> None:
	def refuse(bench):
		raise Refused("Making", "a home", "the disk is full", "make room")

	monkeypatch.setattr(home, "running_home", lambda: None)
	monkeypatch.setattr(home, "_make", refuse)
	result = call("resume", make_run(bench).name, "--bench", str(bench))
	assert result.exit_code == 2 and "Making a home: the disk is full" in result.output


def test_what_goes_wrong_with_a_list_is_told_in_json_too(bench, at_home) -> None:
	"""Desk reads it from there, whatever version the home is of."""
	run = make_run(bench, at_home.name)
	for options in ((), ("--unless-read", "0" * 64)):
		result = call("losses", run.name, "--json", *options, "--bench", str(bench))
		if options:
			assert json.loads(result.stdout) is None, (
				"nothing of it was opened again, so nothing has to be read"
			)
			continue
		error = json.loads(result.stdout)["error"]
		assert result.exit_code in (1, 2) and error["why"] in result.stderr and error["remedy"]


def test_where_the_environment_cannot_import_its_command_a_run_has_its_home(
	bench, started, monkeypatch
) -> None:
	def fail(name: str) -> None:
		raise ImportError("No module named 'pydantic'")

	monkeypatch.setattr(sys.modules["press_deploy.cli.main"], "import_module", fail)
	run = make_run(bench, "1.0-a")
	for words in (("resume", run.name), ("status", run.name, "--json")):
		(run.path / "press-deploy").unlink(missing_ok=True)
		result = call(*words, "--bench", str(bench))
		assert result.exit_code == 1 and "pydantic" in result.output and "pip install -e" in result.output
		(run.path / "press-deploy").touch()
		assert isinstance(call(*words, "--bench", str(bench)).exception, Gone)
		assert started.pop() == (str(run.path / "press-deploy"), *words, "--bench", str(bench))
