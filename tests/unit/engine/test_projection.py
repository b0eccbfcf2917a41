"""The records of a run are written beside it, and not into a database that has to stand still."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal import projection
from press_deploy.engine.journal.projection import Projector
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.steps.jobs import PauseJobs
from tests.support.steps import hand

HANG_SECONDS = 30
RECORD = SimpleNamespace(event="step-observed")
OPEN, CLOSED = SimpleNamespace(is_closed=False), SimpleNamespace(is_closed=True)


class SlowSite:
	"""A site process that writes records until it is let go."""

	def __init__(self) -> None:
		self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), 0

	def call(self, task: str, site: str, **arguments: Any) -> None:
		self.begun.set()
		assert self.may_end.wait(HANG_SECONDS)
		self.ended += 1


@pytest.fixture
def site() -> SlowSite:
	return SlowSite()


@pytest.fixture
def projector(tmp_path: Path, site: SlowSite) -> Projector:
	run = RunDirectory(tmp_path / "run")
	run.step_log("projection").parent.mkdir(parents=True)
	projector = Projector(Bench(tmp_path), run, "shop.example")
	projector._site_processes = site
	return projector


def test_the_drain_waits_for_records_that_are_being_written(
	tmp_path: Path, projector: Projector, site: SlowSite
) -> None:
	seen: list[int] = []

	def ask(*arguments: Any, **options: Any) -> dict[str, list]:
		seen.append(site.ended)
		return {"jobs": [], "held": True}

	spec = SimpleNamespace(site_names=["shop.example"], drain=SimpleNamespace(seconds=1))
	(tmp_path / "sites" / "shop.example").mkdir(parents=True)
	(tmp_path / "sites" / "shop.example" / "site_config.json").write_text("{}")
	run = SimpleNamespace(
		bench=Bench(tmp_path),
		name="a-run",
		spec=spec,
		projector=projector,
		site_processes=SimpleNamespace(call=ask),
	)
	projector.follow(RECORD, OPEN)
	assert site.begun.wait(HANG_SECONDS)
	drain = threading.Thread(target=hand(PauseJobs, run).apply, args=(run, {}))
	drain.start()
	drain.join(0.3)
	assert drain.is_alive() and not seen
	site.may_end.set()
	drain.join(HANG_SECONDS)
	assert seen == [1]


def test_records_are_written_no_faster_than_somebody_reads_them(
	projector: Projector, site: SlowSite, monkeypatch: pytest.MonkeyPatch
) -> None:
	"""The pause keeps nobody: whoever wants no more projections doesn't wait for its end."""
	monkeypatch.setattr(projection, "PAUSE_SECONDS", 10 * HANG_SECONDS)
	site.may_end.set()
	for _record in range(5):
		projector.follow(RECORD, OPEN)
	assert site.begun.wait(HANG_SECONDS)
	projector.follow(RECORD, OPEN)
	projector.close()
	assert site.ended == 1


def test_nothing_is_written_while_the_sites_are_closed_and_again_afterwards(
	projector: Projector, site: SlowSite
) -> None:
	site.may_end.set()
	projector.follow(RECORD, CLOSED)
	projector.close()
	assert site.ended == 0
	projector.follow(RECORD, OPEN)
	assert site.begun.wait(HANG_SECONDS)
	projector.close()
	assert site.ended == 1
	site.begun.clear()
	projector.follow(RECORD, OPEN)
	assert site.begun.wait(HANG_SECONDS)
	projector.close()
	assert site.ended == 2
