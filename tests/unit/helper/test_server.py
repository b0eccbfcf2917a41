import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import press_deploy.helper
from press_deploy.helper import served_benches
from press_deploy.helper import server as server_module
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.configuration import dump
from press_deploy.helper.discovery import discover
from press_deploy.helper.errors import (
	BadRequest,
	Busy,
	Conflict,
	Denied,
	NotFound,
	OperationFailed,
	Unreachable,
)
from press_deploy.helper.listener import open_listener
from press_deploy.helper.practice import write_practice_configuration

from .support import (
	HANG_SECONDS,
	RUN,
	SITES,
	answers,
	exchange,
	frame,
	make_configuration,
	make_entry,
	read_audit,
	read_site,
	running_server,
	wait_until,
	write_json,
)

A = SITES[0]


@pytest.fixture
def data(directory, bench):
	return make_configuration(directory, make_entry(bench))


@pytest.fixture
def client(data):
	with running_server(data):
		yield HelperClient(data["socket"], "shop")


def test_the_whole_way(bench, directory, client):
	answer = client.maintenance_on(RUN, [A], 60)
	assert answer["previous"] == {A: {"present": False}}
	assert read_site(bench)["maintenance_mode"] == 1
	assert client.status()["leases"] == [{**answer["lease"], "expired": False}]
	assert client.status()["sites"] == list(SITES)
	assert client.maintenance_renew(RUN, 120)["expires_at"] > answer["lease"]["expires_at"]
	assert client.maintenance_off(RUN, [A], answer["previous"]) == {}
	assert "maintenance_mode" not in read_site(bench)


def test_a_runner_is_started(bench, client):
	try:
		pid = client.start_runner(RUN)["pid"]
		wait_until(lambda: (bench / "runner.json").exists(), "the runner runs")
		assert client.resume_runner(RUN) == {"pid": pid}
	finally:
		(bench / "release").touch()


def test_errors_arrive_as_what_they_are(client, data):
	with pytest.raises(BadRequest, match=r"^run is "):
		client.start_runner("../../x")
	with pytest.raises(NotFound, match="holds no maintenance lease"):
		client.maintenance_renew(RUN, 60)
	with pytest.raises(Denied, match="may not act on bench 'other'"):
		HelperClient(data["socket"], "other").status()
	client.maintenance_on(RUN, [A], 60)
	with pytest.raises(Conflict, match=RUN):
		client.maintenance_on("other", [A], 60)


@pytest.mark.parametrize(
	"raw",
	[
		b"",
		b"\0",
		b"GET / HTTP/1.1\r\n\r\n",
		frame(b"[]"),
		frame({}),
		frame({"verb": "status"}),
		frame(b"{}") * 2,
	],
)
def test_broken_requests_are_answered_and_logged(directory, client, data, raw):
	answer = exchange(data["socket"], raw)
	assert answer["ok"] is False
	assert answer["error"]["code"] == "bad_request"
	wait_until(lambda: len(read_audit(directory)) >= 2, "the refusal is logged")
	assert client.status()


def test_every_request_and_outcome_is_logged(directory, client, data):
	client.maintenance_on(RUN, [A], 60)
	with pytest.raises(NotFound):
		client.start_runner("none")
	with pytest.raises(BadRequest):
		client.start_runner("forged\n{}")
	request, outcome, *_ = lines = wait_until(
		lambda: len(found := read_audit(directory)) == 6 and found, "three requests and outcomes are logged"
	)
	assert request["event"] == "request"
	assert (request["verb"], request["bench"], request["uid"], request["pid"]) == (
		"maintenance_on",
		"shop",
		os.geteuid(),
		os.getpid(),
	)
	assert request["arguments"] == {"run": RUN, "sites": [A], "lease_seconds": 60}
	assert (outcome["event"], outcome["ok"], outcome["request"]) == ("outcome", True, request["request"])
	assert outcome["seconds"] >= 0
	assert lines[3]["error"]["code"] == "not_found"
	assert "forged" in lines[4]["refused"] and "arguments" not in lines[4]
	assert lines[5]["error"]["code"] == "bad_request"
	assert (directory / "helper.log").stat().st_mode & 0o777 == 0o600


def test_a_long_refusal_is_cut_short(directory, client, data):
	exchange(data["socket"], frame({"x" * 100: "y" * 60000}))
	wait_until(lambda: len(read_audit(directory)) == 2, "the refusal is logged")
	assert len((directory / "helper.log").read_text()) < 2000


def test_an_unwritable_log_goes_to_the_services_own(directory, client, capfd):
	(directory / "helper.log").mkdir()
	client.maintenance_on(RUN, [A], 60)
	kept = capfd.readouterr().err
	assert "audit log" in kept and '"event": "request"' in kept and '"event": "outcome"' in kept


def test_a_slow_caller_is_cut_off_and_harms_nobody(data):
	with running_server(data, request_seconds=0.4):
		with socket.socket(socket.AF_UNIX) as slow:
			slow.connect(data["socket"])
			slow.sendall(b"\0\0")
			assert HelperClient(data["socket"], "shop").status()
			slow.settimeout(HANG_SECONDS)
			assert b"bad_request" in slow.recv(65536)


def test_connections_are_limited_and_become_free_again(directory, data, monkeypatch):
	monkeypatch.setattr(server_module, "MAXIMUM_CONNECTIONS_PER_USER", 3)
	with running_server(data):
		client = HelperClient(data["socket"], "shop")
		held = []

		def hold_one_more():
			held.append(socket.socket(socket.AF_UNIX))
			held[-1].connect(data["socket"])

		hold_one_more()
		hold_one_more()
		# The thread of an answered question takes a moment to end, and counts until then.
		wait_until(lambda: not _is_busy(client), "a third connection is served")

		def hold_until_full():
			hold_one_more()
			return _is_busy(client)

		wait_until(hold_until_full, "the helper is full")
		for connection in held:
			connection.close()
		wait_until(lambda: not _is_busy(client), "the helper has room again")
	assert "busy" in (directory / "helper.log").read_text()


def test_connections_are_limited_in_total(data, monkeypatch):
	monkeypatch.setattr(server_module, "MAXIMUM_CONNECTIONS", 0)
	with running_server(data):
		with pytest.raises(Busy):
			HelperClient(data["socket"], "shop").status()


def _is_busy(client):
	try:
		client.status()
	except Busy:
		return True
	return False


def test_many_callers_at_once_are_all_served(client):
	failures = []

	def ask():
		try:
			for _ in range(10):
				client.status()
		except Exception as error:
			failures.append(error)

	threads = [threading.Thread(target=ask) for _ in range(6)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join(HANG_SECONDS)
	assert failures == []


def test_a_stranger_is_turned_away_unread(data, directory, monkeypatch):
	monkeypatch.setattr(server_module, "read_credentials", lambda connection: (1, 54321))
	with running_server(data):
		with pytest.raises(Denied, match="54321 has no bench here"):
			HelperClient(data["socket"], "shop").status()
	assert read_audit(directory)[0]["refused"] == "None"


def test_an_unforeseen_failure_is_answered_and_logged(client, directory, monkeypatch):
	def fail(self):
		raise ZeroDivisionError("surprise")

	monkeypatch.setattr("press_deploy.helper.operations.Operations.status", fail)
	with pytest.raises(OperationFailed, match="unexpectedly"):
		client.status()
	assert "surprise" in read_audit(directory)[1]["error"]["message"]


def test_an_answer_that_is_too_long_is_an_error(client, monkeypatch):
	monkeypatch.setattr("press_deploy.helper.operations.Operations.status", lambda self: {"x": "x" * 70000})
	with pytest.raises(BadRequest, match="at most"):
		client.status()


def test_an_expired_lease_resumes_the_run(bench, data, directory, monkeypatch):
	monkeypatch.setattr(served_benches, "WATCH_SECONDS", 0.05)
	monkeypatch.setattr("press_deploy.helper.leases.Leases.is_live", lambda self, lease: False)
	try:
		with running_server(data):
			HelperClient(data["socket"], "shop").maintenance_on(RUN, [A], 60)
			wait_until(lambda: (bench / "runner.json").exists(), "the run is resumed")
	finally:
		(bench / "release").touch()
	assert read_site(bench)["maintenance_mode"] == 1
	resumed = [line for line in read_audit(directory) if line.get("verb") == "resume_runner"]
	assert resumed[0]["arguments"] == {"run": RUN, "because": "lease expired"}


def test_no_helper_is_unreachable(directory):
	with pytest.raises(Unreachable, match="helper install"):
		HelperClient(str(directory / "none.sock"), "shop").status()


@pytest.mark.parametrize("answer", [b"", b"\0\0\0\2", frame(b"[]"), frame(b"{}") + b"x"])
def test_a_broken_answer_is_unreachable(directory, answer):
	with socket.socket(socket.AF_UNIX) as listener:
		listener.bind(str(directory / "s"))
		listener.listen()

		def serve():
			connection, _ = listener.accept()
			with connection:
				while connection.recv(65536):
					pass
				connection.sendall(answer)

		thread = threading.Thread(target=serve)
		thread.start()
		with pytest.raises(Unreachable):
			HelperClient(str(directory / "s"), "shop").status()
		thread.join(HANG_SECONDS)


def test_a_silent_helper_is_unreachable(directory):
	with socket.socket(socket.AF_UNIX) as listener:
		listener.bind(str(directory / "s"))
		listener.listen()
		with pytest.raises(Unreachable, match="timed out"):
			HelperClient(str(directory / "s"), "shop", timeout_seconds=0.2).status()


def test_the_socket_is_found(bench, monkeypatch):
	monkeypatch.delenv("PRESS_DEPLOY_HELPER_SOCKET", raising=False)
	assert find_socket(str(bench)) == "/run/press_deploy/helper.sock"
	assert find_bench_name(str(bench)) == "shop"
	for content in ([], {"helper_socket": 7}, {"helper_socket": ""}):
		write_json(bench / "config" / "press_deploy.json", content)
		assert find_socket(str(bench)) == "/run/press_deploy/helper.sock"
	write_json(bench / "config" / "press_deploy.json", {"helper_socket": "/x.sock", "helper_bench": "y"})
	assert (find_socket(str(bench)), find_bench_name(str(bench))) == ("/x.sock", "y")
	monkeypatch.setenv("PRESS_DEPLOY_HELPER_SOCKET", "/z.sock")
	assert find_socket(str(bench)) == "/z.sock"


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(directory):
	path, state = str(directory / "s"), str(directory / "state")
	with socket.socket(socket.AF_UNIX) as dead:
		dead.bind(path)
	with open_listener(path, state):
		assert answers(path)
		with pytest.raises(Conflict, match="stop it first"):
			with open_listener(path, state):
				pass
		with pytest.raises(Conflict, match="Another process answers"):
			with open_listener(path, str(directory / "other state")):
				pass
		assert answers(path)
	assert not os.path.lexists(path)


def test_a_file_in_place_of_the_socket_is_kept(directory):
	(directory / "s").write_text("precious")
	with pytest.raises(OperationFailed, match="not a socket"):
		with open_listener(str(directory / "s"), str(directory / "state")):
			pass
	assert (directory / "s").read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_named(directory):
	with pytest.raises(OperationFailed, match="longer than 107"):
		with open_listener(str(directory / ("x" * 100)), str(directory / "state")):
			pass


def test_a_practice_helper_serves_until_sigterm(bench):
	entry = discover(str(bench), supervisor_socket=str(bench / "none.sock"), services_needed=False)
	path = write_practice_configuration(str(bench), entry)
	root = str(Path(press_deploy.helper.__file__).parents[2])
	command = [sys.executable, "-m", "press_deploy.helper", "--config", path]
	process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
	try:
		found = find_socket(str(bench))
		wait_until(lambda: process.poll() is not None or answers(found), "the helper listens")
		assert HelperClient(found, find_bench_name(str(bench))).status()["programs"] == []
		second = subprocess.run(command, cwd=root, stderr=subprocess.PIPE, text=True, timeout=HANG_SECONDS)
		assert second.returncode == 1
		assert "stop it first" in second.stderr
		process.send_signal(signal.SIGTERM)
		assert process.wait(HANG_SECONDS) == 0
		assert not os.path.lexists(found)
	finally:
		process.kill()
		process.communicate()


def test_a_wrong_configuration_ends_with_one_line(bench, directory, data):
	(directory / "helper.json").write_bytes(dump({**data, "version": 7}))
	root = str(Path(press_deploy.helper.__file__).parents[2])
	command = [sys.executable, "-m", "press_deploy.helper", "--config", str(directory / "helper.json")]
	ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=HANG_SECONDS)
	assert ended.returncode == 1
	assert ended.stderr.startswith("press_deploy helper: In the helper's configuration, version is 7")
	assert ended.stderr.count("\n") == 1


def test_one_benchs_broken_state_harms_no_other(bench, directory, data, capfd):
	data["benches"]["other"] = {**data["benches"]["shop"]}
	broken = directory / "state" / "shop"
	broken.mkdir(parents=True)
	(broken / "restarts.json").write_text("{")
	with running_server(data):
		with pytest.raises(OperationFailed, match=r"restarts\.json"):
			HelperClient(data["socket"], "shop").status()
		assert HelperClient(data["socket"], "other").status()
	assert "restarts.json" in capfd.readouterr().err
