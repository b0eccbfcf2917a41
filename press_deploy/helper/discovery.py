"""Finds out what a bench consists of, to write it into the helper's configuration.

Sites are the directories with a `site_config.json`. Services are those programs that the running
supervisor (or systemd) has *and* that are named as `bench setup supervisor` (or `systemd`) names them
for this bench. So the bench's own files, which root cannot trust, add no foreign service.

Invariant: what is returned passes `configuration.build_bench`; Redis is never in it.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterator

from . import bench_tasks
from .bench_user import BenchUser
from .configuration import ROLES, SITE_NAME, Bench, build_bench
from .errors import HelperError, NotFound
from .services import SYSTEMCTL, SYSTEMCTL_SECONDS
from .supervisor import SupervisorConnection

SUPERVISOR_SOCKETS = ("/var/run/supervisor.sock", "/run/supervisor.sock", "/run/supervisor/supervisor.sock")


def discover(
	bench_path: str,
	supervisor_socket: str | None = None,
	username: str | None = None,
	password: str | None = None,
	services_needed: bool = True,
) -> dict:
	"""Return the entry of a bench as the configuration holds it.

	Without `services_needed`, services that cannot be found are left out. Raises HelperError.
	"""
	entry = _describe_without_services(os.path.abspath(bench_path))
	bench = build_bench("bench", entry)
	found = BenchUser(bench).perform("inspect_bench")
	entry["sites"] = sorted(site for site in map(str, found["sites"]) if SITE_NAME.fullmatch(site))
	tried: list[str] = []
	login = {"username": username, "password": password}
	for services in _find_candidates(bench, found["programs"], supervisor_socket, login, tried):
		if services["web"]:
			return {**entry, "services": services}
	if services_needed:
		raise NotFound(
			f"No services of {bench.path} were found. Run `bench setup supervisor` (or `systemd`) and load "
			f"it, or name supervisor's socket. Looked at: {'; '.join(tried)}."
		)
	return entry


def _describe_without_services(path: str) -> dict:
	try:
		status = os.stat(path)
		user = pwd.getpwuid(status.st_uid).pw_name
	except (OSError, KeyError) as error:
		raise NotFound(f"The bench {path} cannot be examined: {error}.") from error
	if not stat.S_ISDIR(status.st_mode):
		raise NotFound(f"The bench {path} is not a directory.")
	return {
		"path": path,
		"user": user,
		"sites": [],
		"runner": [os.path.join(path, "env", "bin", "python"), "-m", "press_deploy.cli"],
		"services": {"kind": "none", "web": [], "realtime": [], "workers": []},
	}


def _find_candidates(
	bench: Bench, programs: object, given_socket: str | None, login: dict, tried: list[str]
) -> Iterator[dict]:
	"""Give what each supervisor, then systemd, has for this bench; note in `tried` what was looked at."""
	name = os.path.basename(bench.path)
	own_socket = os.path.join(bench.path, "config", "supervisor.sock")
	for socket in [given_socket] if given_socket else [*SUPERVISOR_SOCKETS, own_socket]:
		try:
			running = _list_supervisor(bench, socket, login)
		except HelperError as error:
			tried.append(str(error))
			continue
		tried.append(f"{socket} ({len(running)} programs)")
		yield {
			"kind": "supervisor",
			"socket": os.path.abspath(socket),
			**login,
			**_sort_supervisor(name, programs, running),
		}
	if not given_socket:
		units = _list_units(name)
		tried.append(f"systemd ({len(units)} units)")
		yield {"kind": "systemd", **_sort_units(name, units)}


def _list_supervisor(bench: Bench, socket: str, login: dict) -> list[dict]:
	if not os.path.exists(socket):
		raise NotFound(f"{socket} (not there)")
	owners = {0, os.geteuid(), bench.uid}
	running = SupervisorConnection(socket, **login, owners=owners).call("getAllProcessInfo")
	return [program for program in running if isinstance(program, dict)]


def _sort_supervisor(name: str, programs: object, running: list[dict]) -> dict[str, list[str]]:
	"""Sort running programs by role: those in this bench's two groups that its own file has, too."""
	services: dict[str, list[str]] = {role: [] for role in ROLES}
	written = programs if isinstance(programs, dict) else {}
	for information in running:
		group, process = str(information.get("group")), str(information.get("name"))
		if group not in (f"{name}-web", f"{name}-workers"):
			continue
		for program in written.get(group, ()):
			role = _find_role(name, str(program))
			if role and re.fullmatch(re.escape(str(program)) + r"([-_]\d+)?", process):
				services[role].append(f"{group}:{process}")
				break
	return {role: sorted(names) for role, names in services.items()}


def _sort_units(name: str, units: list[str]) -> dict[str, list[str]]:
	services: dict[str, list[str]] = {role: [] for role in ROLES}
	for unit in units:
		role = _find_role(name, re.sub(r"(@\d+)?\.service$", "", unit))
		if role:
			services[role].append(unit)
	return services


def _find_role(name: str, program: str) -> str | None:
	"""Return the role of a program that is called as `bench` calls it, or None."""
	suffix = program.removeprefix(f"{name}-")
	if suffix == program:
		return None
	if suffix == "frappe-web":
		return "web"
	if suffix == "node-socketio":
		return "realtime"
	return "workers" if re.fullmatch(r"frappe-(schedule|[A-Za-z0-9_.-]+-worker)", suffix) else None


def _list_units(name: str) -> list[str]:
	"""Return the loaded service units whose names begin with the bench's; none without systemd."""
	command = [SYSTEMCTL, "list-units", "--all", "--plain", "--no-legend", "--type=service", f"{name}-*"]
	environment = bench_tasks.build_environment("root", "/")
	try:
		listed = subprocess.run(
			command, capture_output=True, text=True, timeout=SYSTEMCTL_SECONDS, env=environment
		)
	except (OSError, subprocess.TimeoutExpired):
		return []
	return sorted(line.split()[0] for line in listed.stdout.splitlines() if line.strip())
