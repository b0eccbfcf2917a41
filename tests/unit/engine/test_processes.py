"""What a dead runner left is ended, and nobody else is."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest

from press_deploy.engine.bench import processes
from press_deploy.engine.bench.processes import end_processes_of, list_ports_of, started_at
from press_deploy.engine.bench.programs import RUN_VARIABLE
from press_deploy.engine.ground.errors import StepFailed

from .support import OWN, wait_until


def start(run, *command, **options):
	return subprocess.Popen(
		command, env={**os.environ, RUN_VARIABLE: run}, stdout=subprocess.PIPE, text=True, **options
	)


def is_alive(pid):
	try:
		return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
	except psutil.NoSuchProcess:
		return False


def test_children_are_ended_wherever_they_went():
	script = "setsid sleep 600 & echo $! ; sleep 600 & echo $! ; echo over"
	with (
		start(f"{OWN}-run-a", "sh", "-c", script) as parent,
		start(f"{OWN}-run-b", "sleep", "600") as stranger,
	):
		pids = [int(line) for line in iter(parent.stdout.readline, "over\n")]
		wait_until(lambda: all(map(is_alive, pids)), "the children")
		parent.wait()
		try:
			assert set(end_processes_of(f"{OWN}-run-a")) >= set(pids)
			assert not any(map(is_alive, pids)) and is_alive(stranger.pid)
			assert end_processes_of(f"{OWN}-run-a") == []
		finally:
			stranger.kill()


def test_one_that_is_started_meanwhile_is_ended_too(monkeypatch):
	find, late = processes._find, []

	def find_and_start(run):
		found = find(run)
		if not late:
			late.append(start(f"{OWN}-run-c", "sleep", "600"))
			wait_until(lambda: find(f"{OWN}-run-c") != found, "the late one")
		return found

	monkeypatch.setattr(processes, "_find", find_and_start)
	with start(f"{OWN}-run-c", "sleep", "600") as first:
		wait_until(lambda: find(f"{OWN}-run-c"), "the first one")
		end_processes_of(f"{OWN}-run-c")
		first.wait()
	assert not is_alive(late[0].pid)
	late[0].communicate()


def test_the_runner_and_its_ancestors_are_spared(tmp_path):
	code = f"from press_deploy.engine.bench.processes import end_processes_of; print(end_processes_of('{OWN}-run-d'))"
	with start(f"{OWN}-run-d", "sh", "-c", f'{sys.executable} -c "{code}"; echo alive') as parent:
		assert parent.stdout.read().split("\n")[-2] == "alive"
	assert parent.returncode == 0


def test_what_cannot_be_ended_stops_the_resume(monkeypatch):
	monkeypatch.setattr(processes, "LIMIT_SECONDS", 0.2)
	with start(f"{OWN}-run-e", "sleep", "600") as child:
		wait_until(lambda: processes._find(f"{OWN}-run-e"), "the child")
		monkeypatch.setattr(psutil.Process, "kill", lambda self: None)
		with pytest.raises(StepFailed, match=str(child.pid)) as caught:
			end_processes_of(f"{OWN}-run-e")
		monkeypatch.undo()
		child.kill()
	assert "sudo kill -9" in caught.value.remedy and "resume the run" in caught.value.remedy


def test_a_process_knows_when_it_started():
	before = time.time()
	with subprocess.Popen(["sleep", "600"]) as child:
		started = started_at(child.pid)
		child.kill()
	assert before - 0.5 <= started <= time.time() + 0.5
	assert started_at(child.pid) is None and started_at(2**22 + 1) is None


def test_the_ports_of_a_run_are_those_of_its_processes_and_ours():
	script = (
		"import socket, sys; ours = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); "
		"print(ours.getsockname()[1], flush=True); sys.stdin.read()"
	)
	with socket.create_server(("127.0.0.1", 0)) as server:
		address = server.getsockname()
		ports = []
		with ExitStack() as stack:
			for run in (f"{OWN}-run-a", f"{OWN}-run-b"):
				process = stack.enter_context(
					start(run, sys.executable, "-c", script, str(address[1]), stdin=subprocess.PIPE)
				)
				stack.callback(process.kill)
				ports.append(int(process.stdout.readline()))
			own = stack.enter_context(socket.create_connection(address))
			found = list_ports_of(f"{OWN}-run-a")
			assert {ports[0], own.getsockname()[1]} <= found and ports[1] not in found
