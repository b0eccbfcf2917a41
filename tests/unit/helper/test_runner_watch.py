"""A runner that dies is missed at once; one that ends in order, or that somebody else resumed, is not."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from press_deploy.helper import runner_watch
from press_deploy.helper.client import HelperClient
from press_deploy.helper.errors import Busy, NotFound
from press_deploy.helper.operations import Operations
from press_deploy.helper.processes import find_start_ticks
from press_deploy.helper.runner_watch import MAXIMUM_WATCHED, PAUSES, RunnerWatch
from press_deploy.helper.state import StateDirectory

from .support import (
	RUN,
	FakeClock,
	FakeServices,
	build_test_bench,
	make_configuration,
	make_entry,
	read_audit,
	running_server,
	wait_until,
)

# A runner as the helper sees it: asks to be watched, then lives until it is killed or told how to end.
RUNNER = """
import sys
from press_deploy.helper.client import HelperClient
client = HelperClient(sys.argv[1], "shop")
print(client.watch_runner(sys.argv[2]), flush=True)
if sys.stdin.readline().strip() == "in order":
	client.unwatch_runner(sys.argv[2])
"""


class Resumed:
	"""What was resumed, and what was given up."""

	def __init__(self):
		self.runs, self.given_up = [], []

	def resume(self, run, because):
		self.runs.append(run)

	def give_up(self, run, because):
		self.given_up.append(because)


@pytest.fixture
def clock():
	return FakeClock()


@pytest.fixture
def resumed():
	return Resumed()


@pytest.fixture
def watch(directory, clock, resumed, processes):
	# After the processes were set up, hence closed before they are killed.
	watch = begin(directory, clock, resumed)
	yield watch
	watch.close()


@pytest.fixture
def processes():
	"""Starts processes that live until they are killed, at the latest when the test ends."""
	started = []

	def start():
		started.append(subprocess.Popen(["sleep", "600"]))
		return started[-1]

	yield start
	for process in started:
		process.kill()
		process.wait()


def begin(directory, clock, resumed):
	watch = RunnerWatch(StateDirectory(str(directory / "state")), clock, os.geteuid())
	watch.start(resumed.resume, resumed.give_up)
	return watch


def kill(process):
	process.kill()
	process.wait()


def entries(directory):
	return json.loads((directory / "state" / "watched.json").read_text())


def test_a_killed_runner_is_missed(watch, resumed, processes):
	process = processes()
	assert watch.watch(RUN, process.pid) == {"watched": True}
	assert watch.watched() == [RUN]
	kill(process)
	wait_until(lambda: resumed.runs == [RUN], "the run is resumed")
	assert watch.watched() == []


def test_a_runner_that_ends_in_order_is_not(watch, resumed, processes):
	process, other = processes(), processes()
	watch.watch(RUN, process.pid)
	watch.unwatch(RUN, process.pid)
	kill(process)
	# Whatever was still to come for the first would come before the second.
	watch.watch("other", other.pid)
	kill(other)
	wait_until(lambda: resumed.runs, "the other run is resumed")
	assert resumed.runs == ["other"]


def test_only_the_runner_itself_can_leave(watch, resumed, processes):
	process = processes()
	watch.watch(RUN, process.pid)
	watch.unwatch(RUN, os.getpid())
	assert watch.watched() == [RUN]
	kill(process)
	wait_until(lambda: resumed.runs == [RUN], "the run is resumed")


def test_a_former_runner_is_not_missed_once_there_is_a_new_one(watch, resumed, processes):
	former, present = processes(), processes()
	watch.watch(RUN, former.pid)
	watch.watch(RUN, present.pid)
	kill(former)
	watch.note_child_killed(RUN, former.pid)
	kill(present)
	wait_until(lambda: resumed.runs, "the run is resumed")
	assert resumed.runs == [RUN]


def test_a_child_killed_before_it_could_ask_is_missed_once(watch, resumed, processes, directory):
	child = processes()
	kill(child)
	watch.note_child_killed(RUN, child.pid)
	wait_until(lambda: resumed.runs, "the run is resumed")
	watch._note_death(RUN, child.pid, True)
	assert resumed.runs == [RUN]
	assert len(entries(directory)[RUN]["deaths"]) == 1


def test_a_run_that_dies_again_and_again_is_left_alone(
	watch, resumed, processes, clock, monkeypatch, directory
):
	asked = []
	monkeypatch.setattr(watch._closed, "wait", lambda pause: asked.append(pause) or False)
	for _ in range(len(PAUSES) + 2):
		process = processes()
		watch.watch(RUN, process.pid)
		known = len(resumed.runs) + len(resumed.given_up)
		kill(process)
		wait_until(lambda known=known: len(resumed.runs) + len(resumed.given_up) > known, "it is seen")
	assert asked == list(PAUSES) and PAUSES[0] == 0.0 and PAUSES[-1] > 0.0
	assert len(resumed.runs) == len(PAUSES)
	assert resumed.given_up[0] == f"its runner died {len(PAUSES) + 1} times within 15 minutes"
	clock.now += runner_watch.MEMORY_SECONDS
	process = processes()
	watch.watch(RUN, process.pid)
	kill(process)
	wait_until(lambda: len(resumed.runs) > len(PAUSES), "what is long ago counts no more")


def test_a_run_that_somebody_else_resumed_meanwhile_is_not_resumed(watch, resumed, processes, monkeypatch):
	monkeypatch.setattr(runner_watch, "PAUSES", (0.2,))
	former, present, other = processes(), processes(), processes()
	watch.watch(RUN, former.pid)
	kill(former)
	wait_until(lambda: watch.watched() == [], "the death is noted")
	watch.watch(RUN, present.pid)
	watch.watch("other", other.pid)
	kill(other)
	wait_until(lambda: resumed.runs, "the other run is resumed, later")
	assert resumed.runs == ["other"]


def test_a_helper_that_starts_again_goes_on_watching(directory, clock, resumed, processes):
	process, dead = processes(), processes()
	first = begin(directory, clock, resumed)
	first.watch(RUN, process.pid)
	first.watch("dead", dead.pid)
	first.close()
	kill(dead)
	second = begin(directory, clock, resumed)
	wait_until(lambda: resumed.runs == ["dead"], "who died meanwhile is missed")
	kill(process)
	wait_until(lambda: resumed.runs == ["dead", RUN], "who dies now is missed")
	second.close()


def test_a_resume_that_a_stop_of_the_helper_cut_off_is_made_up(
	directory, clock, resumed, processes, monkeypatch
):
	monkeypatch.setattr(runner_watch, "PAUSES", (600.0,))
	first = begin(directory, clock, resumed)
	process = processes()
	first.watch(RUN, process.pid)
	kill(process)
	wait_until(lambda: entries(directory)[RUN]["due"], "the death is noted")
	first.close()
	monkeypatch.setattr(runner_watch, "PAUSES", (0.0,))
	second = begin(directory, clock, resumed)
	wait_until(lambda: resumed.runs == [RUN], "the run is resumed")
	second.close()


def test_another_process_of_the_same_number_is_not_taken_for_it(directory, clock, resumed, processes):
	stranger = processes()
	first = begin(directory, clock, resumed)
	first.watch(RUN, stranger.pid)
	first.close()
	stored = entries(directory)
	stored[RUN]["started"] = find_start_ticks(stranger.pid) - 1
	(directory / "state" / "watched.json").write_text(json.dumps(stored))
	second = begin(directory, clock, resumed)
	wait_until(lambda: resumed.runs == [RUN], "its runner is seen to be gone")
	second.close()


def test_after_a_reboot_a_run_is_resumed_when_services_had_time(
	directory, clock, resumed, processes, monkeypatch
):
	first = begin(directory, clock, resumed)
	first.watch(RUN, processes().pid)
	first.close()
	clock.boot_id, clock.now = "second boot", 5.0
	second = RunnerWatch(StateDirectory(str(directory / "state")), clock, os.geteuid())
	asked = []
	monkeypatch.setattr(second._closed, "wait", lambda pause: asked.append(pause) or False)
	second.start(resumed.resume, resumed.give_up)
	wait_until(lambda: resumed.runs == [RUN], "the run is resumed")
	assert asked == [runner_watch.AFTER_BOOT_SECONDS]


def test_without_pidfd_nothing_is_promised(watch, processes, monkeypatch, directory):
	def refuse(pid):
		raise OSError(38, "Function not implemented")

	monkeypatch.setattr(os, "pidfd_open", refuse)
	assert watch.watch(RUN, processes().pid) == {"watched": False}
	monkeypatch.delattr(os, "pidfd_open")
	assert watch.watch(RUN, processes().pid) == {"watched": False}
	assert watch.watched() == []


def test_a_process_that_is_gone_or_a_strangers_is_not_watched(directory, watch, processes, clock):
	process = processes()
	stranger = RunnerWatch(StateDirectory(str(directory / "state")), clock, 54321)
	with pytest.raises(NotFound, match="one of the bench's user"):
		stranger.watch(RUN, process.pid)
	kill(process)
	with pytest.raises(NotFound, match=f"process {process.pid} that asks"):
		watch.watch(RUN, process.pid)


def test_a_caller_cannot_use_up_descriptors_and_threads(watch, processes):
	process = processes()
	before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
	for _ in range(50):
		watch.watch(RUN, process.pid)
		watch.unwatch(RUN, process.pid)
	for number in range(MAXIMUM_WATCHED):
		watch.watch(f"run-{number}", process.pid)
		watch.watch(f"run-{number}", process.pid)
	with pytest.raises(Busy):
		watch.watch("one-more", process.pid)

	def is_modest():
		descriptors, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
		return descriptors - before[0] <= 3 * MAXIMUM_WATCHED and threads - before[1] <= MAXIMUM_WATCHED

	wait_until(is_modest, "what is not watched any more is given back")


def start_runner(socket):
	command = [sys.executable, "-c", RUNNER, socket, RUN]
	process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
	assert process.stdout.readline() == "{'watched': True}\n"
	return process


@contextlib.contextmanager
def ending_runners(bench):
	try:
		yield
	finally:
		(bench / "release").touch()


def test_the_run_of_a_killed_caller_is_resumed_at_once(bench, directory):
	data = make_configuration(directory, make_entry(bench))
	with ending_runners(bench), running_server(data):
		with start_runner(data["socket"]) as process:
			assert HelperClient(data["socket"], "shop").status()["watched"] == [RUN]
			process.send_signal(signal.SIGKILL)
		wait_until(lambda: (bench / "runner.json").exists(), "the run is resumed")
	(resumed,) = [
		line
		for line in read_audit(directory)
		if line["event"] == "request" and line["verb"] == "resume_runner"
	]
	assert resumed["arguments"] == {"run": RUN, "because": "its runner died"}


def test_the_run_of_a_caller_that_says_goodbye_is_not_resumed(bench, directory):
	data = make_configuration(directory, make_entry(bench))
	with ending_runners(bench), running_server(data):
		with start_runner(data["socket"]) as process:
			process.communicate("in order\n")
		assert HelperClient(data["socket"], "shop").status()["watched"] == []
	assert not (bench / "runner.json").exists()
	assert "resume_runner" not in {line.get("verb") for line in read_audit(directory)}


def test_a_resumed_runner_that_is_killed_in_turn_is_resumed_again(bench, directory):
	operations = Operations(build_test_bench(bench), str(directory / "state"), FakeServices())
	operations.start_watch(lambda run, because: operations.resume_runner(run), lambda run, because: None)
	with ending_runners(bench):
		first = operations.start_runner(RUN)["pid"]
		wait_until(lambda: (bench / "runner.json").exists(), "the runner runs")
		os.kill(first, signal.SIGKILL)

		def is_new():
			with contextlib.suppress(ValueError):
				return json.loads((bench / "runner.json").read_text())["pid"] != first

		wait_until(is_new, "another runner runs")
		operations.close()
	wait_until(lambda: not operations._runners._children, "all runners have ended")


def test_giving_up_stands_in_the_audit_log(bench, directory, monkeypatch):
	monkeypatch.setattr(runner_watch, "PAUSES", ())
	data = make_configuration(directory, make_entry(bench))
	with running_server(data):
		with start_runner(data["socket"]) as process:
			process.kill()
		wait_until(
			lambda: any(line["event"] == "given_up" for line in read_audit(directory)), "it is given up"
		)
	(line,) = [line for line in read_audit(directory) if line["event"] == "given_up"]
	assert (line["bench"], line["run"]) == ("shop", RUN)
	assert "died 1 times" in line["message"] and "lease" in line["message"]
	assert not (bench / "runner.json").exists()
