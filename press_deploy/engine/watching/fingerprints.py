"""The name of all log entries that report the same thing.

An exception is the same when it has the same type and came the same way through the same app, whatever its message
says; a line without frames, when it differs only in what varies: numbers, addresses, identifiers, quoted names.

Invariant: the name of an entry follows from the entry alone. It is the same on every bench, in every run and in
whatever order entries come, so that what is seen today can be looked up in what was seen last year. That is why
lines are masked by rules, and not by templates learned from the lines before (Drain, He et al., ICWS 2017): those
depend on what came first, and have to be kept and carried along.
"""

from __future__ import annotations

import hashlib
import re

from press_deploy.engine.watching.log_classes import is_of_other_app
from press_deploy.engine.watching.log_entries import Entry

SHAPE_LIMIT = 200

_VARIABLE = re.compile(
	r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=\w*\d)[0-9a-f]{8,}\b"
	r"|[\w.+-]+@[\w-]+\.[\w.]+|\d+|'[^']*'|\"[^\"]*\""
)
_TYPE = re.compile(r"^[\w.]+")
_APP = re.compile(r"(?:^|/)apps/([^/]+/.*)$")


def fingerprint(entry: Entry) -> str:
	"""Twelve characters for everything that reports the same."""
	shape = _shape_of_exception(entry) if entry.frames else shape_of_line(entry.text)
	return hashlib.sha256(shape.encode()).hexdigest()[:12]


def shape_of_line(line: str) -> str:
	"""A line without what varies from one time to the next."""
	return _VARIABLE.sub("#", line)[:SHAPE_LIMIT]


def _shape_of_exception(entry: Entry) -> str:
	"""Its type and its way through the apps; through Frappe, or through whatever there is, where no app is on it."""
	type_of_it = _TYPE.match(entry.text)
	calls = list(zip(entry.frames, entry.calls or [""] * len(entry.frames), strict=True))
	way = (
		[call for call in calls if is_of_other_app(call[0])]
		or [call for call in calls if _APP.search(call[0])]
		or calls[-1:]
	)
	places = [f"{_where(file)}:{function}" for file, function in way]
	return "\n".join([type_of_it[0] if type_of_it else shape_of_line(entry.text), *places])


def _where(file: str) -> str:
	"""The same file on every bench."""
	found = _APP.search(file)
	return found[1] if found else file.rpartition("/")[2]
