"""The edge: every kind of value that comes from outside, and the one test that lets it in.

Invariant: what passes is safe as a path component, an argument of a program or a key of a file. Each
function returns the value or raises `ValueError("why; remedy")`; `plan/spec.py` names the field.
"""

from __future__ import annotations

import json
import re
import unicodedata
import warnings
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

TEXT_LIMIT = 10_000
NAME_LIMIT = 140

_SITE = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,252}[a-zA-Z0-9])?\Z")
_APP = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,40}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}\Z")
# What the shell user alone decides: see `allowances`.
_ALLOWANCE = re.compile(r"press_deploy_(allow_|copy_sources|config_keys|sites)")
_MODULE = re.compile(r"[A-Za-z_]\w{0,99}(\.[A-Za-z_]\w{0,99}){0,19}\Z")
_RUN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]{0,63}@)?[A-Za-z0-9]([A-Za-z0-9.-]{0,252})\Z")
_PATH = re.compile(r"[A-Za-z0-9_./+@=-]{1,1000}\Z")
_PROFILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]{0,63}\Z")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")

# A run sets or guards these itself, or a change of them would cut the site from its data.
GUARDED_KEYS = {
	"maintenance_mode": "the run sets maintenance mode itself",
	"pause_scheduler": "the run pauses the scheduler itself",
	"allow_tests": "the critical tests set and restore it themselves",
	"encryption_key": "stored passwords could not be read any more",
	"db_name": "the site would lose its database",
	"db_type": "the site would lose its database",
	"db_host": "the site would lose its database",
	"db_port": "the site would lose its database",
	"db_socket": "the site would lose its database",
	"db_user": "the site would lose its database",
	"db_password": "the site would lose its database",
}
_SECRET = re.compile(
	r"passw|passphrase|pwd|secret|token|credential|private|api[_-]?key|(^|[_-])key$|encryption|cookie$",
	re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
	"""Whether a configuration key or header of this name usually holds a secret."""
	return bool(_SECRET.search(name)) or name.lower() in {"authorization", "proxy-authorization"}


def text(value: str, *, limit: int = TEXT_LIMIT) -> str:
	"""Prose: any characters but NUL, of at most `limit` characters."""
	if not isinstance(value, str):
		raise ValueError("it is not text; write text")
	if len(value) > limit:
		raise ValueError(f"it is longer than {limit} characters; shorten it")
	if "\0" in value:
		raise ValueError("it holds a NUL character; remove it")
	if any(unicodedata.category(character) == "Cs" for character in value):
		raise ValueError("it holds a byte that is no character; write it in UTF-8")
	return value


def python_code(value: str) -> str:
	"""Python that compiles as a console check; what it does, only the site shows."""
	text(value)
	try:
		with warnings.catch_warnings():
			warnings.simplefilter("ignore")
			compile(value, "<console check>", "exec")
	except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
		where = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
		raise ValueError(f"it is not Python ({getattr(error, 'msg', error)}{where}); correct it") from None
	return value


def line(value: str, *, limit: int = NAME_LIMIT) -> str:
	"""One line of prose without control characters."""
	text(value, limit=limit)
	if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in value):
		raise ValueError("it holds a line break or a control character; keep it on one line")
	return value


def site(value: str) -> str:
	return matching(_SITE, value, "a site name of letters, digits, dots and dashes", refuse=("..",))


def app(value: str) -> str:
	return matching(_APP, value, "an app name as in sites/apps.txt: lower case letters, digits and _")


def ref(value: str) -> str:
	"""A branch, tag or commit that can't be taken for an option, a range or a reflog entry."""
	matching(_REF, value, "a branch, tag or commit", refuse=("..", "//", "@{", ".lock/", "/."))
	if value.endswith((".", "/", ".lock")):
		raise ValueError("git allows no ref with that ending; write a branch, tag or commit")
	return value


def commit(value: str) -> str:
	return matching(_COMMIT, value, "7 to 40 characters of a commit's SHA in lower case")


def sha256(value: str) -> str:
	return matching(_SHA256, value, "64 hexadecimal characters in lower case")


def config_key(value: str) -> str:
	matching(_KEY, value, "a configuration key of letters, digits, _ and -")
	if value in GUARDED_KEYS:
		raise ValueError(f"{GUARDED_KEYS[value]}; take it out of the plan")
	if _ALLOWANCE.match(value):
		raise ValueError("it says what plans may do; set it by hand, with bench set-config -g")
	return value


def module(value: str) -> str:
	return matching(_MODULE, value, "a dotted Python module, such as app.module.doctype.thing.test_thing")


def run_name(value: str) -> str:
	return matching(_RUN, value, "a run name of lower case letters, digits and dashes")


def header_name(value: str) -> str:
	return matching(_HEADER, value, "an HTTP header name")


def profile_name(value: str) -> str:
	return matching(_PROFILE, value, "the name of a profile in ~/.aws/config")


def ssh_host(value: str) -> str:
	return matching(_HOST, value, "HOST or USER@HOST")


def relative_path(value: str) -> str:
	"""A path below a directory that is known: no root, no `..`, no option, nothing of git's own.

	It may stand in a command for another host's shell, so its characters are few.
	"""
	matching(_PATH, value, "a path of letters, digits and _ . / + @ = -")
	path = PurePosixPath(value)
	if path.is_absolute() or value.startswith("-"):
		raise ValueError("it is not a relative path; write it relative to the app's directory")
	if not path.parts or any(part in ("..", ".git") for part in path.parts) or str(path) != value:
		raise ValueError(
			"it leaves the directory or is not in its plain form; write it without .. . // and .git"
		)
	return value


def absolute_path(value: str) -> str:
	matching(_PATH, value, "a path of letters, digits and _ . / + @ = -")
	path = PurePosixPath(value)
	if (
		not path.is_absolute()
		or ".." in path.parts
		or str(path) != value
		or path.root == "//"
		or value == "/"
	):
		raise ValueError("it is not a plain absolute path; write it from / and without ..")
	return value


def url_path(value: str) -> str:
	"""The path of a request to the site itself; never another host."""
	line(value, limit=2000)
	parts = urlsplit(value)
	if not value.startswith("/") or value.startswith("//") or parts.scheme or parts.netloc or " " in value:
		raise ValueError("it does not stay on the site; write a path such as /api/method/ping")
	if "\\" in value or parts.fragment:
		raise ValueError("it holds a backslash or a fragment; write a path such as /api/method/ping")
	return value


def base_url(value: str) -> str:
	"""The public address of a site: scheme and host, perhaps a port, nothing else."""
	line(value, limit=300)
	parts = urlsplit(value)
	try:
		valid_port = parts.port is None or parts.port > 0
	except ValueError:
		valid_port = False
	if parts.scheme not in ("http", "https") or not parts.hostname or not valid_port:
		raise ValueError("it is not an address; write http(s)://HOST or http(s)://HOST:PORT")
	if parts.path not in ("", "/") or any(character in value for character in "@?#"):
		raise ValueError("it holds more than scheme, host and port; write http(s)://HOST")
	matching(_HOST, parts.hostname, "a host name")
	return value.rstrip("/")


def instant(value: Any) -> Any:
	"""An instant in words, before it is parsed: a number would be read as seconds since 1970."""
	if not isinstance(value, str) or value.strip().lstrip("+-").replace(".", "", 1).isdigit():
		raise ValueError("it is no date and time; write an instant such as 2030-01-31T20:00+01:00")
	return value


def json_value(value: Any) -> Any:
	"""What JSON can hold, of moderate size; NaN and Infinity are no JSON."""
	try:
		encoded = json.dumps(value, allow_nan=False)
	except (TypeError, ValueError, RecursionError):
		raise ValueError("value is not JSON; write a JSON value") from None
	if len(encoded) > TEXT_LIMIT:
		raise ValueError(f"value is longer than {TEXT_LIMIT} characters of JSON; shorten it")
	return value


def matching(pattern: re.Pattern, value: str, wanted: str, refuse: tuple[str, ...] = ()) -> str:
	if not isinstance(value, str) or not pattern.match(value) or any(part in value for part in refuse):
		raise ValueError(f"it is not {wanted}; correct it")
	return value
