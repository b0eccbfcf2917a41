"""The disk fills up, in the window and on the way back: nothing is half-changed, and people are told."""

from __future__ import annotations

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.execution.execution import roll_back
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import create_run, quick_plan, take_picture
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.small_disk import fill_disk, small_disk


def test_full_disk_in_the_window_ends_in_a_rollback(bench: PracticeBench) -> None:
	before = take_picture(bench)
	with small_disk(bench.path / "deployments", "4m"):
		run = create_run(bench, quick_plan(bench, "good"))
		filler = run.path / "filler"
		saboteur = Saboteur("step-observed", "switch-code", lambda: fill_disk(filler))

		assert run_sabotaged(bench, run, saboteur) is State.ROLLED_BACK, load_state(run).reason

		failed = load_state(run).step("config")
		assert failed.status == "failed" and "No space left" in failed.error["why"]
		filler.unlink()
		assert take_picture(bench) == before


def test_a_rollback_that_fails_on_a_full_disk_ends_fatal_and_people_are_told(bench: PracticeBench) -> None:
	before = take_picture(bench)
	edited = bench.path / "apps" / "shop" / "shop" / "patches.txt"
	# More than whatever else is removed meanwhile makes room for.
	edit = "somebody's edit\n" * 150_000
	with small_disk(bench.path / "deployments", "8m"):
		run = create_run(bench, quick_plan(bench, "http-errors"))
		filler = run.path / "filler"

		def fail() -> None:
			edited.write_text(edit)
			fill_disk(filler)

		saboteur = Saboteur("step-observed", "rollback-maintenance", fail)
		assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason

		state = load_state(run)
		assert state.step("undo-switch-code").status == "failed" and "No space left" in state.reason
		assert edited.read_text() == edit, "nothing is overwritten before it is kept"
		assert state.told_seq == state.asked_seq > 0
		assert bench.helper.status()["leases"] == []
		filler.unlink()

		assert roll_back(Bench.open(bench.path), run, "admin", "there is room now") is State.ROLLED_BACK
		assert take_picture(bench) == before
		assert b"somebody's edit" in (run.private / "uncommitted-shop.patch").read_bytes()
