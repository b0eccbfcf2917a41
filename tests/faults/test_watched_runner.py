"""A runner that is killed is missed by the helper, whether or not a site is closed; one that leaves is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import EXIT_CODES, State, load_state
from press_deploy.helper import errors
from press_deploy.helper.client import HelperClient
from tests.faults.bench_state import (
	HANG_SECONDS,
	ROOT,
	assert_in_order,
	create_run,
	kill_runner_at,
	quick_plan,
	resume,
)
from tests.faults.test_going_on import ASKS, FAILING
from tests.support.practice_bench import wait_until


@pytest.mark.parametrize(
	("event", "step", "lease_seconds"),
	[
		("step-observed", "backup", 30),
		# So long that nobody waits for its end here.
		("effect", "switch-code", 3600),
		("step-announced", "monitor", 30),
	],
)
def test_a_killed_runner_is_resumed_without_lease_or_scheduler(
	bench: PracticeBench, event: str, step: str, lease_seconds: int
) -> None:
	run = create_run(bench, quick_plan(bench, "good"))
	kill_runner_at(bench, run, event, step, lease_seconds, watched=True)

	wait_until(lambda: not load_state(run).is_unfinished, "the helper to resume the run", HANG_SECONDS)
	wait_until(lambda: not bench.helper.status()["watched"], "the end of the runner", HANG_SECONDS)

	assert assert_in_order(bench, run).state is State.SUCCEEDED, load_state(run).reason
	assert bench.served_version() == "2.0.0"
	assert resumes_of(bench, run) == ["its runner died"]


def test_an_interrupt_by_a_person_resumes_nothing(bench: PracticeBench) -> None:
	monitor = {"seconds": 3600.0, "interval_seconds": 0.2, "baseline_seconds": 1.0, "minimum_samples": 1}
	run = create_run(bench, quick_plan(bench, "good", monitor=monitor))
	command = [sys.executable, "-m", "press_deploy.cli", "resume", "--bench", str(bench.path), run.name]
	with subprocess.Popen(
		command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
	) as process:
		try:
			wait_until(lambda: load_state(run).was_announced("monitor"), "monitoring", HANG_SECONDS)
			assert bench.helper.status()["watched"] == [run.name]
			os.killpg(process.pid, signal.SIGINT)
			said, _ = process.communicate(timeout=HANG_SECONDS)
		finally:
			process.kill()

	assert "Interrupted" in said
	assert bench.helper.status()["watched"] == []
	assert load_state(run).is_unfinished
	assert resumes_of(bench, run) == []


def test_a_run_that_waits_has_no_runner_to_miss(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "good", smoke_tests=[FAILING], triggers=ASKS))
	command = [sys.executable, "-m", "press_deploy.cli", "resume", "--bench", str(bench.path), run.name]

	ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS)

	assert ended.returncode == EXIT_CODES[State.WAITING], ended.stderr
	assert bench.helper.status()["watched"] == []
	assert resumes_of(bench, run) == []


def test_an_old_helper_does_not_break_a_run(bench: PracticeBench, monkeypatch: pytest.MonkeyPatch) -> None:
	def deny(self: HelperClient, run: str) -> dict:
		raise errors.Denied("The verb 'watch_runner' is not one of status, start_runner.")

	monkeypatch.setattr(HelperClient, "watch_runner", deny)
	monkeypatch.setattr(HelperClient, "unwatch_runner", deny)
	run = create_run(bench, quick_plan(bench, "good"))

	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason

	said = [note["text"] for note in load_state(run).notes]
	assert any("does not watch this runner" in text and "helper install" in text for text in said), said


def heed_interrupts() -> None:
	"""As a terminal starts a program: whatever a shell starts in the background is told to ignore them.

	And as it tells all of the programs that it shows.
	"""
	os.setpgid(0, 0)
	signal.signal(signal.SIGINT, signal.default_int_handler)


def resumes_of(bench: PracticeBench, run: RunDirectory) -> list[str]:
	"""Why the helper resumed the run by itself, each time."""
	lines = (bench.places.runtime / "helper" / "audit.log").read_text().splitlines()
	requests = [line for line in map(json.loads, lines) if line["event"] == "request"]
	asked = [line["arguments"] for line in requests if line.get("verb") == "resume_runner"]
	return [each["because"] for each in asked if each["run"] == run.name and "because" in each]
