"""Proves one dump file by itself: without a site, without Frappe, without the run that made it.

Invariant: the file is not changed, and what could not be looked at is never counted as proven.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.backup.proving_account import lend_account
from press_deploy.engine.backup.restoring import Look, restore_mariadb, restore_sqlite
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.backup.verifying import find_expected_hash
from press_deploy.engine.databases.dumps.dump_check import (
	ANYTHING,
	UNCHECKED_DOUBT,
	DumpFacts,
	Expectation,
	check_dump,
)
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.sql_refusals import OWN_DATABASE
from press_deploy.engine.databases.dumps.sqlite_check import WAL_DOUBT
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import is_servers_own, number_of
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.ground.progress import Progress

PLAIN_NOTE = (
	"It is not packed and has no manifest beside it, so it has no checksum: a byte that was changed inside a "
	"value, or rows that were taken out, can't be seen."
)
# The server's numbers for a right that an account has not: a database's, a table's, a column's, one of the whole
# server, a routine's. A login that is refused is none of them.
# The check that fails when it is not the file's fault.
SERVER = "server"
_NO_RIGHT = {1044, 1142, 1143, 1227, 1370}
# What the client says, as `client_errors` repeats it.
_CLIENT_NUMBER = re.compile(r"\bmariadb(?: ended with exit status \d+)?: ERROR (\d+) \(")


@dataclass
class FileProof:
	"""What was proven of one file; rung 3, a copy that was read again, is not asked of a single file."""

	path: Path
	wanted: Rung
	proof: Proof = field(default_factory=lambda: Proof(not_asked=[Rung.SAFE]))
	facts: DumpFacts | None = None
	notes: list[str] = field(default_factory=list)

	@property
	def reached(self) -> Rung:
		return self.proof.reached()

	@property
	def is_enough(self) -> bool:
		return self.reached >= self.wanted

	def as_data(self) -> dict[str, Any]:
		"""Plain data, as `press-deploy prove --json` prints it."""
		return {
			"file": str(self.path),
			"asked": int(self.wanted),
			"reached": int(self.reached),
			"enough": self.is_enough,
			"why_not": self.proof.why_not(self.wanted),
			"rungs": {
				rung: {key: value for key, value in entry.items() if key != "manifest"}
				for rung, entry in self.proof.rungs.items()
			},
			"not_asked": [int(rung) for rung in self.proof.not_asked],
			"notes": self.notes,
		}


def prove_file(
	path: Path,
	wanted: Rung,
	server: Server | None = None,
	*,
	previous_size: int | None = None,
	wanted_database: str | None = None,
	progress: Progress | None = None,
	look: Look | None = None,
) -> FileProof:
	"""Climb up to rung `wanted` (2 or 4) with one file, and stop where a check fails.

	`server` is needed for rung 4 of a MariaDB dump. `previous_size` in bytes of the last file of this kind.
	Progress counts bytes of the file, once for each rung. `look` is shown what was restored. A file that can't be
	read has not passed its rung.
	"""
	proven = FileProof(path, wanted)
	try:
		proven.proof.record(Rung.MADE, {"bytes": path.stat().st_size})
	except OSError as error:
		proven.proof.record_failure(Rung.MADE, "file", _say_unreadable(error))
		return proven
	expected = Expectation(previous_size, wanted_database) if previous_size or wanted_database else ANYTHING
	try:
		facts = proven.facts = _check_whole(path, expected, proven.notes, progress)
	except DamagedFile as error:
		proven.proof.record_failure(Rung.WHOLE, error.check, str(error))
		return proven
	except OSError as error:
		proven.proof.record_failure(Rung.WHOLE, "reading", _say_unreadable(error))
		return proven
	proven.proof.record(Rung.WHOLE, facts.as_data())
	if wanted >= Rung.RESTORABLE:
		_restore(proven, facts, server, progress, look)
	return proven


def _say_unreadable(error: OSError) -> str:
	"""The disk may also be too full for what is unpacked for a proof."""
	return f"it can't be read, or unpacked to be proven: {error.strerror or error} → see its rights, and the disk"


def _check_whole(path: Path, expected: Expectation, notes: list[str], progress: Progress | None) -> DumpFacts:
	sha256 = find_expected_hash(path)
	facts = check_dump(path, expected, progress=progress)
	if sha256 and facts.sha256 != sha256:
		raise DamagedFile(
			"SHA-256", f"its SHA-256 is {facts.sha256[:12]}…, the manifest beside it says {sha256[:12]}…"
		)
	if facts.compression is None and sha256 is None:
		notes.append(PLAIN_NOTE)
	# A file with a manifest is as it was made, and a run's own copy of an SQLite file was made by SQLite.
	settled = (UNCHECKED_DOUBT, WAL_DOUBT) if sha256 else ()
	notes += [doubt for doubt in facts.doubts if doubt not in settled]
	return facts


def _restore(
	proven: FileProof,
	facts: DumpFacts,
	server: Server | None,
	progress: Progress | None,
	look: Look | None,
) -> None:
	try:
		if facts.kind == "sqlite":
			seen = restore_sqlite(proven.path, facts, progress=progress, look=look)
		elif facts.kind != "mariadb":
			raise DamagedFile("kind", f"restoring a dump of {facts.kind} is not supported here")
		elif server is None:
			raise DamagedFile(SERVER, "no MariaDB server was named to restore it into")
		else:
			seen = _restore_mariadb(proven, facts, server, progress, look)
	except DamagedFile as error:
		proven.proof.record_failure(Rung.RESTORABLE, error.check, str(error))
	except DeployError as error:
		remedy = f" → {error.remedy}" if error.remedy else ""
		check = SERVER if is_servers_own(_find_number(error)) else "restore"
		proven.proof.record_failure(Rung.RESTORABLE, check, f"{error.why}{remedy}")
	except OSError as error:
		proven.proof.record_failure(Rung.RESTORABLE, "reading", _say_unreadable(error))
	else:
		proven.proof.record(Rung.RESTORABLE, seen)


def _restore_mariadb(
	proven: FileProof, facts: DumpFacts, server: Server, progress: Progress | None, look: Look | None
) -> dict[str, Any]:
	"""The second line of defence, behind the reading of each statement: rights that end at the scratch database."""
	with lend_account(server, facts.objects) as account:
		if account.why_not:
			proven.notes.append(
				f"It was restored by the account that was named ({account.why_not}), not by one with rights on the "
				"scratch database alone: only the reading of its statements kept it from other databases."
			)
		try:
			seen = restore_mariadb(proven.path, facts, account.server, progress=progress, look=look)
		except DeployError as error:
			if account.why_not or _find_number(error) not in _NO_RIGHT:
				raise
			why = f"it needs rights on something outside of its own database: {error.why} → {OWN_DATABASE}"
			raise DamagedFile("other databases", why) from error
	return {**seen, "restored_by": account.why_not or "a user with rights on the scratch database alone"}


def _find_number(error: DeployError) -> int:
	"""The server's own number, told by what the error was raised from or, of a client program, by its words."""
	cause = error.__cause__
	while cause:
		if isinstance(cause, pymysql.Error):
			return number_of(cause)
		cause = cause.__cause__
	found = _CLIENT_NUMBER.search(error.why)
	return int(found.group(1)) if found else 0
