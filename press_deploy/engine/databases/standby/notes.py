"""What a standby notes for itself in its run's private directory, so that it can go on after a kill.

`standby.json`: what was loaded. `live-before.json`: the live tables before the backup. `swap.json`: which
tables and objects a swap began with, and how far it is.

Invariant: a note is whole or absent, and on the disk before the effect that it announces; one that can't be
read is an error, never taken for absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed

SCHEMA = 1
# How far a standby is.
LOADING, LOADED, REFRESHING = "loading", "loaded", "refreshing"
# How far a swap is.
SWAPPING, SWAPPED, UNDOING, UNDONE = "swapping", "swapped", "undoing", "undone"
# The two databases need each other until it is over.
UNDER_WAY = (SWAPPING, UNDOING)


class Note:
	"""One JSON file with a state; {} when it isn't there."""

	def __init__(self, directory: Path, name: str):
		self.path = directory / name

	def read(self) -> dict[str, Any]:
		"""Raises `StepFailed` when there is something that isn't a note of ours."""
		try:
			data = json.loads(self.path.read_text())
		except FileNotFoundError:
			return {}
		except (OSError, ValueError) as error:
			raise self._unreadable(str(error)) from None
		if not isinstance(data, dict) or data.get("schema") != SCHEMA:
			raise self._unreadable(f"it is no note of schema {SCHEMA}")
		return data

	@property
	def state(self) -> str | None:
		return self.read().get("state")

	def write(self, **data: Any) -> dict[str, Any]:
		"""Replace the note; it is on the disk when this returns."""
		self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
		whole = {"schema": SCHEMA, **data}
		durable.write_json(self.path, whole)
		return whole

	def change(self, **data: Any) -> dict[str, Any]:
		"""Replace some of its values, keep the others."""
		return self.write(**{**self.read(), **data})

	def remove(self) -> None:
		self.path.unlink(missing_ok=True)

	def _unreadable(self, why: str) -> StepFailed:
		return StepFailed(
			"Reading", f"the note {self.path}", why, "restore the file; without it nobody knows what was done"
		)


def require_no_swap(note: Note, doing: str, what: str) -> None:
	"""Raise `StepFailed` while a swap or its undoing is under way: both databases are needed for it."""
	if note.state in UNDER_WAY:
		raise StepFailed(
			doing,
			what,
			"a swap is under way and needs it",
			"let the swap be completed or undone first: press-deploy rollback RUN --database",
		)


def require_never_swapped(note: Note, doing: str, what: str) -> None:
	"""The same, and when it is over: what the standby held is live."""
	require_no_swap(note, doing, what)
	if note.state == SWAPPED:
		why, remedy = (
			"this run's standby was swapped in already: what it held is live",
			"start the plan again; that makes a new run with a standby of its own",
		)
		raise StepFailed(doing, what, why, remedy)


def require_not_undone(note: Note, doing: str, what: str, is_there: bool) -> None:
	"""Raise `StepFailed` where what the standby holds was live and swapped back: users may have worked on it."""
	data = note.read()
	if is_there and data.get("state") == UNDONE and not data.get("replaced"):
		raise StepFailed(
			doing,
			what,
			"its swap was undone, so what it holds was live once, and may be what users wrote",
			"roll back again, which makes it live; or look into it, and remove it by hand when nobody needs it",
		)


def announce_replacement(note: Note, doing: str, what: str, is_there: bool) -> None:
	"""Before a standby is made anew: what an undone swap left is not there any more. Raises `StepFailed` if it is."""
	require_not_undone(note, doing, what, is_there)
	if note.state == UNDONE:
		note.change(replaced=True)
