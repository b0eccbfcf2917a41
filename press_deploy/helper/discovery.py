"""Finds out what a bench consists of, to write it into the helper's configuration.

Sites are the directories with a `site_config.json`. Services are looked for in every supervisord and systemd that
may have them; see `recognition` for which of their programs are taken.

Invariant: what is returned passes `configuration.build_bench`; the bench's own files, which root cannot trust, add
no foreign service to it.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from .bench_user import BenchUser
from .configuration import ROLES, SITE_NAME, Bench, build_bench
from .errors import HelperError, NotFound
from .managed import Manager, list_supervisor, list_systemd
from .recognition import Recognised, find_missing, is_acceptable, recognise
from .services import Systemd

SUPERVISOR_SOCKETS = ("/var/run/supervisor.sock", "/run/supervisor.sock", "/run/supervisor/supervisor.sock")
# Of a supervisord that belongs to the bench: `bench` in development, and its successor.
OWN_SOCKETS = ("config/supervisor.sock", "config/supervisor/supervisord.sock")


@dataclass(frozen=True)
class Survey:
	"""What was found: the entry for the configuration, whom a person should be asked about, what to warn of."""

	entry: dict
	unusual: list[str] = field(default_factory=list)
	warnings: list[str] = field(default_factory=list)


def discover(
	bench_path: str,
	supervisor_socket: str | None = None,
	username: str | None = None,
	password: str | None = None,
	services_needed: bool = True,
) -> dict:
	"""Return the entry of a bench as the configuration holds it, as far as it can be found without a person.

	Without `services_needed`, services that cannot be found are left out. Raises HelperError.
	"""
	login = {"username": username, "password": password}
	return survey(bench_path, supervisor_socket, login, services_needed=services_needed).entry


def survey(
	bench_path: str,
	supervisor_socket: str | None,
	login: dict,
	*,
	chosen: dict[str, list[str]] | None = None,
	services_needed: bool = True,
) -> Survey:
	"""Look at a bench and at what keeps its services; `chosen` are names by role that a person gave.

	Raises HelperError.
	"""
	entry = _describe_without_services(os.path.abspath(bench_path))
	bench = build_bench("bench", entry)
	inspected = BenchUser(bench).perform("inspect_bench")
	entry["sites"] = sorted(site for site in map(str, inspected["sites"]) if SITE_NAME.fullmatch(site))
	written = inspected["programs"] if isinstance(inspected["programs"], dict) else {}
	tried: list[str] = []
	managers = _list_managers(bench, supervisor_socket, login, tried)
	if chosen:
		return _take_chosen(entry, bench, chosen, managers, tried)
	name = os.path.basename(bench.path)
	found = [recognise(bench, name, written, manager) for manager in managers]
	# One whose programs are called as usual goes before one that merely runs something of this bench.
	found.sort(key=lambda each: any(web in each.unusual for web in each.roles["web"]))
	for recognised in found:
		if recognised.roles["web"]:
			return _build(entry, recognised, find_missing(name, written, recognised.manager))
	if services_needed:
		raise NotFound(
			f"No services of {bench.path} were found, neither by name nor by what runs. Run `bench setup "
			"supervisor` (or `systemd`) and load it; or name supervisor's socket: --supervisor-socket PATH; or "
			f"say which they are: --program web=NAME --program workers=NAME. Looked at: {'; '.join(tried)}."
		)
	return Survey(entry)


def _build(entry: dict, recognised: Recognised, missing: list[str]) -> Survey:
	services = {**recognised.manager.settings, **recognised.roles}
	warnings = [
		f"config/supervisor.conf has the program {program}, but the supervisord at {services['socket']} does not, "
		"so that it is neither restarted nor watched. Load it: supervisorctl reread, then supervisorctl update"
		for program in missing
	]
	return Survey({**entry, "services": services}, recognised.unusual, warnings)


def _take_chosen(
	entry: dict, bench: Bench, chosen: dict[str, list[str]], managers: Iterator[Manager], tried: list[str]
) -> Survey:
	"""Take the one manager that has all these names; whose they are is the word of the person."""
	names = [name for role in ROLES for name in chosen.get(role, ())]
	for manager in managers:
		programs = {program.name: program for program in manager.programs}
		if not all(name in programs and is_acceptable(manager, name) for name in names):
			continue
		warnings = [
			f"{name} does not look like a program of {bench.user}'s in {bench.path}; it is taken because you say so"
			for name in names
			if programs[name].belongs_to(bench.path, bench.uid) is False
		]
		roles = {role: list(chosen.get(role, ())) for role in ROLES}
		return Survey({**entry, "services": {**manager.settings, **roles, "chosen": names}}, [], warnings)
	raise NotFound(
		f"Nobody has all of {', '.join(names)}. Write a program of supervisor's as GROUP:NAME, as supervisorctl "
		f"status shows it, and a unit as NAME.service; all of one kind. Looked at: {'; '.join(tried)}."
	)


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


def _list_managers(
	bench: Bench, given_socket: str | None, login: dict, tried: list[str]
) -> Iterator[Manager]:
	"""Give each supervisord, then each systemd; note in `tried` what was looked at."""
	owners = {0, os.geteuid(), bench.uid}
	own = [os.path.join(bench.path, socket) for socket in OWN_SOCKETS]
	for socket in [given_socket] if given_socket else [*SUPERVISOR_SOCKETS, *own]:
		try:
			if not os.path.exists(socket):
				raise NotFound(f"{socket} (not there)")
			manager = list_supervisor(socket, login, owners)
		except HelperError as error:
			tried.append(str(error))
			continue
		tried.append(manager.title)
		yield manager
	if not given_socket:
		for kind, systemd, uid in (
			("systemd", Systemd(), 0),
			("systemd-user", Systemd(user_id=bench.uid), bench.uid),
		):
			manager = list_systemd(systemd, kind, uid)
			tried.append(manager.title)
			yield manager
