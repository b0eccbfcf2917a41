"""How the runner talks to the helper: the same method names as `Operations`, over the socket.

Invariant: every failure is a HelperError; `Unreachable` means that no answer was received, so that the
request may or may not have been performed. All verbs can be repeated.
"""

from __future__ import annotations

import json
import os
import socket

from . import protocol
from .errors import BadRequest, Unreachable, from_wire

DEFAULT_SOCKET = "/run/press_deploy/helper.sock"
SOCKET_VARIABLE = "PRESS_DEPLOY_HELPER_SOCKET"
TIMEOUT_SECONDS = 15.0


def find_socket(bench_path: str) -> str:
	"""Return where the helper of a bench listens, whether or not it does at the moment.

	`PRESS_DEPLOY_HELPER_SOCKET` counts first, then `helper_socket` in `<bench>/config/press_deploy.json`,
	then the usual place.
	"""
	return os.environ.get(SOCKET_VARIABLE) or _read_setting(bench_path, "helper_socket") or DEFAULT_SOCKET


def find_bench_name(bench_path: str) -> str:
	"""Return what the helper calls a bench: `helper_bench` in the same file, or its directory's name."""
	return _read_setting(bench_path, "helper_bench") or os.path.basename(os.path.abspath(bench_path))


class HelperClient:
	"""The helper, for one bench. One connection for each call; every method raises HelperError."""

	def __init__(self, socket_path: str, bench_name: str, timeout_seconds: float = TIMEOUT_SECONDS):
		self._socket_path = socket_path
		self._bench_name = bench_name
		self._timeout_seconds = timeout_seconds

	def status(self) -> dict:
		return self._call("status")

	def maintenance_on(self, run: str, sites: list[str], lease_seconds: int) -> dict:
		return self._call("maintenance_on", run=run, sites=sites, lease_seconds=lease_seconds)

	def maintenance_renew(self, run: str, lease_seconds: int) -> dict:
		return self._call("maintenance_renew", run=run, lease_seconds=lease_seconds)

	def maintenance_off(self, run: str, sites: list[str], previous: dict) -> dict:
		return self._call("maintenance_off", run=run, sites=sites, previous=previous)

	def reload(self, role: str) -> dict:
		return self._call("reload", role=role)

	def restart(self, role: str) -> dict:
		return self._call("restart", role=role)

	def start_runner(self, run: str) -> dict:
		return self._call("start_runner", run=run)

	def resume_runner(self, run: str) -> dict:
		return self._call("resume_runner", run=run)

	def watch_runner(self, run: str) -> dict:
		return self._call("watch_runner", run=run)

	def unwatch_runner(self, run: str) -> dict:
		return self._call("unwatch_runner", run=run)

	def _call(self, verb: str, **arguments: object) -> dict:
		request = {
			"version": protocol.VERSION,
			"verb": verb,
			"bench": self._bench_name,
			"arguments": arguments,
		}
		answer = self._exchange(request)
		if answer.get("ok") is True and isinstance(answer.get("result"), dict):
			return answer["result"]
		raise from_wire(answer.get("error"))

	def _exchange(self, request: dict) -> dict:
		protocol.encode(request)  # A request that cannot be sent is the caller's mistake, not the helper's.
		deadline = protocol.deadline_in(self._timeout_seconds)
		try:
			with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
				connection.settimeout(self._timeout_seconds)
				connection.connect(self._socket_path)
				return protocol.ask(connection, request, deadline)
		except (OSError, BadRequest) as error:
			raise Unreachable(
				f"Asking the helper at {self._socket_path} for {request['verb']} failed: {error}. "
				"Check that it runs; to install it, in the bench's directory: sudo env/bin/press-deploy helper install"
			) from error


def _read_setting(bench_path: str, key: str) -> str | None:
	try:
		with open(os.path.join(bench_path, "config", "press_deploy.json"), encoding="utf-8") as file:
			value = json.load(file).get(key)
	except (OSError, ValueError, AttributeError):
		return None
	return value if isinstance(value, str) and value else None
