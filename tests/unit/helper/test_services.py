"""Against a real supervisord, which is started once for this module; and against a stand-in systemctl."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from press_deploy.helper.configuration import build_bench
from press_deploy.helper.discovery import discover
from press_deploy.helper.errors import NotFound, OperationFailed
from press_deploy.helper.operations import Operations
from press_deploy.helper.services import Supervisor, Systemd, find_start_time
from press_deploy.helper.supervisor import SupervisorConnection

from .support import HANG_SECONDS, SITES, build_test_bench, make_bench, wait_until

PROGRAM = """\
import os, signal, sys, time
marks = sys.argv[1]
def mark(word):
	with open(marks, "a") as file:
		file.write(f"{word} {os.getpid()}\\n")
signal.signal(signal.SIGHUP, lambda *_: mark("reloaded"))
if "busy" in sys.argv:
	signal.signal(signal.SIGTERM, lambda *_: mark("asked to stop"))
mark("started")
while not os.path.exists(marks + ".release") and not os.path.exists(f"{marks}.release-{os.getpid()}"):
	time.sleep(0.02)
"""
SUPERVISOR = """\
[unix_http_server]
file={path}/config/supervisor.sock
username=admin
password=p:a@s%%s

[supervisord]
nodaemon=true
logfile={path}/logs/supervisord.log
pidfile={path}/supervisord.pid
childlogdir={path}/logs

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files={path}/config/supervisor.conf
"""
SECTION = """\
[program:{name}]
command={python} {path}/program.py {path}/{name}.marks {extra}
directory={directory}
startsecs=0
stopwaitsecs=600
{more}
"""
GROUPS = """\
[group:shop-web]
programs=shop-frappe-web,shop-node-socketio

[group:shop-workers]
programs=shop-frappe-schedule,shop-frappe-long-worker,other-worker ; a comment

[group:shop-redis]
programs=shop-redis-cache

[group:foreign-web]
programs=shop-frappe-foreign-worker
"""
LOGIN = {"username": "admin", "password": "p:a@s%s"}
WEB = "shop-web:shop-frappe-web"
WORKER, OTHER_WORKER = (f"shop-workers:shop-frappe-long-worker-{number}" for number in range(2))


def write_supervisor_files(path: Path) -> None:
	numbered = "numprocs=2\nprocess_name=%(program_name)s-%(process_num)d"
	sections = [
		("shop-frappe-web", "", path / "sites", ""),
		("shop-node-socketio", "", path, ""),
		("shop-frappe-schedule", "", path, ""),
		("shop-frappe-long-worker", "busy", path, numbered),
		("other-worker", "", path, ""),
		("shop-redis-cache", "", path, ""),
		("shop-frappe-foreign-worker", "", path, ""),
	]
	text = GROUPS
	for name, extra, directory, more in sections:
		text += SECTION.format(
			name=name, extra=extra, directory=directory, more=more, path=path, python=sys.executable
		)
	(path / "program.py").write_text(PROGRAM)
	(path / "config" / "supervisor.conf").write_text(text)
	(path / "supervisord.conf").write_text(SUPERVISOR.format(path=path))


@pytest.fixture(scope="module")
def live():
	"""A bench whose programs run under a real supervisord; its path."""
	pytest.importorskip("supervisor")
	directory = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
	path = make_bench(directory / "shop")
	write_supervisor_files(path)
	command = [
		sys.executable,
		"-W",
		"ignore",
		"-m",
		"supervisor.supervisord",
		"-n",
		"-c",
		f"{path}/supervisord.conf",
	]
	with open(path / "logs" / "output", "wb") as output:
		daemon = subprocess.Popen(command, stdout=output, stderr=output)
	try:
		wait_until(lambda: len(list(path.glob("*.marks"))) == 7, "supervisor has started its programs")
		yield path
	finally:
		for marks in path.glob("*.marks"):
			marks.with_name(f"{marks.name}.release").touch()
		daemon.terminate()
		daemon.wait(HANG_SECONDS)
		shutil.rmtree(directory)


@pytest.fixture
def entry(live):
	return discover(str(live), **LOGIN)


@pytest.fixture
def operations(live, entry, directory):
	operations = Operations(build_bench("shop", entry), str(directory / "state"))
	yield operations
	operations.close()


@pytest.fixture
def port(live):
	return connect(live)


def connect(path, **changes):
	options = {**LOGIN, "owners": {os.geteuid()}, **changes}
	return Supervisor(SupervisorConnection(str(path / "config" / "supervisor.sock"), **options))


def count_marks(live, program, word):
	return (live / f"{program}.marks").read_text().count(word)


def test_discovery_finds_this_benchs_services_and_no_others(live, entry):
	services = entry["services"]
	assert services["web"] == [WEB]
	assert services["realtime"] == ["shop-web:shop-node-socketio"]
	assert services["workers"] == [
		"shop-workers:shop-frappe-long-worker-0",
		"shop-workers:shop-frappe-long-worker-1",
		"shop-workers:shop-frappe-schedule",
	]
	assert services["socket"] == str(live / "config" / "supervisor.sock")
	assert entry["runner"] == [str(live / "env" / "bin" / "python"), "-m", "press_deploy.cli"]
	assert entry["sites"] == list(SITES)


def test_status_tells_the_truth(port):
	status = port.status(WEB)
	assert (status["name"], status["state"]) == (WEB, "RUNNING")
	assert os.path.exists(f"/proc/{status['pid']}")
	assert abs(status["started_at"] - time.time()) < 600


def test_reload_reaches_the_process(live, operations):
	before = count_marks(live, "shop-frappe-web", "reloaded")
	assert operations.reload("web") == {"signalled": [WEB]}
	wait_until(lambda: count_marks(live, "shop-frappe-web", "reloaded") == before + 1, "the signal arrives")


def test_restart_of_web_waits_for_no_worker(live, operations, port):
	before = {name: port.status(name) for name in (WEB, WORKER, OTHER_WORKER)}
	asked = time.time()
	assert WORKER in operations.restart("workers")["restarting"]
	wait_until(lambda: port.status(WORKER)["state"] == "STOPPING", "the busy worker is stopping")
	assert operations.restart("web") == {"restarting": [WEB]}
	wait_until(lambda: WEB not in operations.wait_for_restarts(0), "web has been restarted")
	web = port.status(WEB)
	assert web["state"] == "RUNNING" and web["pid"] != before[WEB]["pid"]
	# The kernel counts in hundredths of a second.
	assert web["started_at"] >= asked - 0.02
	assert WORKER in operations.wait_for_restarts(0)
	assert port.status(WORKER)["pid"] == before[WORKER]["pid"]

	for name in (WORKER, OTHER_WORKER):
		(live / f"shop-frappe-long-worker.marks.release-{before[name]['pid']}").touch()
	wait_until(lambda: port.status(WORKER)["pid"] != before[WORKER]["pid"], "the old worker is gone")
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert port.status(WORKER)["state"] == "RUNNING"


def test_what_is_already_so_is_no_error(port):
	name = "shop-web:shop-node-socketio"
	port.start(name)
	port.stop(name)
	wait_until(lambda: port.status(name)["state"] == "STOPPED", "it stops")
	port.stop(name)
	status = port.status(name)
	assert (status["pid"], status["started_at"]) == (None, None)
	port.start(name)
	wait_until(lambda: port.status(name)["state"] == "RUNNING", "it starts")


@pytest.mark.parametrize("act", ["status", "reload", "stop", "start"])
def test_unknown_names_are_told_apart(port, act):
	with pytest.raises(NotFound, match="BAD_NAME"):
		getattr(port, act)("shop-web:unknown")


def test_a_wrong_password_is_not_repeated(live):
	with pytest.raises(OperationFailed, match="HTTP 401") as refusal:
		connect(live, password="geheim").status(WEB)
	assert "geheim" not in str(refusal.value)


def test_a_supervisor_of_another_user_is_not_spoken_to(live):
	with pytest.raises(OperationFailed, match="neither root nor"):
		connect(live, owners={54321}).status(WEB)


def test_no_supervisor_at_all_is_said(bench):
	with pytest.raises(OperationFailed, match="Is supervisord running"):
		connect(bench).status(WEB)


@pytest.mark.parametrize(
	"answer",
	[
		b"",
		b"nonsense",
		b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<not xml",
		b"HTTP/1.1 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse></methodResponse>",
		b"HTTP/1.1 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse><params><param>"
		b"<value><int>1</int></value></param></params></methodResponse>",
		b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (5 * 1024 * 1024),
	],
)
def test_a_supervisor_that_talks_nonsense_is_an_error(bench, answer):
	with socket.socket(socket.AF_UNIX) as listener:
		listener.bind(str(bench / "config" / "supervisor.sock"))
		listener.listen()

		def serve():
			connection, _ = listener.accept()
			with connection:
				connection.recv(65536)
				try:
					connection.sendall(answer)
				except OSError:
					pass

		server = threading.Thread(target=serve, daemon=True)
		server.start()
		with pytest.raises(OperationFailed):
			connect(bench).status(WEB)
		server.join(HANG_SECONDS)


def test_without_services_a_bench_can_still_be_described(bench):
	with pytest.raises(NotFound, match="No services of"):
		discover(str(bench), supervisor_socket=str(bench / "none.sock"))
	entry = discover(str(bench), supervisor_socket=str(bench / "none.sock"), services_needed=False)
	assert entry["services"] == {"kind": "none", "web": [], "realtime": [], "workers": []}
	assert build_bench("shop", entry)


def test_discovery_takes_real_sites_only(bench, directory):
	(bench / "sites" / "assets").mkdir()
	(bench / "sites" / "linked").symlink_to(bench / "sites" / SITES[0])
	(bench / "sites" / ".hidden").mkdir()
	(bench / "sites" / ".hidden" / "site_config.json").touch()
	found = discover(str(bench), supervisor_socket=str(bench / "none.sock"), services_needed=False)
	assert found["sites"] == list(SITES)


def test_a_directory_that_is_no_bench_is_named(directory):
	with pytest.raises(NotFound, match="not a bench"):
		discover(str(directory))
	with pytest.raises(NotFound, match="cannot be examined"):
		discover(str(directory / "gone"))


SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {directory}/calls
case "$*" in
*not-found*) [ "$3" = show ] && echo LoadState=not-found || {{ echo "no such unit" >&2; exit 5; }} ;;
*reset-failed*) exit 1 ;;
*show*) printf '%s\\n' LoadState=loaded ActiveState={state} SubState=x MainPID={pid} Result=success ;;
esac
"""


def make_systemd(directory, state="active", pid="0"):
	path = directory / "systemctl"
	path.write_text(SYSTEMCTL.format(directory=directory, state=state, pid=pid))
	path.chmod(0o755)
	return Systemd(str(path))


@pytest.mark.parametrize(
	("active", "state"),
	[
		("active", "RUNNING"),
		("reloading", "RUNNING"),
		("activating", "STARTING"),
		("deactivating", "STOPPING"),
		("inactive", "STOPPED"),
		("failed", "FAILED"),
		("surprising", "UNKNOWN"),
	],
)
def test_states_of_systemd_are_translated(directory, active, state):
	pid = os.getpid() if state == "RUNNING" else 0
	status = make_systemd(directory, active, str(pid)).status("shop-frappe-web.service")
	assert (status["state"], status["pid"]) == (state, pid or None)
	assert status["started_at"] == (pytest.approx(find_start_time(pid), abs=0.1) if pid else None)


def test_systemctl_is_given_constant_arguments(directory):
	systemd = make_systemd(directory)
	systemd.reload("a.service")
	systemd.stop("a.service")
	systemd.start("a.service")
	calls = (directory / "calls").read_text().splitlines()
	assert [call.removeprefix("--no-ask-password --no-pager ") for call in calls] == [
		"kill --signal=HUP --kill-who=main -- a.service",
		"stop --no-block -- a.service",
		"reset-failed -- a.service",
		"start --no-block -- a.service",
	]


def test_failures_of_systemctl_are_told(directory):
	systemd = make_systemd(directory)
	with pytest.raises(NotFound, match="no unit"):
		systemd.status("not-found.service")
	with pytest.raises(OperationFailed, match="no such unit"):
		systemd.stop("not-found.service")
	with pytest.raises(OperationFailed, match="could not be run"):
		Systemd(str(directory / "none")).stop("a.service")


def test_start_times_come_from_the_kernel():
	asked = time.time()
	child = subprocess.Popen(["sleep", "600"])
	try:
		started = find_start_time(child.pid)
		# Counted in hundredths of a second, and converted from another clock.
		assert asked - 0.05 <= started <= time.time() + 0.05
	finally:
		child.kill()
		child.wait()
	assert find_start_time(child.pid) is None


def test_services_out_of_reach_say_so(bench, directory):
	operations = Operations(build_test_bench(bench), str(directory / "state"))
	assert operations.status() == {"programs": [], "leases": [], "sites": list(SITES), "watched": []}
	with pytest.raises(NotFound, match="helper install"):
		operations.restart("web")
