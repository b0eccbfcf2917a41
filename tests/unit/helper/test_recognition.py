"""Services are found by name and by what runs; those of other benches and users are not."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from press_deploy.helper import discovery, managed, services
from press_deploy.helper.bench_tasks import inspect_bench
from press_deploy.helper.configuration import build_bench
from press_deploy.helper.discovery import survey
from press_deploy.helper.errors import NotFound
from press_deploy.helper.managed import Manager, Program
from press_deploy.helper.recognition import find_missing, recognise, role_by_command
from press_deploy.helper.services import Systemd

from .support import HANG_SECONDS, make_bench, make_entry, wait_until

OURS, FOREIGN = os.geteuid(), 54321
NO_LOGIN = {"username": None, "password": None}
SUPERVISOR = {"kind": "supervisor", "socket": "/s.sock", **NO_LOGIN}

BENCH_WORKER = "/usr/local/bin/bench worker --queue long,default,short"
HELPER = "/home/f/b/env/bin/python -m frappe.utils.bench_helper frappe"


@pytest.mark.parametrize(
	("command", "role"),
	[
		("/home/f/b/env/bin/gunicorn -b 127.0.0.1:8000 -w 9 frappe.app:application --preload", "web"),
		("/home/f/b/env/bin/gunicorn -c ../config/gunicorn.conf.py frappe.app:application", "web"),
		("gunicorn: master [frappe.app:application]", "web"),
		(f"{HELPER} serve --port 8000 --noreload", "web"),
		("/usr/local/bin/bench serve --port 8000", "web"),
		("/usr/bin/node /home/f/b/apps/frappe/socketio.js", "realtime"),
		("/home/f/b/env/bin/python -m frappe.realtime.server", "realtime"),
		(BENCH_WORKER, "workers"),
		("bench schedule", "workers"),
		(f"{HELPER} schedule", "workers"),
		(f"{HELPER} worker-pool --num-workers 4 --queue short,default", "workers"),
		(f"{HELPER} --site all worker --queue short", None),
		("/usr/bin/redis-server /home/f/b/config/redis_cache.conf", None),
		(f"{HELPER} watch", None),
		("/home/f/pilot/env/bin/gunicorn -c /home/f/b/config/admin.py admin.backend.wsgi:application", None),
		("/usr/bin/mariadbd --basedir=/usr", None),
		("", None),
		(None, None),
	],
)
def test_what_runs_says_the_role(command, role):
	assert role_by_command(command) == role


@pytest.fixture
def configured(bench):
	return build_bench("bench", make_entry(bench))


def program(name, command, directory, uid=OURS):
	group, _, process = name.rpartition(":")
	return Program(name, group, process, command, directory and str(directory), uid)


def sort(configured, bench, *programs, settings=SUPERVISOR, written=None):
	manager = Manager(settings, "a manager", list(programs))
	return recognise(configured, "shop", written or {}, manager)


def web_of(path):
	return f"{path}/env/bin/gunicorn -b 127.0.0.1:8000 frappe.app:application --preload"


@pytest.mark.parametrize("group", ["frappe", "shop-processes", "shop", "anything"])
def test_groups_of_other_names_are_found_by_what_runs(bench, configured, group):
	found = sort(
		configured,
		bench,
		program(f"{group}:frappe-web", web_of(bench), bench / "sites"),
		program(f"{group}:socketio", f"/usr/bin/node {bench}/apps/frappe/socketio.js", bench),
		program(f"{group}:worker-0", BENCH_WORKER, bench),
		program(f"{group}:schedule", "/usr/local/bin/bench schedule", bench),
		program(f"{group}:redis-cache", f"/usr/bin/redis-server {bench}/config/redis_cache.conf", bench),
		program(f"{group}:watch", f"{bench}/env/bin/python -m frappe.utils.bench_helper frappe watch", bench),
	)
	assert found.roles == {
		"web": [f"{group}:frappe-web"],
		"realtime": [f"{group}:socketio"],
		"workers": [f"{group}:schedule", f"{group}:worker-0"],
	}
	assert found.unusual == sorted(name for names in found.roles.values() for name in names)


def test_one_process_that_does_everything_is_the_web_server(bench, configured):
	found = sort(configured, bench, program("shop:shop-web", web_of(bench), bench / "sites"))
	assert found.roles == {"web": ["shop:shop-web"], "realtime": [], "workers": []}


def test_programs_of_others_are_not_taken(bench, configured, directory):
	other = directory / "shop-2"
	found = sort(
		configured,
		bench,
		program("a:other-bench", web_of(other), other / "sites"),
		program("a:other-user", web_of(bench), bench / "sites", FOREIGN),
		program("a:root", web_of(bench), bench / "sites", None),
		program("a:nowhere", "gunicorn frappe.app:application", None),
		# Same beginning of the path, another directory.
		program("a:namesake", web_of(f"{bench}-old"), f"{bench}-old"),
	)
	assert found.roles == {"web": [], "realtime": [], "workers": []}


def test_the_usual_names_count_only_for_what_is_not_shown_to_be_anothers(bench, configured, directory):
	written = {"shop-web": ["shop-frappe-web"]}
	name = "shop-web:shop-frappe-web"
	cases = [
		(program(name, web_of(bench), bench / "sites"), [name]),
		# An old supervisor that tells nothing of a program that is stopped.
		(program(name, None, None, None), [name]),
		# A bench of the same name elsewhere has it.
		(program(name, web_of(directory / "b" / "shop"), directory / "b" / "shop"), []),
		(program(name, web_of(bench), bench / "sites", FOREIGN), []),
	]
	for each, expected in cases:
		found = sort(configured, bench, each, written=written)
		assert found.roles["web"] == expected, each
		assert found.unusual == []


def test_a_link_to_the_bench_is_the_bench(bench, configured, directory):
	(directory / "link").symlink_to(bench)
	found = sort(configured, bench, program("x:web", web_of(directory / "link"), directory / "link"))
	assert found.roles["web"] == ["x:web"]


def test_programs_that_supervisord_does_not_have_are_named(bench):
	(bench / "config" / "supervisor.conf").write_text(
		"".join(
			f"[program:shop-frappe-{name}]\ncommand=x\ndirectory={bench}\n"
			for name in ("web", "schedule", "long-worker", "short-worker")
		)
		+ "[group:shop-web]\nprograms=shop-frappe-web\n"
		+ "[group:shop-workers]\nprograms=shop-frappe-schedule,shop-frappe-long-worker,shop-frappe-short-worker\n"
	)
	written = inspect_bench(str(bench))["programs"]
	running = [
		program("shop-web:shop-frappe-web", None, None),
		program("shop-workers:shop-frappe-schedule", None, None),
		program("shop-workers:shop-frappe-short-worker-0", None, None),
	]
	manager = Manager(SUPERVISOR, "a manager", running)
	assert find_missing("shop", written, manager) == ["shop-workers:shop-frappe-long-worker"]


# --- systemd: a program that answers as its documentation says -----------------------------------

SYSTEMCTL = """\
#!{python}
import json, os, sys
arguments = sys.argv[1:]
with open({units!r}) as file:
	units = json.load(file)["--user" in arguments]
if "list-units" in arguments:
	for name in units:
		# UNIT LOAD ACTIVE SUB DESCRIPTION, in columns.
		print(f"{{name:<40}} loaded active running A service")
elif "show" in arguments:
	names = arguments[arguments.index("--") + 1:]
	wanted = next(a for a in arguments if a.startswith("--property=")).removeprefix("--property=").split(",")
	blocks = []
	for name in names:
		shown = {{"Id": name, "LoadState": "not-found" if name not in units else "loaded", **units.get(name, {{}})}}
		blocks.append("".join(f"{{key}}={{shown.get(key, '')}}\\n" for key in wanted))
	print("\\n".join(blocks), end="")
"""


def exec_start(command):
	return (
		f"{{ path={command.split()[0]} ; argv[]={command} ; ignore_errors=no ; start_time=[n/a] ; "
		"stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
	)


@pytest.fixture
def systemd(directory, monkeypatch):
	"""Returns a function that sets what the system's and the user's systemd have loaded."""
	program, units = directory / "systemctl", directory / "units.json"
	program.write_text(SYSTEMCTL.format(python=sys.executable, units=str(units)))
	program.chmod(0o755)
	monkeypatch.setattr(services.Systemd.__init__, "__defaults__", (str(program), None))
	monkeypatch.setattr(discovery, "SUPERVISOR_SOCKETS", ())

	def load(system, user=None):
		units.write_text(json.dumps([system, user or {}]))

	load({})
	return load


def unit(path, command, directory, user):
	return {"User": user, "WorkingDirectory": str(directory), "ExecStart": exec_start(command)}


def test_units_are_told_apart_by_directory_and_user_not_by_name(bench, directory, systemd):
	user = make_entry(bench)["user"]
	other = directory / "b" / "shop"
	worker = "shop-frappe-long-worker@1.service"
	systemd(
		{
			"shop-frappe-web.service": unit(bench, web_of(bench), bench / "sites", user),
			worker: unit(bench, BENCH_WORKER, bench, user),
			"shop-redis-cache.service": unit(bench, f"redis-server {bench}/config/r.conf", bench, user),
			"ssh.service": {"ExecStart": exec_start("/usr/sbin/sshd -D"), "User": "", "WorkingDirectory": ""},
		}
	)
	found = survey(str(bench), None, NO_LOGIN)
	assert found.entry["services"] == {
		"kind": "systemd",
		"web": ["shop-frappe-web.service"],
		"realtime": [],
		"workers": [worker],
	}
	assert found.unusual == []
	# The same names, but of a bench of the same name in another place, or of another user.
	for foreign in (
		unit(other, web_of(other), other / "sites", user),
		unit(bench, web_of(bench), bench / "sites", "daemon"),
	):
		systemd({"shop-frappe-web.service": foreign})
		with pytest.raises(NotFound, match=r"systemd \(1 units\)"):
			survey(str(bench), None, NO_LOGIN)


def test_hand_written_units_are_found_and_told_apart(bench, systemd):
	user = make_entry(bench)["user"]
	systemd({"erp.service": unit(bench, web_of(bench), bench / "sites", user)})
	found = survey(str(bench), None, NO_LOGIN)
	assert found.entry["services"]["web"] == ["erp.service"] == found.unusual
	assert build_bench("shop", found.entry)


def test_a_users_own_systemd_is_asked_too(bench, systemd):
	web = {"User": "", "WorkingDirectory": str(bench / "sites"), "ExecStart": exec_start(web_of(bench))}
	systemd({}, {"shop-web.service": web})
	found = survey(str(bench), None, NO_LOGIN)
	assert (found.entry["services"]["kind"], found.unusual) == ("systemd-user", ["shop-web.service"])
	assert build_bench("shop", found.entry)


def test_a_users_systemd_is_never_spoken_to_as_another_user(monkeypatch):
	seen = []

	def run(command, **options):
		seen.append((command, options))
		return subprocess.CompletedProcess(command, 0, "", "")

	monkeypatch.setattr(services.subprocess, "run", run)
	monkeypatch.setattr(services.os, "geteuid", lambda: 0)
	Systemd("/usr/bin/systemctl", user_id=1).stop("shop-web.service")
	Systemd("/usr/bin/systemctl").stop("shop-web.service")
	(own, mine), (system, roots) = seen
	assert own[:2] == ["/usr/bin/systemctl", "--user"] and "--user" not in system
	assert (mine["user"], mine["extra_groups"], mine["env"]["XDG_RUNTIME_DIR"]) == (1, [], "/run/user/1")
	assert "user" not in roots


def test_names_given_by_hand_are_taken_whatever_they_run(bench, systemd):
	systemd(
		{
			"start-erp.service": {
				"User": "daemon",
				"WorkingDirectory": "/",
				"ExecStart": exec_start("/opt/run.sh"),
			},
			"jobs.service": unit(bench, BENCH_WORKER, bench, make_entry(bench)["user"]),
		}
	)
	chosen = {"web": ["start-erp.service"], "workers": ["jobs.service"]}
	found = survey(str(bench), None, NO_LOGIN, chosen=chosen)
	assert found.entry["services"]["web"] == ["start-erp.service"]
	(warning,) = found.warnings
	assert warning.startswith("start-erp.service does not look like")
	with pytest.raises(NotFound, match=r"has all of gone\.service"):
		survey(str(bench), None, NO_LOGIN, chosen={"web": ["gone.service"]})


def test_redis_is_not_taken_even_by_hand(bench, systemd):
	systemd({"shop-redis-queue.service": unit(bench, "redis-server x", bench, make_entry(bench)["user"])})
	with pytest.raises(NotFound):
		survey(str(bench), None, NO_LOGIN, chosen={"web": ["shop-redis-queue.service"]})


# --- supervisor: a real one ----------------------------------------------------------------------

SUPERVISORD = """\
[unix_http_server]
file={path}/config/supervisor/supervisord.sock
chmod=0700
[supervisord]
nodaemon=true
logfile={path}/logs/supervisord.log
pidfile={path}/supervisord.pid
childlogdir={path}/logs
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[group:shop]
programs=shop-web,shop-worker-pool,shop-redis-cache
[group:other]
programs=other-web
[program:shop-web]
command={python} -c "import time; time.sleep(600)" -c ../config/gunicorn.conf.py frappe.app:application
directory={path}/sites
[program:shop-worker-pool]
command={python} -c "import time; time.sleep(600)" -m frappe.utils.bench_helper frappe worker-pool --queue short
directory={path}/sites
autostart=false
[program:shop-redis-cache]
command={python} -c "import time; time.sleep(600)" redis-server {path}/config/redis_cache.conf
[program:other-web]
command={python} -c "import time; time.sleep(600)" frappe.app:application
directory=/
"""


@pytest.fixture(scope="module")
def piloted():
	"""A bench with a supervisord of its own, as bench's successor writes it; its path."""
	directory = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
	path = make_bench(directory / "shop")
	(path / "config" / "supervisor").mkdir()
	(path / "supervisord.conf").write_text(SUPERVISORD.format(path=path, python=sys.executable))
	command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-n", "-c"]
	daemon = subprocess.Popen([*command, f"{path}/supervisord.conf"], stdout=subprocess.DEVNULL)
	try:
		wait_until((path / "config" / "supervisor" / "supervisord.sock").exists, "supervisord listens")
		yield path
	finally:
		daemon.terminate()
		daemon.wait(HANG_SECONDS)
		shutil.rmtree(directory)


def test_a_supervisord_of_the_benchs_own_is_found(piloted, systemd):
	found = survey(str(piloted), None, NO_LOGIN)
	services = found.entry["services"]
	assert services["socket"] == str(piloted / "config" / "supervisor" / "supervisord.sock")
	# The second one is stopped: what it would run, supervisor has told.
	assert (services["web"], services["workers"]) == (["shop:shop-web"], ["shop:shop-worker-pool"])
	assert found.unusual == ["shop:shop-web", "shop:shop-worker-pool"]
	assert found.warnings == []


def test_supervisor_3_tells_less_and_the_kernel_the_rest(piloted, systemd, monkeypatch):
	call = managed.SupervisorConnection.call

	def refuse(self, method, *arguments, **options):
		if method == "getAllConfigInfo":
			raise NotFound("UNKNOWN_METHOD")
		return call(self, method, *arguments, **options)

	monkeypatch.setattr(managed.SupervisorConnection, "call", refuse)
	services = survey(str(piloted), None, NO_LOGIN).entry["services"]
	assert (services["web"], services["workers"]) == (["shop:shop-web"], [])
