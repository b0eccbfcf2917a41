"""What MariaDB's client programs say when they fail, told as an error of ours.

Invariant: a program that failed is never taken for one that succeeded; its words are kept, without passwords.
"""

from __future__ import annotations

import re

from press_deploy.engine.errors import StepFailed

SHOWN_LINES = 3
# Error number → what it means, and what to do. The numbers are MariaDB's own (server 1xxx, client 2xxx).
_MEANINGS = {
	("1021", "1114", "28", "1041"): (
		"the server's disk is full",
		"free space on the server's data disk and in its tmpdir, then try again",
	),
	("2006", "2013", "1927"): (
		"the server has gone away",
		"see whether MariaDB runs and why it stopped: its error log, and the kernel's log for out of memory",
	),
	("2002", "2003"): ("the server can't be reached", "see whether MariaDB runs and listens there"),
	("1045", "1698"): ("user name or password is refused", "correct user name and password"),
	("1044", "1142", "1227", "1370"): (
		"the user lacks rights",
		"give the user the rights it names, or use the database's administrator",
	),
	("1049",): ("the database does not exist", "correct its name"),
	("1146",): ("a table does not exist", "see whether it was renamed or dropped meanwhile"),
	("1153",): ("a row is larger than the server takes", "raise max_allowed_packet on the server"),
	("1205",): ("a lock was not released in time", "see which transaction holds it: SHOW PROCESSLIST"),
	("1273", "1193", "1064"): (
		"the server does not know something in the dump; it was made by another kind or version of server",
		"use a server of the same kind, at least as new as the one that made the dump",
	),
}
_NUMBER = re.compile(r"(?:ERROR|Got error:?|Error|errno:|Couldn't execute .*?\()\s*(\d{2,5})\b")


def translate_client_error(doing: str, what: str, program: str, status: int, words: str) -> StepFailed:
	"""The error for a program that ended with `status`; `words` is all that it wrote to standard error."""
	lines = [line.strip() for line in words.splitlines() if line.strip()][-SHOWN_LINES:]
	said = " | ".join(lines) or "it said nothing"
	numbers = _NUMBER.findall(words)
	for known, (meaning, remedy) in _MEANINGS.items():
		if any(number in known for number in numbers):
			return StepFailed(doing, what, f"{meaning} ({program}: {said})", remedy)
	ended = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
	return StepFailed(
		doing, what, f"{program} {ended}: {said}", "see what it says and the server's error log"
	)
