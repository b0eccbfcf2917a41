"""What kinds of entries logs hold, and which of them are held against a release: one table.

A new class is a function `(entry) -> bool` and a line in CLASSES, before those that would take its entries first.

Invariant: an entry is excused for what is known of it, exception *and* frames. Whatever a line of the table does
not name is the release's; a connection that breaks under an app's own frames is, at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from press_deploy.engine.watching.log_entries import Entry, Origin


class Weight(str, Enum):
	"""What an entry of a class says of the release."""

	AGAINST = "against"
	NOTHING = "nothing"
	UNKNOWN = "unknown"


@dataclass(frozen=True)
class LogClass:
	name: str
	# For people, after a number: “3 × …”; empty where nobody needs to know.
	says: str
	weight: Weight
	is_one: Callable[[Entry], bool]


# Frappe's line that points to the Error Log, whose rows are looked at by themselves; what gunicorn writes above a
# traceback that is looked at by itself.
_POINTER = re.compile(
	r"New Exception collected in error log|\[ERROR\] (Error handling request|Socket error processing request)\b"
)
# What maintenance makes Frappe write, for every request that it turns away.
_MAINTENANCE = re.compile(r"^([\w.]+\.)?SessionStopped\b|\bSession Stopped\b|HTTP/[\d.]+\"? 503\b")
# The scheduler, of each job that the workers have not come to since it was last due.
_QUEUED_ALREADY = re.compile(r"\bERROR scheduler Skipped queueing \S+ because it was found in queue for ")
# gunicorn, of each worker that a reload or a restart ends.
_TOLD_TO_STOP = re.compile(r"Worker \(pid:\d+\) was sent SIGTERM!")

_BROKEN = r"(BrokenPipeError|ConnectionResetError|ConnectionAbortedError)\b|OSError: \[Errno (32|104)\]"
_HUNG_UP = re.compile(rf"^({_BROKEN}|([\w.]+\.)?(ClientDisconnected|NoMoreData)\b)")

# With what the client of Redis asks on every new connection, and an older Redis does not know.
_LOST = re.compile(
	rf"^({_BROKEN}|([\w.]+\.)?(ConnectionError|TimeoutError|BusyLoadingError|ConnectionRefusedError)\b"
	r"|([\w.]+\.)?ResponseError: unknown subcommand 'SETINFO')"
)
# Raised by the handler of a signal, on top of whatever was at work.
_STOPPED = re.compile(r"^([\w.]+\.)?(SystemExit|StopRequested|ShutDownImminentException)\b")
_NODE_LOST = re.compile(
	r"^(Error: (connect ECONNREFUSED|connect ENOENT|read ECONNRESET|write EPIPE)|SocketClosedUnexpectedlyError)\b"
)
_SERVICE_LINE = re.compile(
	r"Could not connect to Redis instance: |Redis connection timeout, quitting\b"
	# Frappe, where it can't put rows into Redis that are to be inserted later.
	r"|Error while inserting deferred [\w ]+ record: 'str' object has no attribute 'update'$"
	r"|Worker \(pid:\d+\) was sent SIG(INT|QUIT)!"
	r"|\[ERROR\] (Connection in use: |connection to .* failed: |Retrying in 1 second)"
)

_OTHER_APP = re.compile(r"(^|/)apps/(?!frappe/)[^/]+/|^<(?!frozen )")
_FRAPPE = re.compile(r"(^|/)apps/frappe/")
_STANDARD_LIBRARY = re.compile(r"^<frozen |/lib/python[\d.]+/(?!(site|dist)-packages/)")
_PROGRAM = re.compile(r"/bin/[\w.-]+$")
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([\w-]+)")
_NODE = re.compile(
	r"^node:|/node_modules/(@redis|socket\.io|engine\.io|ws)/"
	r"|(^|/)apps/frappe/(realtime/|socketio\.js$|node_utils\.js$)"
)
# What runs around Frappe: clients of Redis, web servers, the command line.
_CLIENTS, _SERVERS, _BETWEEN = {"redis", "rq"}, {"gunicorn", "werkzeug"}, {"click", "filelock", "sentry_sdk"}


def classify(entry: Entry) -> LogClass:
	"""The first class of the table that an entry belongs to."""
	return next(each for each in CLASSES if each.is_one(entry))


def is_of_other_app(frame: str) -> bool:
	"""Whether a frame's file belongs to an app that is not Frappe, or to a script that stands in a record."""
	return bool(_OTHER_APP.search(frame))


def _is_maintenance(entry: Entry) -> bool:
	return bool(_MAINTENANCE.search(entry.text)) and not any(map(is_of_other_app, entry.frames))


def _is_visitor(entry: Entry) -> bool:
	"""Somebody hung up while he asked or was answered: known by where it was noticed."""
	return bool(_HUNG_UP.match(entry.text)) and _is_infrastructure(entry) and _ends_in(entry, _SERVERS)


def _is_restart(entry: Entry) -> bool:
	"""Services that stop and start lose each other: only within the run's own restarts, and outside all apps."""
	if entry.origin is not Origin.SETTLING:
		return False
	if not entry.frames:
		return bool(_SERVICE_LINE.search(entry.text))
	if _NODE_LOST.match(entry.text):
		return all(map(_NODE.search, entry.frames))
	if _STOPPED.match(entry.text):
		return _ends_in(entry, _CLIENTS | _SERVERS)
	is_lost = bool(_LOST.match(entry.text))
	return is_lost and _is_infrastructure(entry) and _ends_in(entry, _CLIENTS | _SERVERS)


def _is_infrastructure(entry: Entry) -> bool:
	"""Whether every frame is known, and none belongs to an app other than Frappe."""
	return bool(entry.frames) and all(map(_is_known, entry.frames))


def _is_known(frame: str) -> bool:
	if is_of_other_app(frame):
		return False
	if package := _PACKAGE.search(frame):
		return package[1] in _CLIENTS | _SERVERS | _BETWEEN
	return bool(_FRAPPE.search(frame) or _STANDARD_LIBRARY.search(frame) or _PROGRAM.search(frame))


def _ends_in(entry: Entry, packages: set[str]) -> bool:
	"""Whether the innermost frame that is not of Python's own library is one of these packages'."""
	inner = [frame for frame in entry.frames if not _STANDARD_LIBRARY.search(frame)]
	package = _PACKAGE.search(inner[-1]) if inner else None
	return bool(package and package[1] in packages)


def _says(pattern: re.Pattern[str]) -> Callable[[Entry], bool]:
	return lambda entry: not entry.frames and bool(pattern.search(entry.text))


# No entry alone says so: see `logs.excuse_former`.
FORMER = LogClass(
	"former", "an error of what still ran the former release", Weight.NOTHING, lambda entry: False
)
CLASSES = (
	LogClass("unread", "could not be read", Weight.UNKNOWN, lambda entry: entry.origin is Origin.UNREAD),
	LogClass("logging", "logging itself failed", Weight.NOTHING, lambda entry: entry.in_logging),
	LogClass("pointer", "", Weight.NOTHING, _says(_POINTER)),
	LogClass("maintenance", "turned away by maintenance", Weight.NOTHING, _is_maintenance),
	LogClass("visitor", "a visitor hung up", Weight.NOTHING, _is_visitor),
	LogClass("stopping", "a worker was told to stop", Weight.NOTHING, _says(_TOLD_TO_STOP)),
	LogClass("queued", "a job waited already", Weight.NOTHING, _says(_QUEUED_ALREADY)),
	LogClass("restart", "a service lost another that restarted", Weight.NOTHING, _is_restart),
	LogClass("release", "an error", Weight.AGAINST, lambda entry: True),
)
