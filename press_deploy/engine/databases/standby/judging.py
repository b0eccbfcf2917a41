"""Rung 4: is the standby what the live database was? Judged while users go on writing.

A table that nobody wrote to since before the backup has the same checksum now as then; the standby must have
it, too. Of the others the numbers of rows are told.

Invariant: no table is passed over in silence, and without one table compared nothing is proven.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import NEW_BACKUP

# A site without these is not Frappe's; a Frappe site without those can't let anybody in.
FRAPPE_TABLE = "tabDocType"
FOREIGN_TABLES = ("tabSingles", "__Auth", "__global_search")
SHOWN_NAMES = 10


def judge(
	doing: str,
	what: str,
	before: dict[str, tuple],
	now: dict[str, tuple],
	loaded: dict[str, tuple],
	written: set[str],
) -> dict[str, Any]:
	"""Each table is (definition, checksum). `written` are tables that somebody was seen to write to.

	`before` is how live was before the backup. Returns {"tables", "equal", "written", "changed", "frappe"}; raises
	`StepFailed` with the tables that differ.
	"""
	problems, equal, counted = [], [], []
	changed = sorted(set(before) ^ set(now))
	for name in sorted(set(before) & set(now)):
		if before[name][0] != now[name][0]:
			changed.append(name)
		elif name not in loaded:
			problems.append(f"{name} is missing")
		elif loaded[name][0] != now[name][0]:
			problems.append(f"{name} has other columns, keys or options")
		elif before[name] != now[name]:
			counted.append(name)
		elif loaded[name] == now[name]:
			equal.append(name)
		elif name in written:
			counted.append(name)
		else:
			problems.append(f"{name} has other rows")
	problems += [f"{name} is only in the standby" for name in sorted(set(loaded) - set(before) - set(now))]
	is_frappe = FRAPPE_TABLE in now or FRAPPE_TABLE in loaded
	if is_frappe:
		problems += [
			f"{name} is missing" for name in FOREIGN_TABLES if name not in loaded and name not in before
		]
	if not before:
		problems.append("the live tables were not noted before the backup was made")
	elif not equal:
		problems.append("not one table stayed as it was, so nothing could be compared")
	if problems:
		raise StepFailed(
			doing, what, say_problems(problems), f"this one is not what the live database was; {NEW_BACKUP}"
		)
	return {
		"tables": len(loaded),
		"equal": len(equal),
		"written": counted,
		"changed": changed,
		"frappe": is_frappe,
	}


def say_problems(problems: list[str]) -> str:
	more = f" and {len(problems) - SHOWN_NAMES} more" if len(problems) > SHOWN_NAMES else ""
	return "; ".join(problems[:SHOWN_NAMES]) + more
