"""Installs the helper for a bench, and removes it.

Invariant: what is installed belongs to whoever installs (root) and is writable by nobody else;
installing twice changes nothing the second time; removing the last bench leaves the audit log only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress

from . import configuration, installed_files, service_files
from .discovery import discover
from .errors import Conflict, Denied, OperationFailed
from .leases import FILE as LEASES
from .places import UNIT_NAME, Places
from .state import StateDirectory

SYSTEMCTL_SECONDS = 60


def install(
	bench_path: str,
	*,
	prefix: str = "/",
	name: str | None = None,
	entry: dict | None = None,
	supervisor_socket: str | None = None,
	username: str | None = None,
	password: str | None = None,
) -> list[str]:
	"""Install the helper for a bench, or bring it up to date; return lines for the admin to read.

	`name` is what the helper calls the bench (the directory's name); `entry` stands in for what
	`discover` would find. Raises HelperError, before anything is written.
	"""
	places = _require_root(Places(prefix))
	path = os.path.abspath(bench_path)
	name = name or os.path.basename(path)
	data = _read_or_begin(places)
	other = data["benches"].get(name)
	if other is not None and other.get("path") != path:
		raise Conflict(f"The name {name} is taken by {other.get('path')}; give another name for {path}.")
	login = _keep_login(other, supervisor_socket, username, password)
	data["benches"][name] = entry or discover(path, **login)
	configuration.parse(data)

	changed = installed_files.copy_code(places.code)
	for directory in (places.state, os.path.dirname(places.audit_log)):
		installed_files.make_directory(directory)
	changed |= installed_files.write(places.configuration, configuration.dump(data), 0o600)
	lines = _describe(name, data["benches"][name], changed)
	return lines + (_enable_unit(places, changed) if places.has_systemd else _explain_start(places))


def uninstall(bench_path: str, *, prefix: str = "/", force: bool = False) -> list[str]:
	"""Take a bench out, and the helper with the last one; return lines for the admin to read.

	Refused with Conflict while a run holds the bench in maintenance, unless `force`. Raises HelperError.
	"""
	places = _require_root(Places(prefix))
	path = os.path.abspath(bench_path)
	data = _read_or_begin(places)
	names = [name for name, entry in data["benches"].items() if entry.get("path") == path]
	if not names:
		return [f"The helper is not installed for {path}; nothing was removed."]
	for name in names:
		_require_unused(os.path.join(places.state, name), name, force)
	for name in names:
		del data["benches"][name]
	if data["benches"]:
		installed_files.write(places.configuration, configuration.dump(data), 0o600)
		if places.has_systemd:
			_run_systemctl("restart", UNIT_NAME)
	else:
		_remove_all(places)
	for name in names:
		shutil.rmtree(os.path.join(places.state, name), ignore_errors=True)
	lines = [f"Removed the bench {', '.join(names)}; the audit log {places.audit_log} is kept."]
	if not places.has_systemd:
		lines.append("Restart or stop the helper's process, if you started one.")
	return lines


def _require_root(places: Places) -> Places:
	if places.prefix == "/" and os.geteuid() != 0:
		raise Denied("Installing the helper writes to the system. Run it with sudo.")
	return places


def _read_or_begin(places: Places) -> dict:
	if os.path.exists(places.configuration):
		data = configuration.read(places.configuration)
		configuration.parse(data)
		return data
	return {
		"version": configuration.VERSION,
		"socket": places.socket,
		"state": places.state,
		"audit_log": places.audit_log,
		"benches": {},
	}


def _keep_login(other: dict | None, socket: str | None, username: str | None, password: str | None) -> dict:
	"""Installing again must not forget how to log in to supervisor."""
	known = other["services"] if other is not None and other["services"]["kind"] == "supervisor" else {}
	return {
		"supervisor_socket": socket or known.get("socket"),
		"username": username if username is not None else known.get("username"),
		"password": password if password is not None else known.get("password"),
	}


def _require_unused(state: str, name: str, force: bool) -> None:
	runs = ", ".join(StateDirectory(state).read(LEASES)) if os.path.isdir(state) else ""
	if runs and not force:
		raise Conflict(
			f"{name} is held in maintenance by {runs}; without the helper nobody would resume it. Finish it "
			f"first: env/bin/press-deploy resume {runs} (or force the removal)."
		)


def _describe(name: str, entry: dict, changed: bool) -> list[str]:
	services = entry["services"]
	lines = [
		f"{'Installed' if changed else 'Already installed, nothing changed'}: {name}, {entry['path']}",
		f"  acts as user {entry['user']}; sites: {', '.join(entry['sites']) or 'none'}",
	]
	for role in configuration.ROLES:
		lines.append(f"  {services['kind']}, {role}: {', '.join(services[role]) or 'none'}")
	return lines


def _explain_start(places: Places) -> list[str]:
	command = " ".join(places.command)
	program = service_files.SUPERVISOR_PROGRAM.format(command=command)
	return [
		"This system has no systemd. Add this to supervisor's configuration, then: supervisorctl update",
		*program.splitlines(),
		f"Or start it by hand, as root: {command}",
	]


def _enable_unit(places: Places, changed: bool) -> list[str]:
	unit = service_files.SYSTEMD_UNIT.format(command=" ".join(places.command))
	changed |= installed_files.write(places.unit, unit.encode(), 0o644)
	_run_systemctl("daemon-reload")
	_run_systemctl("enable", UNIT_NAME)
	_run_systemctl("restart" if changed else "start", UNIT_NAME)
	return [f"The service {UNIT_NAME} is enabled and started."]


def _remove_all(places: Places) -> None:
	if places.has_systemd and os.path.exists(places.unit):
		_run_systemctl("disable", "--now", UNIT_NAME)
		os.unlink(places.unit)
		_run_systemctl("daemon-reload")
	shutil.rmtree(places.code, ignore_errors=True)
	shutil.rmtree(places.state, ignore_errors=True)
	os.unlink(places.configuration)
	with suppress(OSError):
		os.rmdir(os.path.dirname(places.configuration))


def _run_systemctl(*arguments: str) -> None:
	try:
		subprocess.run(
			["/usr/bin/systemctl", *arguments],
			check=True,
			capture_output=True,
			text=True,
			timeout=SYSTEMCTL_SECONDS,
		)
	except (OSError, subprocess.SubprocessError) as error:
		reason = (getattr(error, "stderr", None) or str(error)).strip()
		raise OperationFailed(f"systemctl {' '.join(arguments)} failed: {reason}") from error
