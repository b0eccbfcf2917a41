"""Faults other than a killed runner. Each test also shows that its fault really fired."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from time import sleep
from types import SimpleNamespace

import psutil
import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench import maintenance, services
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.maintenance import MaintenanceObserver
from press_deploy.engine.bench.program_watch import ProgramWatch
from press_deploy.engine.execution.execution import execute, roll_back
from press_deploy.engine.ground.errors import JournalDamaged, LockHeld, Refused
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.steps import deploy
from tests.faults.bench_state import (
	HANG_SECONDS,
	ROOT,
	SITE,
	assert_in_order,
	create_run,
	kill_runner_at,
	publish,
	quick_plan,
	resume,
	take_picture,
)
from tests.faults.going_back import broken_web_server
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import WORKERS, programs, set_key, wait_until


def test_torn_journal_is_cut_and_the_run_goes_on(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "effect", "switch-code")
	torn = b'{"v":1,"seq":99,"event":"step-obs'
	with run.journal.open("ab") as file:
		file.write(torn)

	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason

	repaired = [note for note in assert_in_order(bench, run).notes if "cut_bytes" in note]
	assert [note["cut_bytes"] for note in repaired] == [len(torn)]


def test_edited_journal_is_refused_and_nothing_is_touched(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "step-observed", "switch-code")
	original = run.journal.read_text()
	run.journal.write_text(original.replace('"fetch-code"', '"fetch-dope"', 1))
	before = take_picture(bench)

	with pytest.raises(JournalDamaged, match="changed after it was written"):
		resume(bench, run)

	assert take_picture(bench) == before
	other = create_run(bench, quick_plan(bench, "good"))
	with pytest.raises(LockHeld, match=run.name):
		resume(bench, other)
	run.journal.write_text(original)
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason


def test_changed_plan_is_refused(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "step-observed", "fetch-code")
	original = run.plan.read_text()
	run.plan.write_text(original.replace('"title": "Shop good"', '"title": "Shop bad"'))

	with pytest.raises(JournalDamaged, match="not the plan this run began with"):
		resume(bench, run)

	run.plan.write_text(original)
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason


def test_web_server_that_never_comes_back_is_fatal_until_it_is_mended(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	before = take_picture(bench)
	run = create_run(bench, quick_plan(bench, "good"))
	with broken_web_server(bench, "step-observed", "config", monkeypatch) as saboteur:
		assert run_sabotaged(bench, run, saboteur) is State.FATAL, load_state(run).reason

	state = load_state(run)
	assert "press-deploy rollback" in state.reason and "maintenance" in state.reason
	assert bench.helper.status()["leases"] == [], "a Fatal run must not be resumed by itself"
	assert roll_back(Bench.open(bench.path), run, "admin", "the web server is mended") is State.ROLLED_BACK, (
		load_state(run).reason
	)
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_helper_gone_in_the_window_is_done_without(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	monkeypatch.setattr(services, "GONE_SECONDS", 1.0)
	# So that the lease's thread asks for its helper all the time, as the runner does.
	monkeypatch.setattr(maintenance, "RENEW_SECONDS", 0.05)
	made, asking, open_local = [], set(), services.open_local

	def open_slowly(*arguments: object, **options: object) -> object:
		made.append(open_local(*arguments, **options))
		sleep(1.0)
		return made[-1]

	def ask_locally(self: services.Services) -> object:
		asking.add(threading.current_thread().name)
		return local_operations(self)

	local_operations = services.Services._local_operations
	monkeypatch.setattr(services, "open_local", open_slowly)
	monkeypatch.setattr(services.Services, "_local_operations", ask_locally)
	run = create_run(bench, quick_plan(bench, "good"))
	try:
		saboteur = Saboteur("step-observed", "switch-code", lambda: kill_helper(bench))
		assert run_sabotaged(bench, run, saboteur) is State.SUCCEEDED, load_state(run).reason
		assert len(made) == 1 and {"lease", threading.main_thread().name} <= asking
		assert bench.ask().status == 200
		assert any("helper had gone" in note["text"] for note in load_state(run).notes)
	finally:
		bench.start()
	# The helper still has the lease, lets the run be resumed, and so learns that it is over.
	wait_until(lambda: not bench.helper.status()["leases"], "the end of the forgotten lease", HANG_SECONDS)
	assert_in_order(bench, run)


def test_the_reason_names_the_program_that_died_and_its_log(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	looks, look = [], ProgramWatch.look

	def kill_before_the_second(self: ProgramWatch) -> tuple[list[str], list[str]]:
		looks.append(self)
		if len(looks) == 2:
			kill_worker(bench)
		return look(self)

	monkeypatch.setattr(ProgramWatch, "look", kill_before_the_second)
	run = create_run(bench, quick_plan(bench, "good", stabilise={"seconds": 60.0, "healthy_probes": 2}))
	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	(worker,) = [program["name"] for program in programs(bench, WORKERS)]
	log = f"{bench.path}/logs/worker.error.log"
	assert len(looks) >= 2 and state.rollback["cause"] == (
		f"Stabilise: {worker}: died and was started again (log: {log})"
	)
	assert state.rollback["error"]["remedy"] == f"see why it died: tail -n 100 {log}"


@pytest.mark.parametrize(("event", "step"), [("step-observed", "stabilise"), ("step-observed", "open")])
def test_a_program_that_dies_when_the_services_had_settled_is_rolled_back(
	bench: PracticeBench, event: str, step: str
) -> None:
	"""With the doors closed or open: watching programs takes as long as before, and keeps nobody out."""
	before = take_picture(bench)
	run = create_run(bench, quick_plan(bench, "good", stabilise={"seconds": 60.0, "healthy_probes": 2}))

	saboteur = Saboteur(event, step, lambda: kill_worker(bench))
	assert run_sabotaged(bench, run, saboteur) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert "Programs is 1 died" in state.reason and "short-worker (started again)" in state.reason
	assert f"{bench.path}/logs/worker.error.log" in state.reason
	assert state.was_announced("open") == (step == "open")
	assert take_picture(bench) == before


def test_only_one_of_two_runs_goes_on(bench: PracticeBench) -> None:
	runs = [create_run(bench, quick_plan(bench, "good")) for _ in range(2)]
	command = [sys.executable, "-m", "press_deploy.cli", "resume", "--bench", str(bench.path)]
	processes = [
		subprocess.Popen(
			[*command, run.name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
		)
		for run in runs
	]
	said = [process.communicate(timeout=HANG_SECONDS) for process in processes]

	assert sorted(process.returncode for process in processes) == [0, 2]
	refused = next(
		error for process, (_, error) in zip(processes, said, strict=True) if process.returncode == 2
	)
	assert "at work" in refused or "just starting" in refused


def test_unreachable_remote_is_refused_by_preflight(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before, hidden = take_picture(bench), bench.places.origin.with_suffix(".away")
	bench.places.origin.rename(hidden)
	try:
		assert resume(bench, run) is State.REFUSED, load_state(run).reason
	finally:
		hidden.rename(bench.places.origin)

	assert "does not answer" in load_state(run).reason
	assert take_picture(bench) == before
	assert not load_state(run).was_announced("maintenance")


def test_remote_that_goes_away_after_preflight_aborts_before_the_window(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	before, hidden = take_picture(bench), bench.places.origin.with_suffix(".away")
	saboteur = Saboteur("step-observed", "preflight", lambda: bench.places.origin.rename(hidden))
	try:
		assert run_sabotaged(bench, run, saboteur) is State.ABORTED, load_state(run).reason
	finally:
		hidden.rename(bench.places.origin)

	assert "Nothing was changed" in load_state(run).reason
	assert take_picture(bench) == before


def test_tests_that_hang_are_ended_and_roll_back(bench: PracticeBench) -> None:
	commit = publish(bench, "hanging-tests", {"shop/tests/test_shop.py": "import time\n\ntime.sleep(3600)\n"})
	plan = quick_plan(
		bench,
		"good",
		apps=[{"name": "shop", "ref": "hanging-tests", "expected_commit": commit}],
		critical_tests=[{"module": "shop.tests.test_shop", "timeout_seconds": 1}],
	)
	before, run = take_picture(bench), create_run(bench, plan)

	assert resume(bench, run) is State.ROLLED_BACK, load_state(run).reason

	state = assert_in_order(bench, run)
	assert "not finished after" in json.dumps(state.verdicts)
	assert take_picture(bench) == before


def test_visitor_served_during_maintenance_rolls_back(bench: PracticeBench) -> None:
	def open_the_back_door() -> None:
		set_key(bench, SITE, "maintenance_mode", 0)
		bench.helper.reload("web")
		wait_until(lambda: bench.ask().status == 200, "a visitor who gets through")
		wait_until(lambda: ",200,good," in run.probes.read_text(), "the prober to see it")

	before, run = take_picture(bench), create_run(bench, quick_plan(bench, "good"))
	saboteur = Saboteur("step-observed", "switch-code", open_the_back_door)

	assert run_sabotaged(bench, run, saboteur) is State.ROLLED_BACK, load_state(run).reason

	assert "meant to be in maintenance" in load_state(run).rollback["cause"]
	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_helper_resumes_a_run_whose_lease_expired(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "effect", "switch-code", lease_seconds=10)
	assert bench.ask().status == 503

	wait_until(lambda: not load_state(run).is_unfinished, "the helper to resume the run", HANG_SECONDS)
	wait_until(lambda: not bench.helper.status()["leases"], "the end of the lease")

	assert load_state(run).state is State.SUCCEEDED
	assert bench.served_version() == "2.0.0"


def test_dry_run_of_a_run_that_has_begun_is_refused(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, "step-observed", "fetch-code")
	before = take_picture(bench)

	with pytest.raises(Refused, match="begun for real"):
		execute(Bench.open(bench.path), run, dry_run=True)

	assert take_picture(bench) == before


def test_window_that_closed_meanwhile_is_not_used(
	bench: PracticeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
	end = datetime.now(timezone.utc) + timedelta(seconds=HANG_SECONDS)
	window = {"start": (end - timedelta(days=1)).isoformat(), "end": end.isoformat()}
	run = create_run(bench, quick_plan(bench, "good", window=window))
	kill_runner_at(bench, run, "step-observed", "fetch-code")
	monkeypatch.setattr(deploy, "datetime", SimpleNamespace(now=lambda zone: end.astimezone(zone)))

	assert resume(bench, run) is State.ABORTED

	assert "window is not open any more" in load_state(run).reason
	assert not load_state(run).was_announced("maintenance")


def test_file_that_appears_in_the_app_does_not_stop_a_rollback(bench: PracticeBench) -> None:
	leftover = bench.places.app / "shop" / "generated.txt"
	run = create_run(bench, quick_plan(bench, "http-errors"))
	saboteur = Saboteur(
		"step-observed", "switch-code", lambda: leftover.write_text("made by the new release")
	)
	try:
		assert run_sabotaged(bench, run, saboteur) is State.ROLLED_BACK, load_state(run).reason
		assert bench.served_version() == "1.0.0"
	finally:
		leftover.unlink()


def test_hung_web_server_is_rolled_back(bench: PracticeBench, monkeypatch: pytest.MonkeyPatch) -> None:
	monkeypatch.setattr(maintenance, "OBSERVE_SECONDS", 3)
	monkeypatch.setattr(MaintenanceObserver.wait_until, "__defaults__", (3,))

	def hang() -> None:
		master = psutil.Process(
			next(each["pid"] for each in bench.helper.status()["programs"] if each["role"] == "web")
		)
		for process in (*master.children(), master):
			process.suspend()

	run = create_run(
		bench,
		quick_plan(bench, "good", monitor={"seconds": 60.0, "interval_seconds": 0.5, "minimum_samples": 1}),
	)
	before = take_picture(bench)

	assert run_sabotaged(bench, run, Saboteur("step-announced", "monitor", hang)) is State.ROLLED_BACK, (
		load_state(run).reason
	)

	assert_in_order(bench, run)
	assert take_picture(bench) == before


def test_terminal_that_goes_away_does_not_end_a_run(bench: PracticeBench) -> None:
	def hang_up() -> None:
		raise BrokenPipeError

	run = create_run(bench, quick_plan(bench, "good"))

	assert run_sabotaged(bench, run, Saboteur("step-observed", "maintenance", hang_up)) is State.SUCCEEDED


def kill_helper(bench: PracticeBench) -> None:
	library = str(bench.places.runtime / "library")
	victims = [
		process for process in psutil.process_iter(["cmdline"]) if library in (process.info["cmdline"] or [])
	]
	assert victims, "there is no helper to kill"
	for victim in victims:
		victim.send_signal(signal.SIGKILL)


def kill_worker(bench: PracticeBench) -> None:
	"""Kill it, and wait until supervisor has started another one."""
	(former,) = [program["pid"] for program in programs(bench, WORKERS)]
	psutil.Process(former).kill()

	def is_replaced() -> bool:
		(now,) = programs(bench, WORKERS)
		return now["state"] == "RUNNING" and now["pid"] not in (None, former)

	wait_until(is_replaced, "another worker")
