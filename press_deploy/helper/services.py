"""The services of a bench, under supervisor or systemd, behind one small port.

	status(name)  {"name", "state", "pid", "started_at", "description"}
	reload(name)  graceful: the main process gets a HUP
	stop(name)    asks, and does not wait
	start(name)   asks

Invariant: names come from the configuration, never from a caller, and are never read by a shell.
`state` is one of STATES; `pid` and `started_at` (seconds since 1970) are None where nothing runs.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from contextlib import suppress
from typing import Protocol

from .configuration import ServicesConfiguration
from .errors import NotFound, OperationFailed
from .processes import find_start_ticks
from .supervisor import SupervisorConnection

STATES = ("RUNNING", "STARTING", "STOPPING", "STOPPED", "FAILED", "UNKNOWN")
SUPERVISOR_STATES = {
	"RUNNING": "RUNNING",
	"STARTING": "STARTING",
	# Between two attempts to start: supervisor goes on by itself, and says FATAL when it gives up.
	"BACKOFF": "STARTING",
	"STOPPING": "STOPPING",
	"STOPPED": "STOPPED",
	"EXITED": "STOPPED",
	"FATAL": "FAILED",
}
SYSTEMD_STATES = {
	"active": "RUNNING",
	"reloading": "RUNNING",
	"activating": "STARTING",
	"deactivating": "STOPPING",
	"inactive": "STOPPED",
	"failed": "FAILED",
}
SYSTEMD_PROPERTIES = "LoadState,ActiveState,SubState,MainPID,Result"
SYSTEMCTL = "/usr/bin/systemctl"
SYSTEMCTL_SECONDS = 8.0
DESCRIPTION_LENGTH = 200


class Services(Protocol):
	"""The port. Every method raises NotFound for an unknown name, OperationFailed for any other failure."""

	def status(self, name: str) -> dict: ...
	def reload(self, name: str) -> None: ...
	def stop(self, name: str) -> None: ...
	def start(self, name: str) -> None: ...


def connect(configuration: ServicesConfiguration, bench_uid: int) -> Services:
	"""Return the port to the services that a bench is configured with."""
	if configuration.kind == "supervisor":
		owners = {0, os.geteuid(), bench_uid}
		return Supervisor(
			SupervisorConnection(
				configuration.socket, configuration.username, configuration.password, owners=owners
			)
		)
	if configuration.kind == "systemd":
		return Systemd()
	if configuration.kind == "systemd-user":
		return Systemd(user_id=bench_uid)
	return NoServices()


class Supervisor:
	"""Programs of a running supervisord, named `group:name`."""

	def __init__(self, connection: SupervisorConnection):
		self._connection = connection

	def status(self, name: str) -> dict:
		information = self._connection.call("getProcessInfo", name)
		if not isinstance(information, dict):
			raise OperationFailed(f"Supervisor described {name} in a way that makes no sense.")
		state, pid = str(information.get("statename")), information.get("pid")
		pid = pid if type(pid) is int and pid > 0 else None
		description = f"{state} {information.get('description') or ''} {information.get('spawnerr') or ''}"
		return build_status(name, SUPERVISOR_STATES.get(state, "UNKNOWN"), pid, description)

	def reload(self, name: str) -> None:
		self._connection.call("signalProcess", name, "HUP")

	def stop(self, name: str) -> None:
		self._connection.call("stopProcess", name, False, accept="NOT_RUNNING")

	def start(self, name: str) -> None:
		self._connection.call("startProcess", name, False, accept="ALREADY_STARTED")


class Systemd:
	"""Units, by way of `systemctl`: the system's, or with `user_id` those of that user's own systemd."""

	def __init__(self, systemctl: str = SYSTEMCTL, user_id: int | None = None):
		self._systemctl = systemctl
		self._user_id = user_id

	def list_units(self) -> list[str]:
		"""Return the names of all service units that are loaded. Raises OperationFailed."""
		listed = self._run("list-units", "--all", "--plain", "--no-legend", "--type=service")
		return sorted(line.split()[0] for line in listed.splitlines() if line.strip())

	def show(self, names: list[str], properties: str) -> list[dict[str, str]]:
		"""Return these properties of each of the units. Raises OperationFailed."""
		shown = self._run("show", f"--property={properties}", "--", *names)
		blocks = [block.splitlines() for block in shown.split("\n\n") if block.strip()]
		return [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]

	def status(self, name: str) -> dict:
		shown = next(iter(self.show([name], SYSTEMD_PROPERTIES)), {})
		if shown.get("LoadState") == "not-found":
			raise NotFound(f"systemd has no unit {name}; correct the helper's configuration.")
		pid = int(shown["MainPID"]) if shown.get("MainPID", "").isdigit() else 0
		description = " ".join(shown.get(key, "") for key in ("ActiveState", "SubState", "Result"))
		state = SYSTEMD_STATES.get(shown.get("ActiveState", ""), "UNKNOWN")
		return build_status(name, state, pid or None, description)

	def reload(self, name: str) -> None:
		self._run("kill", "--signal=HUP", "--kill-who=main", "--", name)

	def stop(self, name: str) -> None:
		self._run("stop", "--no-block", "--", name)

	def start(self, name: str) -> None:
		with suppress(OperationFailed):
			# A unit that failed too often refuses to start until told to forget that; others refuse this.
			self._run("reset-failed", "--", name)
		self._run("start", "--no-block", "--", name)

	def _run(self, *arguments: str) -> str:
		scope = [] if self._user_id is None else ["--user"]
		try:
			completed = subprocess.run(
				[self._systemctl, *scope, "--no-ask-password", "--no-pager", *arguments],
				stdin=subprocess.DEVNULL,
				capture_output=True,
				text=True,
				errors="replace",
				timeout=SYSTEMCTL_SECONDS,
				cwd="/",
				**self._surrounding(),
			)
		except (OSError, subprocess.SubprocessError) as error:
			raise OperationFailed(f"systemctl {' '.join(arguments)} could not be run: {error}") from error
		if completed.returncode != 0:
			reason = completed.stderr.strip()[:DESCRIPTION_LENGTH] or f"exit code {completed.returncode}"
			raise OperationFailed(f"systemctl {' '.join(arguments)} failed: {reason}")
		return completed.stdout

	def _surrounding(self) -> dict:
		"""As whom to run it, and where it finds a user's own systemd: with that user's rights, never as root."""
		environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
		if self._user_id is None:
			return {"env": environment}
		environment["XDG_RUNTIME_DIR"] = f"/run/user/{self._user_id}"
		if os.geteuid() == self._user_id:
			return {"env": environment}
		group = pwd.getpwuid(self._user_id).pw_gid
		return {"env": environment, "user": self._user_id, "group": group, "extra_groups": []}


class NoServices:
	"""Stands where nobody may control the services; the configuration then names none."""

	def status(self, name: str) -> dict:
		raise self._refusal(name)

	def reload(self, name: str) -> None:
		raise self._refusal(name)

	stop = start = reload

	@staticmethod
	def _refusal(name: str) -> NotFound:
		return NotFound(
			f"{name} is out of reach; install the helper, in the bench's directory: sudo env/bin/press-deploy helper install"
		)


def build_status(name: str, state: str, pid: int | None, description: str) -> dict:
	"""Return what `status` answers, with the start time of the process looked up."""
	return {
		"name": name,
		"state": state,
		"pid": pid,
		"started_at": find_start_time(pid) if pid else None,
		"description": " ".join(description.split())[:DESCRIPTION_LENGTH],
	}


def find_start_time(pid: int) -> float | None:
	"""Return when a process started, in seconds since 1970 to about 10 ms; None when it is gone.

	Asked of the kernel, because supervisor knows it only to the whole second.
	"""
	ticks = find_start_ticks(pid)
	if ticks is None:
		return None
	started = ticks / os.sysconf("SC_CLK_TCK")
	return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started)
