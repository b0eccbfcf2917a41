"""The days after a deployment: one figure a day of how the live site is doing.

Invariant: what could not be measured is empty, never 0.
"""

from __future__ import annotations

from statistics import median

import frappe
from frappe.utils import get_datetime, getdate, now_datetime, today

from press_deploy.engine.web import GOOD, fetch
from press_deploy.site.projection import save_projection
from press_deploy.site.runners import open_bench

PINGS = 10
PATH = "/api/method/ping"


def sample_open_follow_ups() -> None:
	"""Take today's figures for every run that is followed up, and close those whose days are over."""
	for run in frappe.get_all("Deployment Run", {"follow_up_status": "Open"}, pluck="name"):
		take_sample(run)


def take_sample(run: str) -> dict:
	"""Add a row to the follow-up of a run: latency (median, ms), bad answers of PINGS, new Error Log rows."""
	record = frappe.get_doc("Deployment Run", run)
	answers = [_ping() for _number in range(PINGS)]
	good = [answer.latency_ms for answer in answers if answer.kind == GOOD]
	since = record.follow_up[-1].taken if record.follow_up else record.ended
	row = {
		"taken": now_datetime(),
		"latency_ms": round(median(good), 1) if good else None,
		"bad_answers": PINGS - len(good),
		"new_errors": frappe.db.count("Error Log", {"creation": (">", get_datetime(since))}),
	}
	record.append("follow_up", row)
	if record.follow_up_until and getdate(today()) >= getdate(record.follow_up_until):
		record.follow_up_status = "Closed"
	save_projection(record)
	frappe.db.commit()
	return row


def _ping():
	site = frappe.local.site
	return fetch(f"{open_bench().web_address}{PATH}", headers={"Host": site, "X-Frappe-Site-Name": site})
