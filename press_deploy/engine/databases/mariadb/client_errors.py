"""What MariaDB's client programs say when they fail, told as an error of ours.

Invariant: its words are kept, without the data that they repeat: a dump holds passwords.
"""

from __future__ import annotations

import os
import re
from typing import IO

from press_deploy.engine.databases.mariadb.remedies import SERVER_LOG, SERVER_RUNS
from press_deploy.engine.ground.errors import StepFailed

SHOWN_LINES = 3
# Error number → what it means, and what to do. The numbers are MariaDB's own (server 1xxx, client 2xxx).
_MEANINGS = {
	("1021", "1114", "28"): (
		"the server's disk is full",
		"free space on the server's data disk and in its tmpdir, then try again",
	),
	# Rows that were sorted for a table that was empty, and can't be written in the end.
	("1180",): (
		"the server could not keep what it was sent, as when its disk is full",
		f"see {SERVER_LOG}, and the space on its data disk and in its tmpdir (SELECT @@datadir, @@tmpdir)",
	),
	("2006", "2013", "1927"): (
		"the server has gone away",
		f"{SERVER_RUNS} and why it stopped: {SERVER_LOG}, its disk, and the kernel's log for out of memory (sudo dmesg)",
	),
	("2002", "2003"): (
		"the server can't be reached",
		f"{SERVER_RUNS} and listens there (db_host, db_port and db_socket in site_config.json)",
	),
	("1045", "1698"): (
		"user name or password is refused",
		"correct user name and password: db_user and db_password in site_config.json, or the administrator's",
	),
	("1044", "1142", "1227", "1370"): (
		"the user lacks rights",
		"give the user the rights it names, or use the database's administrator",
	),
	("1049",): (
		"the database does not exist",
		"correct db_name in site_config.json; SHOW DATABASES names those there are",
	),
	("1146",): ("a table does not exist", "see whether it was renamed or dropped meanwhile"),
	("1153",): ("a row is larger than the server takes", "raise max_allowed_packet on the server"),
	("1205",): (
		"a lock was not released in time",
		"see which transaction holds it: mariadb -e 'SHOW FULL PROCESSLIST'",
	),
	("1273", "1193", "1064"): (
		"the server does not know something in the dump; it was made by another kind or version of server",
		"use a server of the same kind, at least as new as the one that made the dump",
	),
}
# `ERROR 1045 (28000): …` of the client; `Got error: 1045: …` and `… (1045)` of mariadb-dump.
_NUMBER = re.compile(r"(?:\bERROR|Got error:|Error) (\d{2,4})\b|\((\d{4})\)$|\berrno: (\d+)", re.MULTILINE)
# Messages that repeat data: a key that is there twice, a value of the wrong type, the place of a mistake.
_DATA = re.compile(r"\b(entry|value:?|near) '.*'", re.DOTALL)
# The client's own line, and what stands around a statement that it repeats.
_ERROR = re.compile(r"^ERROR \d{1,4} \(", re.MULTILINE)
_RULER = "--------------\n"
SHOWN_CHARACTERS, READ_BYTES = 500, 1 << 14


def translate_client_error(doing: str, what: str, program: str, status: int, words: str) -> StepFailed:
	"""The error for a program that ended with `status`; `words` is all that it wrote to standard error."""
	said = _shorten(words)
	numbers = {number for found in _NUMBER.findall(said) for number in found if number}
	for known, (meaning, remedy) in _MEANINGS.items():
		if numbers & set(known):
			return StepFailed(doing, what, f"{meaning} ({program}: {said})", remedy)
	ended = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
	return StepFailed(doing, what, f"{program} {ended}: {said}", f"see {SERVER_LOG}")


def read_words(errors: IO[bytes]) -> str:
	"""The end of what a program wrote to standard error; the client may have repeated a large statement before."""
	errors.seek(max(0, errors.seek(0, os.SEEK_END) - READ_BYTES))
	return errors.read().decode("utf-8", "replace")


def _shorten(words: str) -> str:
	"""What a program said, in one line. The client repeats the statement that failed, with all its data."""
	errors = list(_ERROR.finditer(words))
	if errors:
		message = words[errors[-1].start() :]
	else:
		lines = [line.strip() for line in words.rpartition(_RULER)[2].splitlines() if line.strip()]
		message = " | ".join(lines[-SHOWN_LINES:])
	message = " ".join(_DATA.sub(r"\1 '…'", message).split())
	return message[:SHOWN_CHARACTERS] or "it said nothing"
