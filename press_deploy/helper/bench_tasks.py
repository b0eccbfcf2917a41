"""What is done inside a bench's directory. Always with the rights of the bench's user, never as root.

A bench's files belong to a user who could put a link to any file in their place; with that user's own
rights, nothing is gained by it. When the helper is root, `bench_user` runs this module in a child
process that has given up root before the first line of it.

Invariant: a task in `TASKS` takes plain data, returns plain data, and raises HelperError.
"""

from __future__ import annotations

import configparser
import json
import os
import pwd
import signal
import socket
import stat
from contextlib import suppress

from . import protocol, site_config
from .errors import BadRequest, HelperError, NotFound, OperationFailed

KEY = "maintenance_mode"
LOCK_SECONDS = 3.0
REQUEST_SECONDS = 5.0
RUNNER_LOG = os.path.join("logs", "press_deploy.runner.log")


def read_maintenance(path: str, sites: list[str]) -> dict:
	"""Return `{site: {"present": bool, "value"?: …}}` of the key that means maintenance."""
	return {site: site_config.get_value(site_config.site_config_paths(path, site)[0], KEY) for site in sites}


def write_maintenance(path: str, values: dict, keep_going: bool) -> dict:
	"""Write `{site: {"present": bool, "value"?: …}}`; with `keep_going`, try all before failing."""
	failures = []
	for site, value in values.items():
		config_path, lock_path = site_config.site_config_paths(path, site)
		try:
			# Looked at before the lock is asked for: a site whose lock cannot be had and that was never
			# changed needs no putting back.
			if not _is_already(config_path, value):
				site_config.set_values(config_path, lock_path, {KEY: value}, LOCK_SECONDS)
		except HelperError as error:
			failures.append(str(error))
			if not keep_going:
				break
	if failures:
		raise OperationFailed(" · ".join(failures))
	return {}


def inspect_bench(path: str) -> dict:
	"""Return `{"sites": [name], "programs": {group: [program]}}` as the bench's own files say."""
	sites = os.path.join(path, "sites")
	try:
		entries = sorted(os.scandir(sites), key=lambda entry: entry.name)
	except OSError as error:
		raise NotFound(f"{path} is not a bench: its sites cannot be listed: {error.strerror}.") from error
	directories = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
	names = [entry.name for entry in directories if os.path.isfile(f"{entry.path}/site_config.json")]
	return {"sites": names, "programs": _read_programs(path)}


def write_bench_name(path: str, name: str) -> dict:
	"""Let clients find what the helper calls this bench, where that is not its directory's name; return `{}`."""
	descriptor = os.path.join(path, "config", "press_deploy.json")
	wanted = {"present": False} if name == os.path.basename(path) else {"present": True, "value": name}
	try:
		if wanted["present"]:
			with suppress(FileExistsError), open(descriptor, "x", encoding="utf-8") as file:
				file.write("{}")
		elif not os.path.lexists(descriptor):
			return {}
	except OSError as error:
		raise OperationFailed(f"Creating {descriptor} failed: {error.strerror}.") from error
	lock = os.path.join(path, "config", "press_deploy.lock")
	site_config.set_values(descriptor, lock, {"helper_bench": wanted}, LOCK_SECONDS)
	return {}


def launch_runner(path: str, run: str, runner: list[str], connection: socket.socket) -> None:
	"""Become the runner of a run. Answers on `connection` before it does, or raises."""
	plan = os.path.join(path, "deployments", run, "plan.json")
	if not os.path.isfile(plan):
		raise NotFound(f"The run {run} cannot be started: there is no {plan}.")
	runner = _find_runner(path, run) or runner
	if not os.access(runner[0], os.X_OK):
		raise NotFound(f"The run {run} cannot be started: {runner[0]} is not there or not executable.")
	log = _open_log(os.path.join(path, RUNNER_LOG))
	null = os.open(os.devnull, os.O_RDONLY)
	account = pwd.getpwuid(os.geteuid())
	protocol.send(connection, {"ok": True, "result": {}}, protocol.deadline_in(REQUEST_SECONDS))
	for source, target in ((null, 0), (log, 1), (log, 2)):
		os.dup2(source, target)
	# Python ignores these two, which a new program would inherit.
	for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
		signal.signal(ignored, signal.SIG_DFL)
	argv = [*runner, "resume", run, "--bench", path]
	os.execve(argv[0], argv, build_environment(account.pw_name, account.pw_dir))


def _find_runner(path: str, run: str) -> list[str] | None:
	"""The command that the run's home begins with; None where it has none that can be started.

	Then it goes by the configuration: the environment's own `press-deploy` makes a home again, or says why not.
	"""
	start = os.path.join(path, "deployments", run, "press-deploy")
	try:
		with open(
			os.path.join(os.path.dirname(os.path.realpath(start)), "home.json"), encoding="utf-8"
		) as file:
			python = json.load(file)["python"]
		if os.path.isfile(start) and os.access(python, os.X_OK):
			return [python, "-I", "-S", start]
	except (OSError, ValueError, KeyError, TypeError):
		pass
	return None


def build_environment(user: str, home: str) -> dict[str, str]:
	"""Return the whole environment of what runs as the bench's user."""
	return {
		"PATH": "/usr/local/bin:/usr/bin:/bin",
		"LANG": "C.UTF-8",
		"HOME": home,
		"USER": user,
		"LOGNAME": user,
	}


TASKS = {
	"read_maintenance": read_maintenance,
	"write_maintenance": write_maintenance,
	"inspect_bench": inspect_bench,
	"write_bench_name": write_bench_name,
}


def serve_one_task() -> None:
	"""Entry point of the child process: one task from the socket that is its standard input."""
	with socket.socket(fileno=os.dup(0)) as connection:
		deadline = protocol.deadline_in(REQUEST_SECONDS)
		request = protocol.receive(connection, deadline)
		arguments = request["arguments"]
		try:
			if request["task"] == "launch_runner":
				launch_runner(connection=connection, **arguments)
			answer = {"ok": True, "result": TASKS[request["task"]](**arguments)}
		except HelperError as error:
			answer = {"ok": False, "error": error.to_wire()}
		protocol.send(connection, answer, protocol.deadline_in(REQUEST_SECONDS))


def _is_already(config_path: str, value: dict) -> bool:
	with suppress(HelperError):
		found = site_config.get_value(config_path, KEY)
		return json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)
	return False


def _open_log(path: str) -> int:
	try:
		flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
		descriptor = os.open(path, flags, 0o640)
	except OSError as error:
		raise OperationFailed(f"The runner's log {path} cannot be opened: {error.strerror}.") from error
	if not stat.S_ISREG(os.fstat(descriptor).st_mode):
		raise OperationFailed(f"The runner's log {path} is not a regular file; remove it.")
	os.set_blocking(descriptor, True)
	return descriptor


def _read_programs(path: str) -> dict:
	"""Return the groups of `config/supervisor.conf`, with those programs that run in this bench."""
	parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
	configuration = os.path.join(path, "config", "supervisor.conf")
	try:
		parser.read(configuration, encoding="utf-8")
	except (OSError, ValueError, configparser.Error) as error:
		raise BadRequest(f"{configuration} cannot be read: {error}") from error
	groups = {}
	for section in parser.sections():
		if section.startswith("group:"):
			programs = [name.strip() for name in parser.get(section, "programs", fallback="").split(",")]
			group = section.removeprefix("group:")
			groups[group] = [name for name in programs if _runs_in(path, parser, name)]
	return groups


def _runs_in(path: str, parser: configparser.RawConfigParser, program: str) -> bool:
	section = f"program:{program}"
	directory = parser.get(section, "directory", fallback="").rstrip("/")
	command = parser.get(section, "command", fallback="")
	return directory == path or directory.startswith(f"{path}/") or command.startswith(f"{path}/")
