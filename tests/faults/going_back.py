"""Rollbacks as people ask for them, and what stands in their way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import roll_back
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.steps import install
from tests.faults.bench_state import SITE
from tests.faults.saboteur import Saboteur


def go_back(bench: PracticeBench, run: RunDirectory, *listeners: Saboteur, **asked: Any) -> State:
	return roll_back(Bench.open(bench.path), run, "admin", "it is wrong", listeners, **asked)


def fail_going_back(bench: PracticeBench, run: RunDirectory, saboteur: Saboteur, **asked: Any) -> None:
	assert go_back(bench, run, saboteur, **asked) is State.FATAL, load_state(run).reason
	assert saboteur.fired == 1
	assert bench.ask().status != 200, "what is half put back is not for visitors"


@contextmanager
def locked_when(bench: PracticeBench, event: str, step: str) -> Iterator[Saboteur]:
	"""Another process of the bench holds on to the site's database from this record on, until the end."""
	path = bench.path / "sites" / SITE / "db" / "shop.db"
	with closing(sqlite3.connect(path, isolation_level=None)) as database:
		yield Saboteur(event, step, lambda: database.execute("BEGIN EXCLUSIVE"))


@contextmanager
def broken_web_server(
	bench: PracticeBench, event: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Saboteur]:
	"""From this record on the web server can't be started any more, until the end."""
	settings = bench.path / "sites" / "gunicorn.conf.py"
	original = settings.read_text()
	# It is not waited for in vain for long; afterwards it has all the time that it needs.
	with monkeypatch.context() as impatient:
		impatient.setattr(install, "RESTART_SECONDS", 8)
		try:
			yield Saboteur(event, step, lambda: settings.write_text("raise SystemExit(1)\n"))
		finally:
			settings.write_text(original)


@contextmanager
def opened_by_hand(bench: PracticeBench) -> Iterator[None]:
	"""As `bench set-maintenance-mode off` does it, and on again at the end."""
	change_config(bench, lambda config: config.update(maintenance_mode=0))
	yield
	change_config(bench, lambda config: config.update(maintenance_mode=1))


def change_config(bench: PracticeBench, change: Callable[[dict[str, Any]], None]) -> None:
	path = bench.path / "sites" / SITE / "site_config.json"
	config = json.loads(path.read_text())
	change(config)
	path.write_text(json.dumps(config, indent=1))
