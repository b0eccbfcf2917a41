"""How a database is backed up, and why like that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.ground.progress import Progress

# Gives the progress of something that takes long, by its name.
Measure = Callable[[str], Progress | None]
# Frappe's own backup makes the database's dump as well.
FRAPPE = "frappe"


@dataclass(frozen=True)
class Method:
	"""A way of backing up, and why it is this one."""

	name: str
	reason: str


def refuse_unless(possible: bool, method: str, why: str) -> None:
	"""Raise `Refused` where the method that is wanted can't be used."""
	if not possible:
		raise Refused(
			"Backing up by method",
			method,
			why,
			"set the method to auto, in the plan's backup or by --method auto, or mend that",
		)
