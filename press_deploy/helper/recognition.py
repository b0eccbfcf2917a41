"""Recognises which programs are a bench's, and what they do: by the names that `bench` gives, and by what runs.

Older versions of bench call their groups otherwise, its successor too, and people write units by hand. So beside
the usual names counts what a program runs, in which directory and as which user. Those that are not called as
usual are told apart: a person is asked about them.

Invariant: a program of another bench, or of another user, is never taken for this bench's; Redis is never taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .configuration import REDIS, ROLES, SERVICE_NAME, Bench
from .managed import Manager, Program

COMMANDS = {
	"web": re.compile(r"\bfrappe\.app:application\b|\bbench_helper frappe serve\b|(^|[/ ])bench serve\b"),
	"realtime": re.compile(r"/socketio\.js\b|-m frappe\.realtime\.server\b"),
	"workers": re.compile(r"(\bbench_helper frappe|(^|[/ ])bench)( -\S+)* (worker|worker-pool|schedule)\b"),
}


@dataclass(frozen=True)
class Recognised:
	"""What one manager has for a bench: names by role, and which of them are not called as `bench` does."""

	manager: Manager
	roles: dict[str, list[str]]
	unusual: list[str] = field(default_factory=list)


def recognise(bench: Bench, name: str, written: dict, manager: Manager) -> Recognised:
	"""Sort a manager's programs; `name` is the directory's, `written` what the bench's own file groups."""
	roles: dict[str, list[str]] = {role: [] for role in ROLES}
	unusual = []
	for program in manager.programs:
		role, is_usual = _find_role(bench, name, written, manager, program)
		if role and is_acceptable(manager, program.name):
			roles[role].append(program.name)
			if not is_usual:
				unusual.append(program.name)
	return Recognised(manager, {role: sorted(names) for role, names in roles.items()}, sorted(unusual))


def is_acceptable(manager: Manager, name: str) -> bool:
	"""Whether the configuration may hold this name."""
	return bool(SERVICE_NAME[manager.settings["kind"]].fullmatch(name)) and not REDIS.search(name)


def find_missing(name: str, written: dict, manager: Manager) -> list[str]:
	"""Return the programs that the bench's own file has, called as usual, and the supervisord does not."""
	if manager.settings["kind"] != "supervisor":
		return []
	missing = []
	for group in usual_groups(name):
		processes = [program.process for program in manager.programs if program.group == group]
		for program in map(str, written.get(group, ())):
			if role_by_name(name, program) and not any(_is_of(program, process) for process in processes):
				missing.append(f"{group}:{program}")
	return missing


def usual_groups(name: str) -> tuple[str, str]:
	return (f"{name}-web", f"{name}-workers")


def role_by_name(name: str, program: str) -> str | None:
	"""Return the role of a program that is called as `bench` calls it, or None."""
	suffix = program.removeprefix(f"{name}-")
	if suffix == program:
		return None
	if suffix == "frappe-web":
		return "web"
	if suffix == "node-socketio":
		return "realtime"
	return "workers" if re.fullmatch(r"frappe-(schedule|[A-Za-z0-9_.-]+-worker)", suffix) else None


def role_by_command(command: str | None) -> str | None:
	"""Return the role of what a command runs, or None. One process that does everything is the web server."""
	return next((role for role, pattern in COMMANDS.items() if pattern.search(command or "")), None)


def _find_role(
	bench: Bench, name: str, written: dict, manager: Manager, program: Program
) -> tuple[str | None, bool]:
	belongs = program.belongs_to(bench.path, bench.uid)
	if belongs is False:
		return None, False
	if manager.settings["kind"] == "supervisor":
		usual = _find_usual(name, written, program)
	else:
		# Whose a unit is, systemd always tells.
		usual = role_by_name(name, program.process) if belongs else None
	if usual:
		return usual, True
	return (role_by_command(program.command), False) if belongs else (None, False)


def _find_usual(name: str, written: dict, program: Program) -> str | None:
	"""The role of a program in one of the usual groups that the bench's own file has, too."""
	if program.group not in usual_groups(name):
		return None
	for each in map(str, written.get(program.group, ())):
		if role_by_name(name, each) and _is_of(each, program.process):
			return role_by_name(name, each)
	return None


def _is_of(program: str, process: str) -> bool:
	return re.fullmatch(re.escape(program) + r"([-_]\d+)?", process) is not None
