"""Which backup is the newest that can be proven, and what a long proof leaves of what others record meanwhile."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.backup import catalogue
from press_deploy.engine.backup.catalogue import back_up_site, find_backups, prove_latest
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.backup.verifying import verify
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import MADE, MANIFEST, is_verified
from press_deploy.engine.ground.errors import STEP_LOG, Refused, SiteProcessFailed, StepFailed
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from tests.unit.engine.support import SITE, make_spec, put_python


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	for name in ("apps", f"sites/{SITE}", "config", "logs", "deployments"):
		(tmp_path / name).mkdir(parents=True)
	(tmp_path / "sites" / SITE / "site_config.json").write_text('{"db_type": "sqlite", "db_name": "shop"}')
	return Bench.open(tmp_path)


def put(directory: Path, hour: int, *, whole: bool = True) -> Path:
	"""A real backup of an SQLite site in `directory`; without a manifest, where it is not seen to be whole."""
	directory.mkdir(parents=True)
	with closing(sqlite3.connect(directory / "site.db")) as database:
		database.execute("CREATE TABLE a (b)")
	(directory / "config.json").write_text("{}")
	kinds = {"database": "site.db", "config": "config.json"}
	files = [{"kind": kind, "path": str(directory / name)} for kind, name in kinds.items()]
	made = f"2030-06-01T{hour:02}:00:00+00:00"
	(directory / MADE).write_text(
		json.dumps({"site": SITE, "made": made, "method": "frappe", "files": files})
	)
	if whole:
		verify(directory)
	return directory


def put_alone(bench: Bench, hour: int, *, whole: bool = True) -> Path:
	return put(bench.deployments / "backups" / SITE / f"2030060{hour}", hour, whole=whole)


def make_run(bench: Bench, *, state: str | None = None) -> RunDirectory:
	"""A run that is at work, or ended in `state`."""
	run = RunDirectory.create(bench.path, make_spec())
	journal = Journal(run.journal)
	journal.append("run-created", {"run": run.name, "plan_sha256": run.read_plan().sha256})
	if state:
		journal.append("run-ended", {"state": state, "reason": "a test"})
	journal.close()
	return run


def test_a_backup_that_is_still_being_made_is_not_the_one_to_prove(bench: Bench) -> None:
	whole, half = put_alone(bench, 1), put_alone(bench, 2, whole=False)
	assert find_backups(bench, SITE)[0].directory == half
	assert prove_latest(bench, SITE).directory == whole
	assert Proof(whole).has(Rung.RESTORABLE) and not Proof(half).rungs


@pytest.mark.parametrize(
	("name", "content", "words"),
	[(MANIFEST, b"{", "can't be read"), (MANIFEST, b"{}", "can't be read"), ("site.db", b"SQL", "rung 2")],
	ids=["manifest", "empty manifest", "database"],
)
def test_one_that_was_whole_and_is_damaged_fails(bench: Bench, name: str, content: bytes, words: str) -> None:
	"""It is not passed over in favour of an older one."""
	older, newest = put_alone(bench, 1), put_alone(bench, 2)
	(newest / name).write_bytes(content)
	with pytest.raises(StepFailed, match=words):
		prove_latest(bench, SITE)
	assert Proof(newest).has_failed(Rung.RESTORABLE) and not Proof(older).has(Rung.RESTORABLE)
	assert not is_verified(newest)


@pytest.mark.parametrize(("state", "is_proven"), [(None, False), ("Succeeded", True), ("Fatal", True)])
def test_a_run_at_work_proves_its_backup_itself(bench: Bench, state: str | None, is_proven: bool) -> None:
	alone, run = put_alone(bench, 1), make_run(bench, state=state)
	of_run = put(run.backup / SITE, 2)
	assert prove_latest(bench, SITE).directory == (of_run if is_proven else alone)


def test_a_run_whose_journal_is_damaged_may_be_at_work(bench: Bench) -> None:
	alone, run = put_alone(bench, 1), make_run(bench, state="Succeeded")
	put(run.backup / SITE, 2)
	run.journal.write_text("{}\n" + run.journal.read_text())
	assert prove_latest(bench, SITE).directory == alone


def test_without_one_to_prove_it_says_what_there_is(bench: Bench) -> None:
	with pytest.raises(Refused, match="there is none"):
		prove_latest(bench, SITE)
	put_alone(bench, 1, whole=False)
	with pytest.raises(
		Refused, match="none of 1 was seen to be whole, and is of no run that is still at work"
	):
		prove_latest(bench, SITE)


def test_what_is_recorded_during_a_proof_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
	directory, prove = put_alone(bench, 1), catalogue.prove_restorable

	def prove_slowly(*arguments: Any) -> dict[str, Any]:
		Proof(directory).record(Rung.SAFE, {"places": []})
		return prove(*arguments)

	monkeypatch.setattr(catalogue, "prove_restorable", prove_slowly)
	assert prove_latest(bench, SITE).reached is Rung.RESTORABLE


def test_a_backup_by_itself_keeps_what_its_programs_said_and_its_error_names_that(
	bench: Bench,
) -> None:
	"""Outside of a run there is no step; what fails is a real process that can't import what it is to do."""
	put_python(bench.path)
	(bench.path / "config" / "press_deploy.json").write_text('{"site_process": "no_such_module"}')
	(bench.site(SITE) / "db").mkdir()
	(bench.site(SITE) / "db" / "shop.db").touch()
	log = bench.deployments / "backups" / f"{SITE}.log"
	for _attempt in range(2):
		with pytest.raises(SiteProcessFailed) as caught:
			back_up_site(bench, SITE)
		assert caught.value.what == SITE and "No module named" in caught.value.why
		assert str(log) in caught.value.remedy and "the step's log" not in str(caught.value)
		assert log.read_text().count("No module named") == 1, "the one before is of no interest any more"
	assert find_backups(bench) == []


def test_what_can_t_be_in_a_program_s_log_is_named_all_the_same(
	bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
	def make(self: Any, site: str, directory: Path, **_options: Any) -> None:
		raise StepFailed("Backing up", site, "it is not complete", f"see {STEP_LOG}")

	monkeypatch.setattr(catalogue.Maker, "make", make)
	with pytest.raises(StepFailed) as caught:
		back_up_site(bench, SITE)
	assert caught.value.remedy == f"see {bench.deployments / 'backups' / SITE}.log"
