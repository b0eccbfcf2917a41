"""The step after the drain, and the migration: others get the limit, are named and ended; our own look goes on."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.plan.spec import Drain
from press_deploy.engine.steps.foreign_statements import ForeignStatements
from press_deploy.engine.steps.migrate import Migrate
from tests.support.databases import SITE, execute
from tests.support.steps import hand

from .visitors import ALTER, AT_REPORT, HANG_SECONDS, LIVE, NEVER, REPORT, Visitors


@pytest.fixture
def run(bench: Bench) -> Iterator[Any]:
	"""What the step sees of a run that has closed the site and is to migrate it."""
	notes: list[str] = []
	database = Database(bench, SITE)
	yield SimpleNamespace(
		bench=bench,
		name="no-such-run",
		spec=SimpleNamespace(
			site_names=[SITE], test_site=None, critical_tests=[], drain=Drain(foreign_seconds=1)
		),
		databases=SimpleNamespace(sites={SITE: database}),
		watched_logs=None,
		state=SimpleNamespace(is_closed=True, needs=lambda what: {"needed": True}),
		note=notes.append,
		log=lambda line: None,
		on_progress=lambda line: shown.append(line),
		stop_if_asked=lambda: None,
		notes=notes,
		shown=(shown := []),
	)
	database.close()


def test_after_the_drain_others_get_the_limit_and_are_ended(
	site_user: Server, run: Any, visitors: Visitors, wait_for: Any
) -> None:
	run.databases.sites[SITE].rows("SELECT 1")
	report = visitors.begin(site_user, REPORT)
	wait_for(AT_REPORT)
	found = hand(ForeignStatements, run).apply(run, {})["found"]
	assert found == f"{SITE}: 1 connection(s) of others ended after 1 s" and report.was_ended
	assert f"connection {report.number} of site_user@localhost" in run.shown[0]
	assert len(run.notes) == 1 and "SELECT SLEEP(0.05) FROM tabItem" in run.notes[0]
	# Our own look into the database is none of them, and goes on.
	assert run.databases.sites[SITE].rows("SELECT 1") == [(1,)]


def test_the_migration_itself_is_watched_over(
	site_user: Server, run: Any, visitors: Visitors, wait_for: Any
) -> None:
	lines: list[str] = []
	run.log = lines.append
	run.databases.sites[SITE].rows("SELECT 1")
	report = visitors.begin(site_user, REPORT)
	wait_for(AT_REPORT)

	def migrate(task: str, site: str, timeout: float) -> None:
		execute(site_user, LIVE, ALTER)

	run.site_processes = SimpleNamespace(call=migrate)
	assert hand(Migrate, run).apply(run, {})["migrated"] == [SITE]
	assert report.was_ended and f"Ending connection {report.number}" in run.notes[0]
	assert f"held by connection {report.number}" in run.shown[0]
	assert len(lines) == len({line.split("held by")[1][:20] for line in lines}) == 1


def test_after_the_drain_who_finishes_in_time_is_let(
	site_user: Server, run: Any, visitors: Visitors, wait_for: Any
) -> None:
	run.spec.drain = Drain(foreign_seconds=NEVER)
	report = visitors.begin(site_user, "SELECT SLEEP(2)")
	idle = visitors.begin(site_user, "SELECT 1")
	wait_for("STATE = 'User sleep'")
	assert hand(ForeignStatements, run).apply(run, {})["found"].startswith(f"{SITE}: others have finished")
	assert report.future.exception(HANG_SECONDS) is idle.future.exception(HANG_SECONDS) is None
	assert not run.notes


def test_after_the_drain_nobody_at_work_costs_one_look(run: Any, visitors: Visitors) -> None:
	run.spec.drain = Drain(foreign_seconds=NEVER)
	assert hand(ForeignStatements, run).apply(run, {})["found"] == f"{SITE}: nobody else at work on {LIVE}"


def test_the_step_leaves_an_open_site_alone(run: Any) -> None:
	assert hand(ForeignStatements, run).skip_reason(run) is None
	run.state.needs = lambda what: {"needed": False}
	assert "nothing is migrated" in hand(ForeignStatements, run).skip_reason(run)
	run.state.is_closed = False
	assert "open" in hand(ForeignStatements, run).skip_reason(run)
