"""What is removed when its time is over, and above all what is not."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from press_deploy.engine.backup.manifest import MADE
from press_deploy.engine.backup.rungs import MANIFEST, Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import LockHeld
from press_deploy.engine.lock import BenchLock
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.retention import find_expired, tidy

NOW = datetime(2030, 6, 1, tzinfo=timezone.utc)
OLD = Backup().retention_days + 1


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	for name in ("apps", "sites", "config", "logs", "deployments"):
		(tmp_path / name).mkdir()
	return Bench.open(tmp_path)


def put(bench: Bench, days: int, rung: Rung, site: str = "shop.example") -> Path:
	"""A backup of so many days ago that reached this rung."""
	made = NOW - timedelta(days=days)
	directory = bench.deployments / "backups" / site / made.strftime("%Y%m%d-%H%M%S")
	directory.mkdir(parents=True)
	facts = {"site": site, "made": made.isoformat(), "method": "stream", "files": []}
	(directory / MADE).write_text(json.dumps(facts))
	(directory / MANIFEST).write_text(json.dumps({"files": []}))
	for each in list(Rung)[1 : rung + 1]:
		Proof(directory).record(each)
	return directory


def removed(bench: Bench) -> set[Path]:
	return {entry.directory for entry in find_expired(bench, NOW)}


def test_what_is_old_goes_and_what_is_new_stays(bench):
	old, new = put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	assert removed(bench) == {old}
	tidy(bench, "shop.example", now=NOW)
	assert new.exists() and not old.exists()


def test_the_last_proven_backup_stays_however_old(bench):
	proven, newer = put(bench, 10 * OLD, Rung.RESTORABLE), put(bench, OLD, Rung.WHOLE)
	older = put(bench, 20 * OLD, Rung.RESTORABLE)
	assert removed(bench) == {newer, older} and proven not in removed(bench)


def test_where_none_is_proven_the_best_stays(bench):
	best, worse = put(bench, 2 * OLD, Rung.SAFE), put(bench, OLD, Rung.MADE)
	assert removed(bench) == {worse} and best.exists()


def test_each_site_keeps_its_own(bench):
	put(bench, OLD, Rung.RESTORABLE), put(bench, OLD, Rung.RESTORABLE, "other.example")
	assert removed(bench) == set()


def test_another_site_s_backups_are_not_its_business(bench):
	old = put(bench, OLD, Rung.RESTORABLE, "other.example")
	put(bench, 1, Rung.RESTORABLE, "other.example")
	assert tidy(bench, "shop.example", now=NOW) == [] and old.exists()
	assert len(tidy(bench, "other.example", now=NOW)) == 1 and not old.exists()


def test_nothing_goes_while_a_run_is_at_work(bench):
	old, _new = put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	with BenchLock(bench.deployments, "a-run", "a test", lambda name: False):
		assert tidy(bench, "shop.example", now=NOW) == [] and old.exists()
	assert len(tidy(bench, "shop.example", now=NOW)) == 1 and not old.exists()


def test_no_run_starts_in_the_middle_of_it(bench, monkeypatch):
	put(bench, OLD, Rung.RESTORABLE), put(bench, 1, Rung.RESTORABLE)
	refused = []

	def start_a_run(directory: Path) -> None:
		with pytest.raises(LockHeld) as held, BenchLock(bench.deployments, "a-run", "", lambda name: False):
			pass
		refused.append(held.value)

	monkeypatch.setattr(shutil, "rmtree", start_a_run)
	tidy(bench, "shop.example", now=NOW)
	assert len(refused) == 1
	with BenchLock(bench.deployments, "a-run", "", lambda name: False):
		pass
