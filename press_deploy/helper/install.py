"""Installs the helper for a bench, and removes it.

Invariant: what is installed belongs to whoever installs (root) and is writable by nobody else;
installing twice changes nothing the second time; removing the last bench leaves the audit log only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress

from . import configuration, installed_files, running, service_files
from .bench_user import BenchUser
from .discovery import Survey
from .errors import Conflict, Denied, HelperError, OperationFailed
from .leases import FILE as LEASES
from .places import UNIT_NAME, Places
from .registration import Confirm, Wishes, find_entry, find_name, refuse_shared
from .state import StateDirectory

SYSTEMCTL_SECONDS = 60


def install(
	bench_path: str,
	*,
	prefix: str = "/",
	name: str | None = None,
	entry: dict | None = None,
	wishes: Wishes | None = None,
	confirm: Confirm = lambda lines: False,
) -> list[str]:
	"""Install the helper for a bench, or bring it up to date; return lines for the admin to read.

	`name` is what the helper calls the bench (else the directory's name); `entry` stands in for what would be
	found. `confirm` shows a person lines, and says whether they are right. Raises HelperError, before anything
	is written.
	"""
	places = _require_root(Places(prefix))
	path = os.path.abspath(bench_path)
	data = _read_or_begin(places)
	name = find_name(data, path, name)
	found = Survey(entry) if entry else find_entry(data, name, path, wishes or Wishes(), confirm)
	refuse_shared(data, name, found.entry)
	data["benches"][name] = found.entry
	bench = configuration.parse(data).benches[name]
	if name != os.path.basename(path):
		BenchUser(bench).perform("write_bench_name", name=name)

	code_changed = installed_files.copy_code(places.code)
	for directory in (places.state, os.path.dirname(places.audit_log)):
		installed_files.make_directory(directory)
	script = service_files.SCRIPT.format(command=" ".join(places.command_of_code))
	code_changed |= installed_files.write(places.script, script.encode(), 0o755)
	changed = installed_files.write(places.configuration, configuration.dump(data), 0o600) or code_changed
	lines = describe(name, found, "Installed" if changed else "Already installed, nothing changed")
	if places.has_systemd:
		return lines + _enable_unit(places, code_changed) + running.describe(places, name, list(bench.sites))
	return lines + _take_over(places, bench, code_changed)


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
		_forget_name(name, data["benches"].pop(name))
	if data["benches"]:
		# The helper that runs sees that by itself.
		installed_files.write(places.configuration, configuration.dump(data), 0o600)
	else:
		_remove_all(places)
	for name in names:
		shutil.rmtree(os.path.join(places.state, name), ignore_errors=True)
	lines = [f"Removed the bench {', '.join(names)}; the audit log {places.audit_log} is kept."]
	if not data["benches"] and not places.has_systemd:
		lines.append(
			f"End the helper's process: take {running.PROGRAM} out of supervisor's configuration, then: "
			"supervisorctl update"
		)
	return lines


def _require_root(places: Places) -> Places:
	if places.prefix == "/" and os.geteuid() != 0:
		raise Denied("Installing the helper writes to the system. Run it with sudo.")
	return places


def _forget_name(name: str, entry: dict) -> None:
	"""Let clients in the bench ask by its directory's name again; a bench that is gone asks no more."""
	usual = os.path.basename(entry["path"])
	if name != usual:
		with suppress(HelperError):
			bench = configuration.build_bench(name, entry)
			BenchUser(bench).perform("write_bench_name", name=usual)


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


def _require_unused(state: str, name: str, force: bool) -> None:
	runs = ", ".join(StateDirectory(state).read(LEASES)) if os.path.isdir(state) else ""
	if runs and not force:
		raise Conflict(
			f"{name} is held in maintenance by {runs}; without the helper nobody would resume it. Finish it "
			f"first: env/bin/press-deploy resume {runs} (or force the removal)."
		)


def describe(name: str, found: Survey, done: str) -> list[str]:
	"""Return lines that say what of a bench is in the configuration, and what was done."""
	entry, services = found.entry, found.entry["services"]
	lines = [
		f"{done}: {name}, {entry['path']}",
		f"  acts as user {entry['user']}; sites: {', '.join(entry['sites']) or 'none'}",
	]
	for role in configuration.ROLES:
		lines.append(f"  {services['kind']}, {role}: {', '.join(services[role]) or 'none'}")
	return lines + [f"  warning: {warning}" for warning in found.warnings]


def _take_over(places: Places, bench: configuration.Bench, code_changed: bool) -> list[str]:
	"""Where there is no systemd: let supervisor restart the helper if it has it, else say how to start it."""
	login = {"username": bench.services.username, "password": bench.services.password}
	if code_changed and running.restart_under_supervisor(places, login):
		return [
			"Supervisor has restarted the helper.",
			*running.describe(places, bench.name, list(bench.sites)),
		]
	if not running.answers(places):
		return _explain_start(places)
	lines = running.describe(places, bench.name, list(bench.sites))
	if code_changed:
		lines.append(f"It runs what was installed before. Restart it: {running.START_AGAIN}.")
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
	with suppress(FileNotFoundError):
		os.unlink(places.script)
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
