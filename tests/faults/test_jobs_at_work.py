"""Jobs write behind closed doors: what they wrote goes back only with the approval of a person."""

from __future__ import annotations

import json

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.journal.requests import put_request
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import (
	SITE,
	assert_in_order,
	backup_settings,
	create_run,
	held_workers,
	names,
	names_in,
	quarantine_of,
	quick_plan,
	resume,
	write,
)
from tests.faults.going_back import go_back
from tests.faults.saboteur import Saboteur
from tests.support.practice_bench import query, wait_until

FAILING = {"kind": "http", "name": "Odd", "path": "/", "expected_text": "not to be found"}
DRAIN = {"seconds": 1.0, "when_exceeded": "go_on"}


def begin_job(bench: PracticeBench, seconds: float) -> None:
	query(
		bench,
		SITE,
		"INSERT INTO jobs (function, arguments) VALUES ('pack', ?)",
		json.dumps({"seconds": seconds}),
	)
	wait_until(lambda: jobs(bench) == ["running"], "the job at work")


def jobs(bench: PracticeBench) -> list[str]:
	return [
		row[0] for row in query(bench, SITE, "SELECT status FROM jobs WHERE status IN ('queued', 'running')")
	]


def approve(run: RunDirectory) -> None:
	put_request(run, "approve", "admin", "known", approves=load_state(run).waiting["approve"])


def test_a_job_that_waits_is_done_when_the_sites_are_open(bench: PracticeBench) -> None:
	seen: list[list[str]] = []

	def queue() -> None:
		query(bench, SITE, "INSERT INTO jobs (function) VALUES ('value_stock')")

	listeners = [
		Saboteur("step-observed", "pause-jobs", queue),
		# Long after the restart: a worker that starts behind closed doors takes no job either.
		Saboteur("step-announced", "open", lambda: seen.append(jobs(bench))),
	]
	run = create_run(bench, quick_plan(bench, "good"))

	assert execute(Bench.open(bench.path), run, listeners) is State.SUCCEEDED, load_state(run).reason

	assert [each.fired for each in listeners] == [1, 1] and seen == [["queued"]]
	assert_in_order(bench, run)
	wait_until(lambda: jobs(bench) == [], "the job that waited")
	assert query(bench, SITE, "SELECT status FROM jobs") == [("done",)]


def test_workers_that_somebody_else_holds_stay_so(bench: PracticeBench) -> None:
	held_workers(bench).write_text("somebody")
	run = create_run(bench, quick_plan(bench, "good"))
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	assert held_workers(bench).read_text() == "somebody"
	state = load_state(run)
	assert state.result("resume-jobs")["found"] == "nobody was held by this run"
	assert any("suspended by somebody else" in note["text"] for note in state.notes)


def test_what_a_job_wrote_since_the_final_backup_is_asked_for(bench: PracticeBench) -> None:
	plan = quick_plan(bench, "migrating", migrate="always", smoke_tests=[FAILING], drain=DRAIN)
	run = create_run(bench, plan)

	job = [
		Saboteur("step-announced", "pause-jobs", lambda: begin_job(bench, 5)),
		Saboteur("step-observed", "final-backup", lambda: write(bench, "of a job")),
		Saboteur("rollback-started", "", lambda: wait_until(lambda: not jobs(bench), "the end of the job")),
	]

	assert execute(Bench.open(bench.path), run, job) is State.WAITING, load_state(run).reason
	assert [each.fired for each in job] == [1, 1, 1]
	state = load_state(run)
	assert state.result("pause-jobs")["busy"] and not state.result("rollback-pause-jobs")["busy"]
	assert "of a job" in names(bench) and not state.was_opened
	assert not state.waiting["accepts_go"] and state.losses["sites"][SITE]["other_tables"]["items"] == 1

	approve(run)
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	state = assert_in_order(bench, run)
	assert "of a job" not in names(bench) and "of a job" in names_in(quarantine_of(state))


def test_what_a_job_wrote_since_the_approval_is_asked_for_again(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always", drain=DRAIN))
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	write(bench, "of a user")
	begin_job(bench, 15)
	shown = list_losses(Bench.open(bench.path), run)
	job = Saboteur("step-observed", "undo-switch-code", lambda: write(bench, "of a job"))
	assert go_back(bench, run, job, approves=shown["sha256"]) is State.WAITING, load_state(run).reason
	assert job.fired == 1
	state = load_state(run)
	assert state.result("rollback-pause-jobs")["busy"] and state.is_done("lost-documents")
	assert {"of a user", "of a job"} <= set(names(bench)), "more was taken than was approved"
	assert not state.waiting["accepts_go"] and bench.ask().status != 200
	assert state.waiting["approve"] == state.losses["sha256"] != shown["sha256"]

	wait_until(lambda: not jobs(bench), "the end of the job")
	approve(run)
	assert resume(bench, run) is State.WAITING, "the job's own last words were not asked for"
	approve(run)
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	state = assert_in_order(bench, run)
	assert state.before("rollback-database")["approval"]["sha256"] == state.losses["sha256"]
	assert not {"of a user", "of a job"} & set(names(bench))
	assert {"of a user", "of a job"} <= set(names_in(quarantine_of(state)))


def test_the_code_alone_may_go_back_when_the_list_grew(bench: PracticeBench) -> None:
	settings = {**backup_settings(bench), "required_rung": 4}
	run = create_run(bench, quick_plan(bench, "good", backup=settings, drain=DRAIN))
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	begin_job(bench, 8)
	shown = list_losses(Bench.open(bench.path), run)
	job = Saboteur("step-observed", "undo-switch-code", lambda: write(bench, "of a job"))
	asked = {"database": True, "approves": shown["sha256"]}
	assert go_back(bench, run, job, **asked) is State.WAITING, load_state(run).reason
	assert job.fired == 1

	wait_until(lambda: not jobs(bench), "the end of the job")
	put_request(run, "rollback", "admin", "the code alone, then")
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason
	assert "of a job" in names(bench) and not assert_in_order(bench, run).is_done("rollback-database")
