"""What the helper's tests share: a bench of plain files, fakes for time and services, a server."""

import contextlib
import json
import os
import pwd
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from press_deploy.helper.configuration import build_bench, parse
from press_deploy.helper.errors import NotFound, OperationFailed
from press_deploy.helper.server import Server

HANG_SECONDS = 20.0
SITES = ("a.example.com", "b.example.com", "c.example.com")
RUN = "release-1"

# Leaves its arguments and environment behind, then lives until the file "release" appears or its bench
# is removed, so that no test leaves a process behind.
RUNNER = """\
import json, os, sys, time
bench = sys.argv[-1]
print("runner says hello", flush=True)
descriptors = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]
with open(os.path.join(bench, "runner.json.new"), "w") as file:
	json.dump({"argv": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid(),
		"uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(), "session": os.getsid(0),
		"descriptors": descriptors}, file)
os.replace(file.name, os.path.join(bench, "runner.json"))
while os.path.exists(bench) and not os.path.exists(os.path.join(bench, "release")):
	time.sleep(0.02)
"""


def wait_until(condition, what: str, seconds: float = HANG_SECONDS):
	"""Poll until `condition()` is true and return its value; fail the test when it never is."""
	deadline = time.monotonic() + seconds
	while time.monotonic() < deadline:
		if value := condition():
			return value
		time.sleep(0.01)
	raise AssertionError(f"not within {seconds} s: {what}")


def make_bench(path: Path, uid: int | None = None) -> Path:
	"""Create a bench with three sites and a plan for RUN, belonging to a user (ours by default)."""
	for site in SITES:
		(path / "sites" / site / "locks").mkdir(parents=True)
		write_json(path / "sites" / site / "site_config.json", {"db_name": site, "db_password": "secret"})
	for directory in ("logs", "config", f"deployments/{RUN}"):
		(path / directory).mkdir(parents=True)
	write_json(path / "deployments" / RUN / "plan.json", {})
	(path / "runner.py").write_text(RUNNER)
	if uid is not None:
		for found in (path, *path.rglob("*")):
			os.chown(found, uid, pwd.getpwuid(uid).pw_gid)
	return path


def make_entry(
	path: Path, user: str | None = None, services: dict | None = None, python: str = sys.executable
):
	"""Return the bench's entry in the configuration."""
	return {
		"path": str(path),
		"user": user or pwd.getpwuid(os.geteuid()).pw_name,
		"sites": list(SITES),
		"runner": [python, str(path / "runner.py")],
		"services": services or {"kind": "none", "web": [], "realtime": [], "workers": []},
	}


def build_test_bench(path: Path, services: dict | None = None):
	"""Return the bench as the helper's own object."""
	return build_bench("shop", make_entry(path, services=services))


def make_configuration(directory: Path, entry: dict, name: str = "shop") -> dict:
	"""Return the plain data of a configuration that keeps everything in `directory`."""
	return {
		"version": 1,
		"socket": str(directory / "run" / "helper.sock"),
		"state": str(directory / "state"),
		"audit_log": str(directory / "helper.log"),
		"benches": {name: entry},
	}


def write_json(path: Path, content: object) -> None:
	path.write_text(json.dumps(content, indent=1, sort_keys=True))


def read_site(bench: Path, site: str = SITES[0]) -> dict:
	return json.loads((bench / "sites" / site / "site_config.json").read_text())


def read_audit(directory: Path) -> list[dict]:
	return [json.loads(line) for line in (directory / "helper.log").read_text().splitlines()]


class FakeClock:
	"""Time that passes when told to."""

	def __init__(self):
		self.now = 1_000_000.0
		self.boot_id = "first boot"

	def wall(self):
		return self.now + 1.7e9

	def elapsed(self):
		return self.now

	def boot(self):
		return self.boot_id


class FakeServices:
	"""Programs that start at once and stop when told that they may."""

	def __init__(self, *names):
		self.programs = {name: {"state": "RUNNING", "pid": 100 + index} for index, name in enumerate(names)}
		self.calls = []
		self.stubborn = set()
		self.broken_starts = {}
		self.next_pid = 1000

	def status(self, name):
		if name not in self.programs:
			raise NotFound(name)
		return {"name": name, "started_at": None, "description": "fake", **self.programs[name]}

	def reload(self, name):
		self.calls.append(("reload", name))

	def stop(self, name):
		self.calls.append(("stop", name))
		if name in self.stubborn:
			self.programs[name]["state"] = "STOPPING"
		else:
			self.let_stop(name)

	def let_stop(self, name):
		self.programs[name] = {"state": "STOPPED", "pid": None}

	def start(self, name):
		self.calls.append(("start", name))
		if self.broken_starts.get(name, 0) > 0:
			self.broken_starts[name] -= 1
			raise OperationFailed("no such file")
		self.next_pid += 1
		self.programs[name] = {"state": "RUNNING", "pid": self.next_pid}


@contextlib.contextmanager
def running_server(data: dict, **options):
	"""Serve a configuration from a thread of this process."""
	for place in (data["state"], os.path.dirname(data["socket"])):
		os.makedirs(place, exist_ok=True)
	with serving(Server(parse(data), **options), data) as server:
		yield server


@contextlib.contextmanager
def serving(server: Server, data: dict):
	"""Let a server serve from a thread of this process."""
	thread = threading.Thread(target=server.serve)
	thread.start()
	try:
		wait_until(lambda: answers(data["socket"]), "the helper listens")
		log = Path(data["audit_log"])
		wait_until(lambda: log.exists() and log.read_text().count("\n") == 2, "that question is logged")
		log.unlink()
		yield server
	finally:
		server.stop()
		thread.join(HANG_SECONDS)
		assert not thread.is_alive()


def answers(path: str) -> bool:
	with socket.socket(socket.AF_UNIX) as probe:
		try:
			probe.connect(path)
		except OSError:
			return False
		return True


def exchange(path: str, raw: bytes, close: bool = True) -> dict:
	"""Send raw bytes to a helper and return its answer."""
	with socket.socket(socket.AF_UNIX) as connection:
		connection.settimeout(HANG_SECONDS)
		connection.connect(path)
		with contextlib.suppress(BrokenPipeError):
			connection.sendall(raw)
			if close:
				connection.shutdown(socket.SHUT_WR)
		received = b""
		with contextlib.suppress(ConnectionResetError):
			while chunk := connection.recv(65536):
				received += chunk
	(length,) = struct.unpack(">I", received[:4])
	assert length == len(received) - 4
	return json.loads(received[4:])


def frame(message: object) -> bytes:
	payload = message if isinstance(message, bytes) else json.dumps(message).encode()
	return struct.pack(">I", len(payload)) + payload
