"""The installed copy, as it runs in production: `/usr/bin/python3 -I`, where possible as root.

The bench belongs to `nobody`, who attacks.
"""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.helper.client import HelperClient
from press_deploy.helper.errors import Conflict, Denied, NotFound, OperationFailed
from press_deploy.helper.install import install
from press_deploy.helper.places import Places

from .support import (
	HANG_SECONDS,
	RUN,
	SITES,
	answers,
	frame,
	make_bench,
	make_entry,
	read_site,
	wait_until,
	write_json,
)

PYTHON = "/usr/bin/python3"
A, B, _ = SITES
NOBODY = pwd.getpwnam("nobody")
LIST_MODULES = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
import press_deploy.helper.__main__, press_deploy.helper.install, press_deploy.helper.client
import press_deploy.helper.practice
loaded = set(sys.modules) - before
foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"press_deploy"}
beside = [name for name in loaded if name.startswith("press_deploy.") and ".helper" not in name]
print(sorted(foreign), beside, sys.flags.isolated, sys.modules["press_deploy"].__file__)
"""


def python_is_usable() -> bool:
	if not os.path.exists(PYTHON):
		return False
	check = "import sys; sys.exit(sys.version_info < (3, 10))"
	return subprocess.run([PYTHON, "-I", "-c", check], timeout=HANG_SECONDS).returncode == 0


system_python = pytest.mark.skipif(not python_is_usable(), reason=f"needs {PYTHON} 3.10 or later")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the helper gives up root for a user")


@pytest.fixture
def places(directory):
	return Places(str(directory / "system"))


@contextlib.contextmanager
def serving(places):
	"""Run the installed helper; yield its process once it answers."""
	process = subprocess.Popen([PYTHON, *places.command[1:]], stderr=subprocess.PIPE, text=True)
	try:
		wait_until(lambda: process.poll() is not None or answers(places.socket), "the helper listens")
		assert process.poll() is None, process.stderr.read()
		yield process
	finally:
		process.kill()
		process.communicate()


@pytest.fixture
def hostile(directory, places):
	"""A bench of nobody's, with the helper installed for it."""
	bench = make_bench(directory / "shop", NOBODY.pw_uid)
	entry = make_entry(bench, user="nobody", python=PYTHON)
	install(str(bench), prefix=places.prefix, entry=entry)
	yield bench
	(bench / "release").touch()


@pytest.fixture
def client(hostile, places):
	with serving(places):
		yield HelperClient(places.socket, "shop")


@system_python
def test_the_copy_needs_the_standard_library_alone(bench, places):
	install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	listed = subprocess.run(
		[PYTHON, "-I", "-c", LIST_MODULES, places.code],
		capture_output=True,
		text=True,
		timeout=HANG_SECONDS,
	)
	assert listed.stdout == f"[] [] 1 {places.code}/press_deploy/__init__.py\n", listed.stderr


@system_python
def test_the_copy_serves_our_own_bench(bench, places):
	install(str(bench), prefix=places.prefix, entry=make_entry(bench, python=PYTHON))
	with serving(places) as process:
		client = HelperClient(places.socket, "shop")
		previous = client.maintenance_on(RUN, [A], 60)["previous"]
		assert read_site(bench)["maintenance_mode"] == 1
		client.maintenance_off(RUN, [A], previous)
		process.send_signal(signal.SIGTERM)
		assert process.wait(HANG_SECONDS) == 0
	assert not os.path.lexists(places.socket)
	assert not list(Path(places.code).rglob("__pycache__"))


@system_python
def test_killed_and_started_again_it_knows_its_leases(bench, places):
	install(str(bench), prefix=places.prefix, entry=make_entry(bench, python=PYTHON))
	with serving(places) as process:
		first = HelperClient(places.socket, "shop").maintenance_on(RUN, [A], 600)
		process.kill()
		process.wait()
	with serving(places):
		client = HelperClient(places.socket, "shop")
		assert client.status()["leases"] == [{**first["lease"], "expired": False}]
		assert client.maintenance_on(RUN, [A], 600)["previous"] == first["previous"]
		with pytest.raises(Conflict):
			client.maintenance_on("other", [A], 600)


@as_root
@system_python
def test_as_root_files_stay_the_bench_users(hostile, client):
	answer = client.maintenance_on(RUN, [A, B], 60)
	for site in (A, B):
		status = (hostile / "sites" / site / "site_config.json").stat()
		assert (status.st_uid, status.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
		assert (hostile / "sites" / site / "locks" / "site_config.lock").stat().st_uid == NOBODY.pw_uid
		assert read_site(hostile, site)["maintenance_mode"] == 1
	client.maintenance_off(RUN, [A, B], answer["previous"])
	assert "maintenance_mode" not in read_site(hostile)


@as_root
@system_python
def test_the_runner_is_the_bench_user_and_nothing_more(hostile, client):
	pid = client.start_runner(RUN)["pid"]
	wait_until(lambda: (hostile / "runner.json").exists(), "the runner runs")
	seen = json.loads((hostile / "runner.json").read_text())
	assert seen["pid"] == pid
	assert seen["uids"] == [NOBODY.pw_uid] * 3
	assert seen["gids"] == [NOBODY.pw_gid] * 3
	assert set(seen["groups"]) == set(os.getgrouplist("nobody", NOBODY.pw_gid))
	assert seen["descriptors"] == [0, 1, 2]
	assert seen["environment"]["HOME"] == NOBODY.pw_dir
	assert (hostile / "logs" / "press_deploy.runner.log").stat().st_uid == NOBODY.pw_uid


@as_root
@system_python
def test_the_runner_outlives_the_helper(hostile, places):
	with serving(places) as process:
		pid = HelperClient(places.socket, "shop").start_runner(RUN)["pid"]
		wait_until(lambda: (hostile / "runner.json").exists(), "the runner runs")
		process.terminate()
		process.wait(HANG_SECONDS)
	assert os.path.exists(f"/proc/{pid}")
	with open(f"/proc/{pid}/cmdline") as file:
		assert RUN in file.read()


@as_root
@system_python
@pytest.mark.parametrize(
	"attack", ["symlink", "hardlink", "site directory", "sites directory", "lock", "leftover"]
)
def test_links_to_roots_files_gain_nothing(hostile, client, directory, attack):
	victim = directory / "system" / "victim"
	victim.mkdir()
	secret = victim / "site_config.json"
	write_json(secret, {"root": "only"})
	secret.chmod(0o600)
	site = hostile / "sites" / A
	config = site / "site_config.json"
	if attack == "symlink":
		config.unlink()
		config.symlink_to(secret)
	elif attack == "hardlink":
		config.unlink()
		config.hardlink_to(secret)
	elif attack == "site directory":
		site.rename(hostile / "sites" / "moved")
		site.symlink_to(victim)
	elif attack == "sites directory":
		(victim / A).mkdir(mode=0o700)
		secret.rename(victim / A / "site_config.json")
		secret = victim / A / "site_config.json"
		(hostile / "sites").rename(hostile / "moved")
		(hostile / "sites").symlink_to(victim)
	elif attack == "lock":
		(site / "locks" / "site_config.lock").symlink_to(victim / "created")
	else:
		(site / ".site_config.json.press_deploy-new").symlink_to(secret)
	before = secret.stat()
	with contextlib.suppress(OperationFailed):
		client.maintenance_on(RUN, [A], 60)
		# The attack on the leftover hurts nobody: the link itself is removed.
		assert attack == "leftover"
	after = secret.stat()
	assert json.loads(secret.read_text()) == {"root": "only"}
	assert (after.st_ino, after.st_mtime_ns, after.st_mode, after.st_uid) == (
		before.st_ino,
		before.st_mtime_ns,
		before.st_mode,
		before.st_uid,
	)
	assert not (victim / "created").exists()
	assert not (victim / "locks").exists()


@as_root
@system_python
def test_a_log_that_leads_elsewhere_is_not_written(hostile, client, directory):
	victim = directory / "system" / "victim"
	victim.write_text("")
	(hostile / "logs").rename(hostile / "moved")
	(hostile / "logs").symlink_to(directory / "system")
	(hostile / "moved" / "press_deploy.runner.log").symlink_to(victim)
	with pytest.raises(OperationFailed, match=r"press_deploy\.runner\.log"):
		client.start_runner(RUN)
	assert victim.read_text() == ""
	assert not (directory / "system" / "press_deploy.runner.log").exists()


@as_root
@system_python
def test_a_plan_only_root_can_see_is_not_there(hostile, client, directory):
	hidden = directory / "system" / "hidden"
	hidden.mkdir(mode=0o700)
	(hidden / "plan.json").write_text("{}")
	(hostile / "deployments" / "peek").symlink_to(hidden)
	with pytest.raises(NotFound, match=r"plan\.json"):
		client.start_runner("peek")


CALL = """
import socket, struct, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
try:
	connection.sendall(bytes.fromhex(sys.argv[2]))
	connection.shutdown(socket.SHUT_WR)
except BrokenPipeError:
	pass
received = b""
try:
	while chunk := connection.recv(65536):
		received += chunk
except ConnectionResetError:
	pass
print(received[4:].decode())
"""


def call_as(user: str, path: str, message: dict) -> dict:
	account = pwd.getpwnam(user)
	command = [PYTHON, "-I", "-c", CALL, path, frame(message).hex()]
	called = subprocess.run(
		command,
		user=account.pw_uid,
		group=account.pw_gid,
		extra_groups=[],
		capture_output=True,
		text=True,
		timeout=HANG_SECONDS,
		cwd="/",
	)
	return json.loads(called.stdout)


@as_root
@system_python
def test_the_kernel_says_who_calls(client, places):
	request = {"version": 1, "verb": "status", "bench": "shop", "arguments": {}}
	assert call_as("nobody", places.socket, request)["ok"] is True
	answer = call_as("daemon", places.socket, request)
	assert answer["error"]["code"] == "denied"
	assert "has no bench here" in answer["error"]["message"]
	lines = [json.loads(line) for line in Path(places.audit_log).read_text().splitlines()]
	assert {line["uid"] for line in lines} >= {NOBODY.pw_uid, pwd.getpwnam("daemon").pw_uid}


@as_root
@system_python
def test_one_benchs_user_is_nothing_to_another_bench(hostile, directory, places):
	other = make_bench(directory / "other", pwd.getpwnam("daemon").pw_uid)
	install(str(other), prefix=places.prefix, entry=make_entry(other, user="daemon", python=PYTHON))
	arguments = {"run": RUN, "sites": [A], "lease_seconds": 60}
	with serving(places):
		for bench, user, allowed in [
			("shop", "nobody", True),
			("shop", "daemon", False),
			("other", "nobody", False),
		]:
			request = {"version": 1, "verb": "maintenance_on", "bench": bench, "arguments": arguments}
			assert call_as(user, places.socket, request)["ok"] is allowed
	assert "maintenance_mode" not in read_site(other)


@as_root
@system_python
def test_a_lock_that_is_held_for_ever_costs_only_that_request(hostile, client):
	hold = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(600)"
	lock = hostile / "sites" / A / "locks" / "site_config.lock"
	holder = subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE)
	try:
		assert holder.stdout.readline()
		os.chown(lock, NOBODY.pw_uid, NOBODY.pw_gid)
		with pytest.raises(OperationFailed, match="keeps the lock"):
			client.maintenance_on(RUN, [A], 60)
	finally:
		holder.kill()
		holder.communicate()
	assert client.status()["leases"] == []
	assert client.maintenance_on(RUN, [A], 60)


@as_root
@system_python
@pytest.mark.parametrize("place", ["code/press_deploy/helper/policy.py", "code", "configuration", "state"])
def test_as_root_what_others_could_write_is_not_run(hostile, places, place):
	first, _, rest = place.partition("/")
	path = Path(getattr(places, first)) / rest if rest else Path(getattr(places, first))
	os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
	refused = subprocess.run(
		[PYTHON, *places.command[1:]], capture_output=True, text=True, timeout=HANG_SECONDS
	)
	assert refused.returncode == 1
	assert f"{path} belongs to user id {NOBODY.pw_uid}" in refused.stderr


@as_root
@system_python
def test_roots_supervisor_is_not_reached_for_a_stranger(client):
	with pytest.raises(NotFound):
		client.restart("web")
	with pytest.raises(Denied):
		client._call("shutdown")
