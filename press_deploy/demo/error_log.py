"""The Error Log of the practice bench: a table like Frappe's."""

from __future__ import annotations

from press_deploy.demo import framework

# A run starts many site processes, and this one mostly finds nothing to judge.
TYPE_CHECKING = False
if TYPE_CHECKING:
	from typing import Any

	from press_deploy.engine.watching.maintenance_errors import Times


def clear_maintenance_errors(site: str, times: Times) -> dict[str, Any]:
	"""Remove the rows of the Error Log that only say that maintenance was on and were written within `times`."""
	query = "SELECT name, creation, method, error FROM `tabError Log`"
	with framework.connect(site) as database, database:
		rows = database.execute(query).fetchall()
		names = [(row[0],) for row in rows if _is_of_maintenance(times, *row[1:])]
		database.executemany("DELETE FROM `tabError Log` WHERE name = ?", names)
	return {"removed": len(names)}


def _is_of_maintenance(times: Times, creation: str, method: str, error: str) -> bool:
	from datetime import datetime

	from press_deploy.engine.watching.maintenance_errors import says_only_maintenance, was_written_within

	return says_only_maintenance(method, error) and was_written_within(
		times, datetime.fromisoformat(creation), None
	)
