"""A backup is never called better than its rung."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from press_deploy.engine.backup.rungs import PROOF, Proof, Rung
from press_deploy.engine.databases.backup_files import MANIFEST

RECORDED = 40


@pytest.fixture
def directory(tmp_path: Path) -> Path:
	(tmp_path / MANIFEST).write_text('{"files": [1]}')
	return tmp_path


def test_what_was_passed_is_kept_with_its_evidence(directory: Path) -> None:
	proof = Proof(directory)
	assert proof.reached() is Rung.NOTHING
	proof.record(Rung.MADE)
	proof.record(Rung.WHOLE, {"tables": 3})
	again = Proof.load(directory)
	assert again.reached() is Rung.WHOLE and again.facts(Rung.WHOLE) == {"tables": 3}
	assert again.as_data()["rungs"]["2"]["time"].endswith("+00:00")
	assert stat.S_IMODE((directory / PROOF).stat().st_mode) == 0o600


def test_a_rung_counts_only_above_all_lower_ones(directory: Path) -> None:
	proof = Proof(directory)
	for rung in (Rung.MADE, Rung.WHOLE, Rung.RESTORABLE, Rung.BOOTABLE):
		proof.record(rung)
	assert (proof.reached(), proof.highest()) == (Rung.WHOLE, Rung.BOOTABLE)
	assert proof.why_not(Rung.RESTORABLE) == "rung 3 (safe) was not tried"
	proof.record(Rung.SAFE)
	assert proof.reached() is Rung.BOOTABLE and proof.why_not(Rung.BOOTABLE) == ""


def test_a_rung_that_is_lost_takes_the_higher_ones_along(directory: Path) -> None:
	proof = Proof(directory)
	for rung in list(Rung)[1:]:
		proof.record(rung)
	proof.record_failure(Rung.SAFE, "comparison", "the copy differs")
	assert Proof(directory).reached() is Rung.WHOLE
	assert proof.why_not(Rung.RESTORABLE) == "rung 3 (safe) failed: comparison: the copy differs"


def test_a_proof_holds_for_the_files_that_were_looked_at_only(directory: Path) -> None:
	proof = Proof(directory)
	for rung in (Rung.MADE, Rung.WHOLE, Rung.SAFE):
		proof.record(rung)
	(directory / MANIFEST).write_text('{"files": [2]}')
	assert Proof(directory).reached() is Rung.MADE
	assert "as they are now" in Proof(directory).why_not(Rung.WHOLE)
	(directory / MANIFEST).unlink()
	assert Proof(directory).reached() is Rung.MADE


def test_without_a_manifest_nothing_is_more_than_made(tmp_path: Path) -> None:
	proof = Proof(tmp_path)
	proof.record(Rung.MADE)
	proof.record(Rung.WHOLE)
	assert proof.reached() is Rung.MADE


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rungs": 3}', '{"rungs": {"2": true}}', "\xff"])
def test_a_proof_that_cannot_be_read_proves_nothing(directory: Path, content: str) -> None:
	(directory / PROOF).write_text(content, encoding="latin-1")
	assert Proof(directory).reached() is Rung.NOTHING


@pytest.mark.parametrize("passed", [1, "true", None])
def test_only_true_is_passed(directory: Path, passed: object) -> None:
	(directory / PROOF).write_text(json.dumps({"rungs": {"1": {"passed": passed}}}))
	assert Proof(directory).reached() is Rung.NOTHING


def test_a_rung_that_is_not_asked_holds_no_other_up() -> None:
	proof = Proof(not_asked=[Rung.SAFE])
	for rung in (Rung.MADE, Rung.WHOLE, Rung.RESTORABLE):
		proof.record(rung)
	assert proof.reached() is Rung.RESTORABLE


def test_it_is_described_with_what_is_missing_and_what_failed(directory: Path) -> None:
	proof = Proof(directory)
	assert proof.describe() == "rung 0 (nothing)"
	for rung in (Rung.MADE, Rung.WHOLE):
		proof.record(rung)
	assert proof.describe() == "rung 2 (whole)"
	proof.record(Rung.RESTORABLE)
	assert proof.describe() == (
		"rung 2 (whole); rung 4 (restorable) was passed too, but rung 3 (safe) was not tried"
	)
	proof.record_failure(Rung.SAFE, "comparison", "the copy differs")
	assert proof.describe() == (
		"rung 2 (whole); rung 4 (restorable) was passed too, but rung 3 (safe) failed: comparison: the copy differs"
	)
	proof.record_failure(Rung.RESTORABLE, "restore", "a table is crashed")
	assert proof.describe().endswith("; rung 4 (restorable) failed: restore: a table is crashed")
	assert "was passed too" not in proof.describe()
	assert proof.has_failed(Rung.RESTORABLE) and not proof.has_failed(Rung.BOOTABLE)


# --- two who prove the same backup at once -----------------------------------------------------


def test_a_rung_that_somebody_else_passed_meanwhile_stays(directory: Path) -> None:
	"""A proof takes hours; the run copies the backup off and starts the site on it in that time."""
	nightly = Proof(directory)
	of_the_run = Proof(directory)
	for rung in (Rung.MADE, Rung.WHOLE, Rung.SAFE, Rung.BOOTABLE):
		of_the_run.record(rung)
	nightly.record(Rung.RESTORABLE, {"tables": 3})
	assert Proof(directory).reached() is nightly.reached() is Rung.BOOTABLE
	of_the_run.record_failure(Rung.SAFE, "comparison", "the copy differs")
	assert Proof(directory).has(Rung.RESTORABLE)


def record_often(directory: Path, rung: Rung) -> None:
	for time in range(RECORDED):
		Proof(directory).record(rung, {"time": time})


def test_none_is_lost_however_many_record_at_once(directory: Path) -> None:
	context = multiprocessing.get_context("spawn")
	processes = [context.Process(target=record_often, args=(directory, rung)) for rung in list(Rung)[1:]]
	for process in processes:
		process.start()
	for process in processes:
		process.join(60)
	assert [process.exitcode for process in processes] == [0] * len(processes)
	proof = Proof(directory)
	assert [proof.facts(rung) for rung in list(Rung)[1:]] == [{"time": RECORDED - 1}] * len(processes)
