"""Rows of the Error Log that maintenance caused: where Frappe really keeps them, and by the site's clock."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

TITLE = "Session Stopped"
ASK = """
from unittest import mock
import frappe.app
from werkzeug.test import Client
site = frappe.local.site
frappe.destroy()
status = Client(frappe.app.application).get("/api/method/ping", headers={"X-Frappe-Site-Name": site}).status_code
frappe.init(site)
frappe.connect()
result = status
"""
WAITING = f"""
from frappe.deferred_insert import queue_prefix
result = sum(
	json.loads(row).get("method") == {TITLE!r} for row in frappe.cache.lrange(queue_prefix + "Error Log", 0, -1)
)
"""
# As the scheduler and migrate do it: the rows are then of that moment.
INSERT = "from frappe.deferred_insert import save_to_db\nsave_to_db()"
COUNT = f"result = frappe.db.count('Error Log', {{'method': {TITLE!r}}})"


def now() -> str:
	return datetime.now(timezone.utc).isoformat()


def turn_away(site, times: int) -> list[str]:
	"""Ask the site while it is in maintenance; from when to when it was."""
	config = site.path / "site_config.json"
	before, begin = config.read_text(), now()
	try:
		config.write_text(json.dumps({**json.loads(before), "maintenance_mode": 1}))
		for _visitor in range(times):
			assert site.execute(ASK) == 503
	finally:
		config.write_text(before)
	return [begin, now()]


@pytest.fixture
def clean(site):
	"""A site without such rows, before and after."""

	def clear() -> None:
		site.execute(f"{INSERT}\nfrappe.db.delete('Error Log', {{'method': {TITLE!r}}})")

	clear()
	yield site
	clear()


def test_rows_that_wait_to_be_inserted_are_removed(clean):
	window = turn_away(clean, 2)
	assert (clean.execute(WAITING), clean.execute(COUNT)) == (2, 0)
	assert clean.call("clear_maintenance_errors", times=[window]) == {"removed": 2}
	assert clean.execute(WAITING) == 0
	assert clean.call("clear_maintenance_errors", times=[window]) == {"removed": 0}


def test_rows_that_were_inserted_meanwhile_are_removed(clean):
	begin, _end = turn_away(clean, 2)
	clean.execute(INSERT)
	window = [begin, now()]
	assert (clean.execute(WAITING), clean.execute(COUNT)) == (0, 2)
	assert clean.call("clear_maintenance_errors", times=[window]) == {"removed": 2}
	assert clean.execute(COUNT) == 0
	assert clean.call("clear_maintenance_errors", times=[window]) == {"removed": 0}


@pytest.mark.parametrize("is_inserted", [False, True], ids=["waiting", "inserted"])
def test_rows_of_another_time_stay(clean, is_inserted):
	begin, _end = turn_away(clean, 1)
	if is_inserted:
		clean.execute(INSERT)
	end = now()
	later = (datetime.fromisoformat(end) + timedelta(hours=1)).isoformat()
	for times in ([], [[end, later]], [["2020-01-01T00:00:00+00:00", begin]]):
		assert clean.call("clear_maintenance_errors", times=times) == {"removed": 0}
	assert clean.execute(WAITING) + clean.execute(COUNT) == 1


def test_rows_that_say_something_else_stay(clean):
	begin = now()
	clean.execute(f"""
for error in ("KeyError: 1", "Traceback (most recent call last):\\nKeyError: 1", None):
	frappe.get_doc(doctype="Error Log", method={TITLE!r}, error=error).insert()
""")
	assert clean.call("clear_maintenance_errors", times=[[begin, now()]]) == {"removed": 0}
	assert clean.execute(COUNT) == 3


def test_errors_of_the_live_release_are_no_later_one_s(clean):
	"""What waits in Redis stands in the Error Log when the drain is over; a migrate would insert it as if it were new."""
	turn_away(clean, 2)
	title = "press_deploy test: an old error"
	clean.execute(f"frappe.log_error({title!r}, 'it was there before', defer_insert=True)")
	count = f"result = frappe.db.count('Error Log', {{'method': {title!r}}})"
	try:
		assert clean.execute(count) == 0
		clean.call("drain", run="a-run")
		assert (clean.execute(count), clean.execute(WAITING), clean.execute(COUNT)) == (1, 2, 0)
		clean.execute(INSERT)
		assert clean.execute(count) == 1
	finally:
		clean.call("release_workers", run="a-run")
		clean.execute(f"frappe.db.delete('Error Log', {{'method': {title!r}}})")
