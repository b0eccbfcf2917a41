"""The programs that supervisor and systemd keep, with what tells whose they are: command, directory, user.

What they are told by is what the manager has loaded and what the kernel says of the running process, never a
file of the bench's.

Invariant: a program is listed under the name by which `services` can restart it; what cannot be found out about
it is None, not guessed.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from dataclasses import dataclass, field

from .errors import HelperError
from .processes import find_command, find_directory, find_uid
from .services import Systemd
from .supervisor import SupervisorConnection

UNIT_PROPERTIES = "Id,LoadState,User,WorkingDirectory,ExecStart"
ARGUMENTS = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")


@dataclass(frozen=True)
class Program:
	"""One program. `group` and `process` are supervisor's words; of a unit, both are its name."""

	name: str
	group: str
	process: str
	command: str | None = None
	directory: str | None = None
	uid: int | None = None

	def belongs_to(self, path: str, uid: int) -> bool | None:
		"""Say whether it works in the bench at `path` as the user `uid`; None where that can't be seen."""
		if self.uid is None or (self.command is None and self.directory is None):
			return None
		return self.uid == uid and any(_is_within(path, place) for place in self._places())

	def _places(self) -> list[str]:
		try:
			words = shlex.split(self.command or "")
		except ValueError:
			words = (self.command or "").split()
		return [place for place in (self.directory, *words) if place and place.startswith("/")]


@dataclass(frozen=True)
class Manager:
	"""One supervisord, or systemd: what the configuration says of it, in words for people, and its programs."""

	settings: dict
	title: str
	programs: list[Program] = field(default_factory=list)


def list_supervisor(socket: str, login: dict, owners: set[int]) -> Manager:
	"""Return what the supervisord at `socket` has. Raises HelperError."""
	connection = SupervisorConnection(socket, **login, owners=owners)
	running = [each for each in connection.call("getAllProcessInfo") if isinstance(each, dict)]
	try:
		loaded = [each for each in connection.call("getAllConfigInfo") if isinstance(each, dict)]
	except HelperError:
		# Supervisor 3 does not tell; then there is only what runs.
		loaded = []
	known = {(each.get("group"), each.get("name")): each for each in loaded}
	owner = connection.find_owner()
	programs = [_describe_process(each, known, owner) for each in running]
	settings = {"kind": "supervisor", "socket": os.path.abspath(socket), **login}
	return Manager(settings, f"{socket} ({len(programs)} programs)", programs)


def list_systemd(systemd: Systemd, kind: str, uid: int) -> Manager:
	"""Return the loaded service units; `uid` is whose they are where a unit names no user."""
	try:
		units = systemd.list_units()
		shown = systemd.show(units, UNIT_PROPERTIES) if units else []
	except HelperError:
		shown = []
	programs = [_describe_unit(unit, uid) for unit in shown if unit.get("LoadState") == "loaded"]
	return Manager({"kind": kind}, f"{kind} ({len(programs)} units)", programs)


def _describe_process(information: dict, known: dict, owner: int) -> Program:
	group, process = str(information.get("group")), str(information.get("name"))
	pid, loaded = information.get("pid"), known.get((group, process), {})
	pid = pid if type(pid) is int and pid > 0 else None
	uid = find_uid(pid) if pid else None
	if uid is None and loaded:
		uid = loaded["uid"] if type(loaded.get("uid")) is int else owner
	return Program(
		name=f"{group}:{process}",
		group=group,
		process=process,
		command=_text(loaded.get("command")) or (find_command(pid) if pid else None),
		directory=_text(loaded.get("directory")) or (find_directory(pid) if pid else None),
		uid=uid,
	)


def _describe_unit(unit: dict, uid: int) -> Program:
	name, user = unit.get("Id", ""), unit.get("User", "")
	found = ARGUMENTS.search(unit.get("ExecStart", ""))
	# systemd marks a directory that may be missing.
	directory = unit.get("WorkingDirectory", "").lstrip("!-")
	return Program(
		name=name,
		group=name,
		process=re.sub(r"(@[^@]*)?\.service$", "", name),
		command=found.group(1) if found else None,
		directory=directory or None,
		uid=uid if not user else _look_up(user),
	)


def _look_up(user: str) -> int | None:
	try:
		return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
	except KeyError:
		return None


def _text(value: object) -> str | None:
	# Supervisor says "none" and "auto" for what nobody has set.
	return value if isinstance(value, str) and value not in ("", "none", "auto") else None


def _is_within(path: str, place: str) -> bool:
	for bench, inside in ((path, os.path.normpath(place)), (os.path.realpath(path), os.path.realpath(place))):
		if f"{inside}/".startswith(f"{bench}/"):
			return True
	return False
