"""The Error Log of the practice bench: a table like Frappe's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from press_deploy.demo import framework
from press_deploy.engine.watching.maintenance_errors import Times, says_only_maintenance, was_written_within


def clear_maintenance_errors(site: str, times: Times) -> dict[str, Any]:
	"""Remove the rows of the Error Log that only say that maintenance was on and were written within `times`."""
	query = "SELECT name, creation, method, error FROM `tabError Log`"
	with framework.connect(site) as database, database:
		names = [
			(name,)
			for name, creation, method, error in database.execute(query).fetchall()
			if says_only_maintenance(method, error)
			and was_written_within(times, datetime.fromisoformat(creation), None)
		]
		database.executemany("DELETE FROM `tabError Log` WHERE name = ?", names)
	return {"removed": len(names)}
