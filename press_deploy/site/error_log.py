"""Rows of the Error Log that a run's own maintenance caused, and those that its release did not.

Frappe keeps rows in Redis first, and inserts them up to a quarter of an hour later, or within migrate, as if they
had been written only then. So those of maintenance are taken out of both, and those of the live release are
inserted before the code is switched: later they would count as the new one's. Either time is of the bench's clock,
in the site's time zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import frappe
from frappe.deferred_insert import insert_record, queue_prefix
from frappe.utils import get_datetime, get_system_timezone

from press_deploy.engine.ground.error_log_titles import OWN_ERROR_LOG_TITLE
from press_deploy.engine.watching.maintenance_errors import Times, says_only_maintenance, was_written_within

DOCTYPE = "Error Log"
QUEUE = f"{queue_prefix}{DOCTYPE}"
BATCH = 500
# No clock of a zone is set further than this.
SLACK = timedelta(hours=3)


def clear_maintenance_errors(times: Times) -> dict:
	"""Remove what only says that maintenance was on and was written within `times`; return {"removed": number}.

	`times`: pairs of ISO times with zone. Everything else stays; doing it again does no harm.
	"""
	return {"removed": _clear_waiting(times) + _clear_rows(times)}


def _clear_waiting(times: Times) -> int:
	"""Those that wait in Redis to be inserted."""
	cache, removed = frappe.cache, 0
	key = cache.make_key(QUEUE)
	for content, rows in _read_waiting():
		if rows and all(_is_ours(times, row) for row in rows):
			removed += cache.lrem(key, 0, content) * len(rows)
	return removed


def insert_waiting_errors() -> dict:
	"""Insert the rows that wait in Redis and say more than that maintenance is on; {"inserted": number}.

	At most `BATCH` entries: sites stand closed meanwhile. None is lost by a kill in between; one may come twice.
	"""
	cache, inserted = frappe.cache, 0
	key = cache.make_key(QUEUE)
	telling = ((content, rows) for content, rows in _read_waiting() if not _say_only_maintenance(rows))
	for content, rows in islice(telling, BATCH):
		for row in rows:
			insert_record(dict(row), DOCTYPE)
			inserted += 1
		frappe.db.commit()
		cache.lrem(key, 0, content)
	return {"inserted": inserted}


def _say_only_maintenance(rows: list[dict[str, Any]]) -> bool:
	return all(says_only_maintenance(row.get("method"), row.get("error")) for row in rows)


def _read_waiting() -> Iterator[tuple[bytes, list[dict[str, Any]]]]:
	"""What waits in Redis, oldest first: each entry once, with its rows."""
	for content in dict.fromkeys(frappe.cache.lrange(QUEUE, 0, -1)):
		rows = json.loads(content)
		yield content, [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]


def _clear_rows(times: Times) -> int:
	local = [
		datetime.fromisoformat(moment).astimezone(_zone()).replace(tzinfo=None)
		for pair in times
		for moment in pair
	]
	if not local:
		return 0
	rows = frappe.get_all(
		DOCTYPE,
		filters={
			"method": OWN_ERROR_LOG_TITLE,
			"creation": ("between", [min(local) - SLACK, max(local) + SLACK]),
		},
		fields=["name", "creation", "method", "error"],
	)
	names = [row.name for row in rows if _is_ours(times, row)]
	for first in range(0, len(names), BATCH):
		frappe.db.delete(DOCTYPE, {"name": ("in", names[first : first + BATCH])})
		frappe.db.commit()
	return len(names)


def _is_ours(times: Times, row: dict[str, Any]) -> bool:
	# What waits in Redis has no creation yet.
	written = row.get("creation") or row.get("modified")
	if not written or not says_only_maintenance(row.get("method"), row.get("error")):
		return False
	return was_written_within(times, get_datetime(written), _zone())


def _zone() -> ZoneInfo:
	return ZoneInfo(get_system_timezone())
