"""The port to a safe place, and the words that all kinds of it share.

Invariant: `store` returns only when every file was read again in the safe place and has the SHA-256 of the
manifest. Nothing local is changed or deleted, and nothing of others is touched: everything of ours lies
below `<bench>/<run>/…`. No copy is ever deleted there: how long they stay is for the place's own rules to say.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.ground.checks import Check
from press_deploy.engine.ground.errors import InputError, StepFailed
from press_deploy.engine.ground.observation import Observation

CHECK_NAME = "Safe place"
PROBE_TEXT = b"press_deploy can write here\n"

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@=-]{0,254}\Z")

# Told how many bytes of the files are in the safe place so far; it may be told the same figure twice. What it
# raises ends the transfer, and leaves as it is.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class StoredFile:
	"""One file of a backup: where it is here, its name there, its size in bytes and its SHA-256."""

	path: Path
	name: str
	size: int
	sha256: str


class SafePlace(ABC):
	"""Somewhere else, where copies of backups are kept."""

	@abstractmethod
	def describe(self) -> str:
		"""The place in words for people, without secrets."""

	@abstractmethod
	def check(self, needed_bytes: int = 0) -> list[Check]:
		"""For preflight: write, read and delete a small probe. Never raises `DeployError`."""

	@abstractmethod
	def store(
		self, files: Sequence[StoredFile], below: str, progress: Progress | None = None
	) -> list[dict[str, Any]]:
		"""Copy the files to `<bench>/<run>/<site>`, read them again there and compare.

		A file that is there already with the same content is not sent again. Returns one
		{name, size, sha256, location, sent} per file; raises `StepFailed` for the first that is not proven.
		"""

	@abstractmethod
	def holds(self, files: Sequence[StoredFile], below: str) -> Observation:
		"""Whether everything is still there, without bringing it back. Raises `StepFailed` when unknown."""


def check_names(files: Sequence[StoredFile], below: str) -> None:
	"""Raise `InputError` for a name that is not a plain one, or stands twice."""
	check_below(below)
	names = [file.name for file in files]
	for name in names:
		if not _PART.match(name) or names.count(name) > 1:
			raise InputError(
				"name",
				name,
				"it is not a plain file name of its own",
				"give every file a plain, different name",
			)


def check_below(below: str) -> None:
	"""Raise `InputError` for a path that does not consist of plain names."""
	if not all(_PART.match(part) for part in below.split("/")):
		raise InputError(
			"below",
			below,
			"it is not a path of plain names below the safe place",
			"write it as BENCH/RUN/SITE, of letters, digits and _ . + @ = -",
		)


def evidence(file: StoredFile, location: str, *, sent: bool) -> dict[str, Any]:
	"""What the journal keeps of a file that was read again and compared."""
	return {
		"name": file.name,
		"size": file.size,
		"sha256": file.sha256,
		"location": location,
		"sent": sent,
	}


def altered_source(file: StoredFile) -> StepFailed:
	"""The file here is not what the manifest says, so there is nothing worth sending."""
	return StepFailed(
		"Copying",
		str(file.path),
		"the file here is not the one of the manifest any more: its size or SHA-256 differs",
		f"see who changed it (ls -l {file.path.parent}), then start the plan again, which makes a new backup",
	)


def differing_copy(location: str) -> StepFailed:
	"""What was read in the safe place is not what was sent."""
	return StepFailed(
		"Reading again",
		location,
		"the copy differs from the backup: its SHA-256 is not the manifest's",
		"check the disk there and the network between, then start the plan again; the backup here is untouched",
	)


def lost_copy(location: str) -> StepFailed:
	"""The safe place took the file, and does not have it."""
	return StepFailed(
		"Reading again",
		location,
		"it is not there, though the safe place said that it took it",
		"look for clean-up rules or another process that deletes there, then start the plan again",
	)
