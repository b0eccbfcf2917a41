"""Fixtures for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from press_deploy.cli import home
from press_deploy.engine.homes.home import Home


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
