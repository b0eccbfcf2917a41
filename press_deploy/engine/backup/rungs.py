"""The ladder of proof, and what was passed on it.

Invariant: a backup is never called better than its rung: a rung counts only when every lower one was passed
too, each with the files as they are now. What one process records takes nothing from what another recorded.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from enum import IntEnum
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import MANIFEST
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.hashing import hash_file

PROOF = "proof.json"
LOCK = ".proof.lock"
NO_MANIFEST = "missing"


class Rung(IntEnum):
	"""How much is proven of a backup."""

	NOTHING = 0
	MADE = 1
	WHOLE = 2
	SAFE = 3
	RESTORABLE = 4
	BOOTABLE = 5

	@property
	def words(self) -> str:
		return self.name.lower()

	@property
	def title(self) -> str:
		return f"rung {int(self)} ({self.words})"

	@property
	def meaning(self) -> str:
		"""The rung in a sentence's words."""
		return _MEANINGS[self]


_MEANINGS = {
	Rung.NOTHING: "nothing is proven",
	Rung.MADE: "it was made, with every part that was asked for",
	Rung.WHOLE: "every file can be read to its end and is complete",
	Rung.SAFE: "it was copied off, read again there, and is equal",
	Rung.RESTORABLE: "it was restored, and what came back was compared",
	Rung.BOOTABLE: "the restored site was started and answered",
}


class Proof:
	"""What was passed, with its evidence; kept in `proof.json` of a directory, or nowhere without one.

	`not_asked` are rungs that make no sense for what is proven; they don't hold higher ones up.
	"""

	def __init__(self, directory: Path | None = None, *, not_asked: Iterable[Rung] = ()):
		self.directory, self.not_asked = directory, frozenset(not_asked)
		self.rungs: dict[str, dict[str, Any]] = _read(directory / PROOF) if directory else {}

	@classmethod
	def load(cls, directory: Path) -> Proof:
		"""The proof kept in a backup's directory."""
		return cls(directory)

	def record(self, rung: Rung, facts: dict[str, Any] | None = None) -> None:
		"""This rung was passed; `facts` are what was seen, as plain data."""
		self._keep(rung, {"passed": True, "facts": facts or {}})

	def record_failure(self, rung: Rung, check: str, why: str) -> None:
		"""This rung was tried and not passed, or is passed no more."""
		self._keep(rung, {"passed": False, "check": check, "why": why})

	def has(self, rung: Rung) -> bool:
		"""Whether this one rung was passed, with the files as they are now."""
		entry = self.rungs.get(str(int(rung)), {})
		if entry.get("passed") is not True:
			return False
		manifest = self._manifest()
		return rung <= Rung.MADE or (manifest != NO_MANIFEST and entry.get("manifest") == manifest)

	def has_failed(self, rung: Rung) -> bool:
		"""Whether this one rung was tried and not passed, or is passed no more."""
		return self.rungs.get(str(int(rung)), {}).get("passed") is False

	def reached(self) -> Rung:
		"""The highest rung that was passed, and every lower one too."""
		reached = Rung.NOTHING
		for rung in list(Rung)[1:]:
			if rung in self.not_asked:
				continue
			if not self.has(rung):
				break
			reached = rung
		return reached

	def highest(self) -> Rung:
		"""The highest rung that was passed, whatever is missing below it."""
		return max((rung for rung in list(Rung)[1:] if self.has(rung)), default=Rung.NOTHING)

	def facts(self, rung: Rung) -> dict[str, Any]:
		return self.rungs.get(str(int(rung)), {}).get("facts", {})

	def why_not(self, rung: Rung) -> str:
		"""Why this rung is not reached, naming the lowest one that is missing."""
		for lower in list(Rung)[1 : rung + 1]:
			if lower in self.not_asked or self.has(lower):
				continue
			entry = self.rungs.get(str(int(lower)), {})
			if self.has_failed(lower):
				return self._say_failure(lower)
			changed = " with the files as they are now" if entry else ""
			return f"{lower.title} was not tried{changed}"
		return ""

	def describe(self) -> str:
		"""In one line: the rung, what was passed above it in spite of one that is missing, and what failed."""
		reached, highest = self.reached(), self.highest()
		said = [reached.title]
		if highest > reached:
			said.append(f"{highest.title} was passed too, but {self.why_not(highest)}")
		for rung in Rung:
			if self.has_failed(rung) and self._say_failure(rung) not in said[-1]:
				said.append(self._say_failure(rung))
		return "; ".join(said)

	def as_data(self) -> dict[str, Any]:
		return {"reached": int(self.reached()), "rungs": self.rungs}

	def _say_failure(self, rung: Rung) -> str:
		entry = self.rungs[str(int(rung))]
		return f"{rung.title} failed: {entry['check']}: {entry['why']}"

	def _keep(self, rung: Rung, entry: dict[str, Any]) -> None:
		time = datetime.now(timezone.utc).isoformat(timespec="seconds")
		kept = {str(int(rung)): {**entry, "time": time, "manifest": self._manifest()}}
		if self.directory is None:
			self.rungs |= kept
			return
		with _alone(self.directory):
			# A restore takes long: others may have recorded their rungs since this was read.
			self.rungs = _read(self.directory / PROOF) | kept
			durable.write_json(self.directory / PROOF, {"rungs": self.rungs})

	def _manifest(self) -> str | None:
		"""What the proof hangs on: the files' hashes, by the hash of the manifest."""
		if self.directory is None:
			return None
		path = self.directory / MANIFEST
		return hash_file(path) if path.is_file() else NO_MANIFEST


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
	"""One process at a time records something of this backup. The lock ends with whoever holds it."""
	descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
	try:
		fcntl.flock(descriptor, fcntl.LOCK_EX)
		yield
	finally:
		os.close(descriptor)


def _read(path: Path) -> dict[str, dict[str, Any]]:
	"""What was kept. What can't be read proves nothing."""
	try:
		rungs = json.loads(path.read_text())["rungs"]
	except (OSError, ValueError, KeyError, TypeError):
		return {}
	readable = isinstance(rungs, dict) and all(isinstance(entry, dict) for entry in rungs.values())
	return rungs if readable else {}
