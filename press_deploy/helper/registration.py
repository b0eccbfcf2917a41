"""What the configuration is to say of a bench, and that no other bench loses anything by it.

Invariant: a service belongs to one bench; programs that are not called as `bench` calls them get in only by the
word of a person, which is remembered.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from .configuration import ROLES
from .discovery import Survey, survey
from .errors import Conflict

Confirm = Callable[[list[str]], bool]


@dataclass(frozen=True)
class Wishes:
	"""What a person gave beside the bench: how to reach supervisor, and services by role; None where nothing."""

	supervisor_socket: str | None = None
	username: str | None = None
	password: str | None = None
	programs: dict[str, list[str]] | None = None


def find_name(data: dict, path: str, wanted: str | None) -> str:
	"""Return what the helper calls the bench at `path`: as before, as wanted, else as its directory.

	Raises Conflict.
	"""
	former = next((name for name, entry in data["benches"].items() if entry.get("path") == path), None)
	if former and wanted and former != wanted:
		raise Conflict(f"{path} is installed as {former}. To call it {wanted}, uninstall it there first.")
	name = former or wanted or os.path.basename(path)
	holder = data["benches"].get(name, {}).get("path", path)
	if holder != path:
		raise Conflict(
			f"The name {name} is taken by {holder}; give another name for {path}: helper install --name NAME"
		)
	return name


def find_entry(data: dict, name: str, path: str, wishes: Wishes, confirm: Confirm) -> Survey:
	"""Look at the bench, ask about what is unusual, and return what goes into `data`.

	Raises Conflict where a service is another bench's or a person says no, and other HelperErrors.
	"""
	former = data["benches"].get(name, {}).get("services", {})
	chosen = wishes.programs or ({role: former[role] for role in ROLES} if former.get("by_hand") else None)
	found = survey(path, *_keep_login(former, wishes), chosen=chosen)
	services = found.entry["services"]
	refuse_shared(data, name, found.entry)
	if chosen:
		services["by_hand"] = True
		return found
	asked = sorted(set(found.unusual) - set(former.get("chosen", ())))
	if asked and not confirm(_describe_unusual(path, services, asked)):
		raise Conflict(
			f"Nothing was changed: nobody confirmed that {', '.join(asked)} belong to {path}. Say --yes if they do, "
			"or name all services yourself: --program web=NAME --program workers=NAME"
		)
	if found.unusual:
		services["chosen"] = found.unusual
	return found


def refuse_shared(data: dict, name: str, entry: dict) -> None:
	"""Raise Conflict where another bench of the configuration has a service of this entry of `name`."""
	for other, theirs in data["benches"].items():
		if other == name or _find_keeper(theirs) != _find_keeper(entry):
			continue
		if shared := _list_services(theirs) & _list_services(entry):
			raise Conflict(
				f"{', '.join(sorted(shared))} belong to the bench {other} ({theirs['path']}): a restart for one "
				f"would restart the other. Uninstall {other}, or name the right services: --program ROLE=NAME"
			)


def _keep_login(former: dict, wishes: Wishes) -> tuple[str | None, dict]:
	"""Installing again must not forget how to log in to supervisor."""
	known = former if former.get("kind") == "supervisor" else {}
	username = wishes.username if wishes.username is not None else known.get("username")
	password = wishes.password if wishes.password is not None else known.get("password")
	socket = wishes.supervisor_socket or known.get("socket")
	return socket, {"username": username, "password": password}


def _describe_unusual(path: str, services: dict, asked: list[str]) -> list[str]:
	roles = {name: role for role in ROLES for name in services[role]}
	listed = [f"  {roles[name]}: {name}" for name in asked]
	return [f"By what they run, these are services of {path}, though not called as usual:", *listed]


def _list_services(entry: dict) -> set[str]:
	return {name for role in ROLES for name in entry["services"][role]}


def _find_keeper(entry: dict) -> tuple:
	"""What keeps the services of a bench; two of the same name under two keepers are two."""
	services = entry["services"]
	if services["kind"] == "supervisor":
		return "supervisor", os.path.realpath(services["socket"])
	return services["kind"], entry["user"] if services["kind"] == "systemd-user" else None
