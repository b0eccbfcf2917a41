"""Fixtures for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from press_deploy.cli import home, main
from press_deploy.engine.homes.home import Home
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan

from .support import (
	CREATED,
	PLAN,
	WAITS,
	owning,
)


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> Home:
	"""These commands are called in the process that tests, as in the home that it was started from."""
	here = Home(Path("/homes/0.0.0-here"))
	monkeypatch.setattr(home, "running_home", lambda: here)
	return here


@pytest.fixture
def bench(tmp_path):
	for name in ("apps", "config", "logs", "sites/shop.example"):
		(tmp_path / "bench" / name).mkdir(parents=True)
	(tmp_path / "bench/sites/common_site_config.json").write_text('{"webserver_port": 1}')
	(tmp_path / "bench/sites/shop.example/site_config.json").write_text(
		'{"db_name": "x", "db_type": "sqlite"}'
	)
	return tmp_path / "bench"


@pytest.fixture
def make_run(bench):
	def make(*events) -> RunDirectory:
		run = RunDirectory.create(bench, read_plan(PLAN))
		journal = Journal(run.journal)
		for event, data in events:
			journal.append(event, data)
		journal.close()
		return run

	return make


@pytest.fixture
def call(bench):
	def call(*arguments, path=bench):
		result = CliRunner().invoke(main, [*map(str, arguments), *(["--bench", str(path)] if path else [])])
		assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
		assert "Traceback" not in result.output
		return result

	return call


@pytest.fixture
def owned(bench, make_run):
	"""A waiting run that a living process owns."""
	run = make_run(CREATED, WAITS)
	with owning(bench, run):
		yield run
