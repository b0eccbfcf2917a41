"""A step of a run or a rollback as a row of its record."""

from __future__ import annotations

from typing import Any

from press_deploy.site.projection import describe_error, seconds_between, to_site_time

TITLE_LIMIT = 140


def describe_step(step: dict[str, Any]) -> dict[str, Any]:
	"""The row of Deployment Run Step for a step as `engine.report.summary` or `engine.journal.state` has it."""
	return {
		"step": step["name"],
		"phase": step["phase"],
		"title": step["title"][:TITLE_LIMIT],
		"status": step["status"],
		"found": step["found"],
		"started": to_site_time(step["started"]),
		"ended": to_site_time(step["ended"]),
		"seconds": seconds_between(step["started"], step["ended"]),
		"error": describe_error(step["error"]),
	}
