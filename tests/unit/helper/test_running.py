"""A helper that runs takes over what is installed: under a real supervisord, and where nobody restarts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.helper.client import HelperClient
from press_deploy.helper.install import install
from press_deploy.helper.places import Places

from .support import HANG_SECONDS, SITES, answers, make_entry, wait_until, write_json

SUPERVISORD = """\
[unix_http_server]
file={prefix}/run/supervisor.sock
[supervisord]
nodaemon=true
logfile={prefix}/supervisord.log
pidfile={prefix}/supervisord.pid
childlogdir={prefix}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:press-deploy-helper]
command={command}
autorestart=true
startsecs=0
stopasgroup=false
killasgroup=false
"""


@pytest.fixture
def places(directory):
	return Places(str(directory / "system"))


@pytest.fixture
def supervised(bench, places):
	"""The installed helper, run by a supervisord of the system that is below the prefix; it answers."""
	install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	prefix = Path(places.prefix)
	(prefix / "run").mkdir()
	command = " ".join([sys.executable, *places.command[1:]])
	(prefix / "supervisord.conf").write_text(SUPERVISORD.format(prefix=prefix, command=command))
	start = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-n", "-c"]
	daemon = subprocess.Popen([*start, f"{prefix}/supervisord.conf"], stdout=subprocess.DEVNULL)
	try:
		wait_until(lambda: answers(places.socket), "the helper listens")
		yield HelperClient(places.socket, "shop")
	finally:
		daemon.terminate()
		daemon.wait(HANG_SECONDS)


def find_pid(places):
	"""The process of the helper, as the kernel says who listens."""
	for entry in Path("/proc").iterdir():
		if entry.name.isdigit():
			try:
				words = (entry / "cmdline").read_bytes().split(b"\0")
			except OSError:
				continue
			if places.code.encode() in words and places.configuration.encode() in words:
				return int(entry.name)
	return None


def test_new_code_is_started_by_supervisor(bench, places, supervised):
	before = find_pid(places)
	(Path(places.code) / "press_deploy" / "helper" / "policy.py").write_text("POLICY = None")
	lines = install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	assert lines[-2:] == [
		"Supervisor has restarted the helper.",
		"The helper that runs serves shop with all its sites.",
	]
	assert find_pid(places) not in (None, before)
	assert supervised.status()["sites"] == list(SITES)


def test_a_new_site_takes_effect_without_a_restart(bench, places, supervised):
	before = find_pid(places)
	(bench / "sites" / "new.example.com").mkdir()
	write_json(bench / "sites" / "new.example.com" / "site_config.json", {})
	entry = {**make_entry(bench), "sites": [*SITES, "new.example.com"]}
	lines = install(str(bench), prefix=places.prefix, entry=entry)
	assert lines[-1] == "The helper that runs serves shop with all its sites."
	assert supervised.status()["sites"] == entry["sites"]
	assert find_pid(places) == before


def test_where_nobody_restarts_it_new_code_is_said_to_wait(bench, places):
	install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	process = subprocess.Popen([sys.executable, *places.command[1:]])
	try:
		wait_until(lambda: answers(places.socket), "the helper listens")
		(Path(places.code) / "press_deploy" / "helper" / "stale.py").touch()
		lines = install(str(bench), prefix=places.prefix, entry=make_entry(bench))
		assert lines[-1].startswith("It runs what was installed before. Restart it: supervisorctl restart")
	finally:
		process.kill()
		process.wait()


def test_where_none_runs_it_is_said_how_to_start_it(bench, places):
	lines = install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	assert "[program:press-deploy-helper]" in lines
	assert lines[-1].endswith(" ".join(places.command))


def test_roots_own_command_runs_roots_own_copy(bench, places):
	entry = make_entry(bench)
	install(str(bench), prefix=places.prefix, entry=entry)
	assert os.access(places.script, os.X_OK)
	said = subprocess.run([places.script, "refresh"], capture_output=True, text=True, timeout=HANG_SECONDS)
	# This bench has no services that could be found, and nothing else kept it from looking.
	assert said.returncode == 1 and f"No services of {bench} were found" in said.stderr, said
	helped = subprocess.run(
		[places.script, "refresh", "--help"], capture_output=True, text=True, timeout=HANG_SECONDS
	)
	assert helped.returncode == 0 and "--bench" in helped.stdout
