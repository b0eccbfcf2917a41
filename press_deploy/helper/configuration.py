"""The helper's configuration: which benches, sites and services there are, as root wrote it down.

Invariant: a `Bench` exists only if every field of it was checked; names from callers are looked up in
it and never used themselves. As root, a file that somebody else could have written is refused.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import reprlib
from dataclasses import dataclass

from . import protocol, trust
from .errors import BadRequest, ConfigurationRefused

VERSION = 1
MAXIMUM_BYTES = 1024 * 1024
ROLES = ("web", "realtime", "workers")
KINDS = ("supervisor", "systemd", "systemd-user", "none")

BENCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,139}")
SERVICE_NAME = {
	"supervisor": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(:[A-Za-z0-9][A-Za-z0-9_.-]*)?"),
	"systemd": (UNIT_NAME := re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*\.service")),
	"systemd-user": UNIT_NAME,
	"none": re.compile(r"(?!)"),
}
# For whoever installs again: what a person confirmed, and whether a person named all of it.
REMEMBERED = ("chosen", "by_hand")
REDIS = re.compile(r"redis-(cache|queue|socketio)")


@dataclass(frozen=True)
class ServicesConfiguration:
	"""Where a bench's services are kept and what they are called there, by role."""

	kind: str
	web: tuple[str, ...]
	realtime: tuple[str, ...]
	workers: tuple[str, ...]
	socket: str | None = None
	username: str | None = None
	password: str | None = None

	def in_role(self, role: str) -> tuple[str, ...]:
		"""Return the names of the services of one of `ROLES`."""
		return {"web": self.web, "realtime": self.realtime, "workers": self.workers}[role]

	@property
	def all_names(self) -> tuple[str, ...]:
		"""The names of all services."""
		return self.web + self.realtime + self.workers

	def __repr__(self) -> str:
		# The password must not reach a log by way of a traceback.
		return f"ServicesConfiguration({self.kind}, {', '.join(self.all_names)})"


@dataclass(frozen=True)
class Bench:
	"""One bench that the helper serves, with the numbers of the user that it belongs to."""

	name: str
	path: str
	user: str
	uid: int
	gid: int
	home: str
	sites: tuple[str, ...]
	runner: tuple[str, ...]
	services: ServicesConfiguration


@dataclass(frozen=True)
class Configuration:
	"""The whole file."""

	socket: str
	state: str
	audit_log: str
	benches: dict[str, Bench]


class ConfigurationFile:
	"""The file, read again whenever it is another one than before."""

	def __init__(self, path: str):
		self._path = path
		self._seen: tuple | None = None
		self._first: Configuration | None = None

	def read(self) -> Configuration:
		"""Read it for the first time. Raises ConfigurationRefused."""
		self._seen = self._look()
		self._first = load(self._path)
		return self._first

	def read_if_changed(self) -> Configuration | None:
		"""Return what it says by now; None while nobody has changed it, or after it was refused as it is.

		Raises ConfigurationRefused, also for what counts from the start on only: socket, state and audit log.
		"""
		seen = self._look()
		if seen == self._seen:
			return None
		self._seen = seen
		loaded = load(self._path)
		for field in ("socket", "state", "audit_log"):
			if getattr(loaded, field) != getattr(self._first, field):
				raise ConfigurationRefused(
					f"{self._path} names another {field} than when the helper was started. Restart the helper."
				)
		return loaded

	def _look(self) -> tuple | None:
		try:
			status = os.stat(self._path)
		except OSError:
			return None
		return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_uid)


def load(path: str) -> Configuration:
	"""Read the configuration file; as root, only one that root alone can write.

	Raises ConfigurationRefused.
	"""
	if os.geteuid() == 0:
		trust.require_root_owned(path)
	return parse(read(path))


def read(path: str) -> dict:
	"""Return the file as plain data, unchecked but for being a JSON object.

	Raises ConfigurationRefused.
	"""
	try:
		with open(path, "rb") as file:
			content = file.read(MAXIMUM_BYTES + 1)
		if len(content) > MAXIMUM_BYTES:
			raise BadRequest(f"It has more than {MAXIMUM_BYTES} bytes.")
		return protocol.decode(content)
	except (OSError, BadRequest) as error:
		reason = getattr(error, "strerror", None) or error
		raise ConfigurationRefused(f"The configuration {path} cannot be read: {reason}") from None


def parse(data: dict) -> Configuration:
	"""Check plain data and return it as a Configuration. Raises ConfigurationRefused."""
	_require_keys(data, "the configuration", {"version", "socket", "state", "audit_log", "benches"})
	version = data["version"]
	_require(type(version) is int and version == VERSION, "version", version, f"write {VERSION}")
	for field in ("socket", "state", "audit_log"):
		_require_path(data[field], field)
	benches = data["benches"]
	_require(isinstance(benches, dict), "benches", benches, "write an object, one key per bench")
	benches = {name: build_bench(name, entry) for name, entry in benches.items()}
	return Configuration(data["socket"], data["state"], data["audit_log"], benches)


def dump(data: dict) -> bytes:
	"""Return plain data as the file's content."""
	return (json.dumps(data, indent=1) + "\n").encode()


def build_bench(name: str, entry: dict) -> Bench:
	"""Check one entry of `benches` and return it as a Bench. Raises ConfigurationRefused."""
	where = f"benches.{name}"
	valid_name = isinstance(name, str) and BENCH_NAME.fullmatch(name)
	_require(valid_name, "the name of a bench", name, "use letters, digits, '.', '_' and '-'")
	_require_keys(entry, where, {"path", "user", "sites", "runner", "services"})
	_require_path(entry["path"], f"{where}.path")
	_require_texts(entry["sites"], f"{where}.sites")
	for site in entry["sites"]:
		_require(SITE_NAME.fullmatch(site), f"{where}.sites", site, "write the name of a site's directory")
	_require_texts(entry["runner"], f"{where}.runner")
	_require(entry["runner"], f"{where}.runner", entry["runner"], "write a command as a list")
	_require_path(entry["runner"][0], f"{where}.runner")
	account = _find_account(entry["user"], where)
	return Bench(
		name=name,
		path=entry["path"],
		user=account.pw_name,
		uid=account.pw_uid,
		gid=account.pw_gid,
		home=account.pw_dir,
		sites=tuple(entry["sites"]),
		runner=tuple(entry["runner"]),
		services=_build_services(entry["services"], f"{where}.services"),
	)


def _build_services(entry: object, where: str) -> ServicesConfiguration:
	_require_keys(entry, where, {"kind", *ROLES}, {"socket", "username", "password", *REMEMBERED})
	kind = entry["kind"]
	known = isinstance(kind, str) and kind in KINDS
	_require(known, f"{where}.kind", kind, f"write one of {', '.join(KINDS)}")
	for role in ROLES:
		_require_texts(entry[role], f"{where}.{role}")
		for name in entry[role]:
			remedy = f"write the name of a {kind} service; Redis is never touched"
			allowed = SERVICE_NAME[kind].fullmatch(name) and not REDIS.search(name)
			_require(allowed, f"{where}.{role}", name, remedy)
	names = [name for role in ROLES for name in entry[role]]
	_require(len(set(names)) == len(names), where, names, "give each service one role")
	_require_texts(entry.get("chosen", []), f"{where}.chosen")
	by_hand = entry.get("by_hand", False)
	_require(isinstance(by_hand, bool), f"{where}.by_hand", by_hand, "write true or false")
	if kind == "supervisor":
		_require_path(entry.get("socket"), f"{where}.socket")
	for field in ("username", "password"):
		# The value is not shown: it may be a password.
		correct = entry.get(field) is None or isinstance(entry[field], str)
		_require(correct, f"{where}.{field}", "(hidden)", "write a text or null")
	return ServicesConfiguration(
		kind=kind,
		**{role: tuple(entry[role]) for role in ROLES},
		**{field: entry.get(field) for field in ("socket", "username", "password")},
	)


def _find_account(user: object, where: str) -> pwd.struct_passwd:
	_require(isinstance(user, str) and user.isprintable(), f"{where}.user", user, "write a user's name")
	try:
		return pwd.getpwnam(user)
	except KeyError:
		raise _refusal(f"{where}.user", user, "write a user that this machine has") from None


def _require_keys(data: object, where: str, required: set, optional: frozenset | set = frozenset()) -> None:
	_require(isinstance(data, dict), where, data, "write a JSON object")
	missing, unknown = required - data.keys(), data.keys() - required - optional
	_require(not missing, where, sorted(data), f"add {', '.join(sorted(missing))}")
	_require(not unknown, where, sorted(unknown), "remove these keys, they are unknown")


def _require_path(value: object, where: str) -> None:
	clean = isinstance(value, str) and value.isprintable() and os.path.normpath(value) == value
	_require(clean and value.startswith("/"), where, value, "write an absolute path, without '..' or '//'")


def _require_texts(value: object, where: str) -> None:
	correct = isinstance(value, list) and all(isinstance(item, str) and item.isprintable() for item in value)
	_require(correct, where, value, "write a list of texts")


def _require(condition: object, where: str, value: object, remedy: str) -> None:
	if not condition:
		raise _refusal(where, value, remedy)


def _refusal(where: str, value: object, remedy: str) -> ConfigurationRefused:
	return ConfigurationRefused(f"In the helper's configuration, {where} is {reprlib.repr(value)}: {remedy}.")
