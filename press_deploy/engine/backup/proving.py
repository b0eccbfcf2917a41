"""Proves one dump file by itself: without a site, without Frappe, without the run that made it.

Invariant: the file is not changed, and what could not be looked at is never counted as proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.backup.verifying import find_expected_hash
from press_deploy.engine.databases.dumps.dump_check import UNCHECKED_DOUBT, check_dump
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.facts import ANYTHING, DumpFacts, Expectation
from press_deploy.engine.databases.engine import SERVER, Look, Place
from press_deploy.engine.databases.engines import find_engine_of_dump, format_of
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.ground.progress import Progress

PLAIN_NOTE = (
	"It is not packed and has no manifest beside it, so it has no checksum: a byte that was changed inside a "
	"value, or rows that were taken out, can't be seen."
)


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
	place: Place | None = None,
	*,
	previous_size: int | None = None,
	wanted_database: str | None = None,
	progress: Progress | None = None,
	look: Look | None = None,
) -> FileProof:
	"""Climb up to rung `wanted` (2 or 4) with one file, and stop where a check fails.

	`place` is where rung 4 restores to; not every engine asks for one. `previous_size` in bytes of the last file of
	this kind. Progress counts bytes of the file, once for each rung. `look` is shown what was restored. A file that
	can't be read has not passed its rung.
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
		_restore(proven, facts, place, progress, look)
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
	# A file with a manifest is as it was made.
	settled = (UNCHECKED_DOUBT, *format_of(facts.kind).SETTLED_DOUBTS) if sha256 else ()
	notes += [doubt for doubt in facts.doubts if doubt not in settled]
	return facts


def _restore(
	proven: FileProof,
	facts: DumpFacts,
	place: Place | None,
	progress: Progress | None,
	look: Look | None,
) -> None:
	engine = find_engine_of_dump(facts.kind)
	if engine is None:
		why = f"restoring a dump of {facts.kind} is not supported here"
		proven.proof.record_failure(Rung.RESTORABLE, "kind", why)
		return
	try:
		seen = engine.proving.restore(proven.path, facts, place, proven.notes, progress=progress, look=look)
	except DamagedFile as error:
		proven.proof.record_failure(Rung.RESTORABLE, error.check, str(error))
	except DeployError as error:
		remedy = f" → {error.remedy}" if error.remedy else ""
		check = SERVER if engine.proving.is_places_fault(error) else "restore"
		proven.proof.record_failure(Rung.RESTORABLE, check, f"{error.why}{remedy}")
	except OSError as error:
		proven.proof.record_failure(Rung.RESTORABLE, "reading", _say_unreadable(error))
	else:
		proven.proof.record(Rung.RESTORABLE, seen)
