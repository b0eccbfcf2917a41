"""Which rows of the Error Log a run's own maintenance left, and when it held its sites closed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from press_deploy.engine.journal.journal import Record
from press_deploy.engine.watching.maintenance_errors import (
	closed_times,
	says_only_maintenance,
	was_written_within,
)

TURNED_AWAY = """Traceback with variables (most recent call last):
  File "apps/frappe/frappe/app.py", line 111, in application
    init_request(request)
      request = <Request 'http://shop.example/api/method/ping' [GET]>
  File "apps/frappe/frappe/app.py", line 185, in init_request
    raise frappe.SessionStopped("Session Stopped")
frappe.exceptions.SessionStopped: Session Stopped
"""
CHAINED = f"""Traceback (most recent call last):
  File "apps/frappe/frappe/app.py", line 9, in f
KeyError: 'x'

During handling of the above exception, another exception occurred:

{TURNED_AWAY}"""
ROWS = {
	"a request turned away": ("Session Stopped", TURNED_AWAY, True),
	"a plain traceback": ("Session Stopped", TURNED_AWAY.replace(" with variables", ""), True),
	"another title": ("shop.orders.book", TURNED_AWAY, False),
	"no title": (None, TURNED_AWAY, False),
	"no traceback": ("Session Stopped", "", False),
	"nothing": ("Session Stopped", None, False),
	"another exception": (
		"Session Stopped",
		TURNED_AWAY.replace("SessionStopped: ", "ValidationError: "),
		False,
	),
	"one that follows from another": ("Session Stopped", CHAINED, False),
	"one that another follows": (
		"Session Stopped",
		f"{TURNED_AWAY}\n{CHAINED.replace(TURNED_AWAY, 'KeyError: 1')}",
		False,
	),
	"raised by an app": (
		"Session Stopped",
		TURNED_AWAY.replace("apps/frappe/frappe/app.py", "apps/shop/shop/a.py"),
		False,
	),
	"one of an app that sounds alike": (
		"Session Stopped",
		TURNED_AWAY.replace("exceptions.SessionStopped:", "exceptions.MySessionStopped:"),
		False,
	),
}


@pytest.mark.parametrize(("title", "traceback", "is_one"), ROWS.values(), ids=ROWS)
def test_a_row_says_only_that_maintenance_was_on(title, traceback, is_one):
	assert says_only_maintenance(title, traceback) is is_one


def record(seq: int, event: str, step: str = "") -> Record:
	return Record(seq, f"2030-01-01T10:00:{seq:02}+00:00", event, {"step": step} if step else {}, "")


def spans(*events: tuple[str, str]) -> list[tuple[int, int]]:
	times = closed_times(record(number, *event) for number, event in enumerate(events))
	return [(int(begin[17:19]), int(end[17:19])) for begin, end in times]


ANNOUNCED, OBSERVED = "step-announced", "step-observed"


def test_the_sites_are_held_from_the_announcement_until_they_were_seen_open():
	assert spans((ANNOUNCED, "backup"), (OBSERVED, "backup"), (ANNOUNCED, "maintenance")) == []
	run = [(ANNOUNCED, "maintenance"), (OBSERVED, "maintenance"), (ANNOUNCED, "open"), (OBSERVED, "open")]
	assert spans(*run) == [(0, 3)]
	back = [(ANNOUNCED, "rollback-maintenance"), (ANNOUNCED, "rollback-open"), (OBSERVED, "rollback-open")]
	assert spans(*run, ("note", ""), *back) == [(0, 3), (5, 7)]
	assert spans(run[0], run[1], *back) == [(0, 4)], "it was never open between the two"


def test_sites_that_were_left_to_a_person_are_not_held_any_more():
	held = [(ANNOUNCED, "maintenance"), ("run-ended", ""), ("rollback-started", "")]
	again = [(ANNOUNCED, "rollback-maintenance"), (OBSERVED, "rollback-open")]
	assert spans(*held, *again) == [(0, 1), (3, 4)]


TIMES = [["2030-01-01T10:00:00+00:00", "2030-01-01T10:00:20+00:00"]]


@pytest.mark.parametrize(
	("creation", "zone", "is_within"),
	[
		("2030-01-01 15:30:10.5", "Asia/Kolkata", True),
		("2030-01-01 15:29:59.9", "Asia/Kolkata", False),
		("2030-01-01 15:30:20.1", "Asia/Kolkata", False),
		("2030-01-01 10:00:10", "Asia/Kolkata", False),
		("2030-01-01 10:00:10", "UTC", True),
		("2030-01-01 05:00:10", "America/New_York", True),
	],
)
def test_a_row_is_dated_by_the_clock_of_its_site(creation, zone, is_within):
	assert was_written_within(TIMES, datetime.fromisoformat(creation), ZoneInfo(zone)) is is_within


def test_in_the_hour_that_a_clock_shows_twice_nothing_is_certain():
	"""02:30 was at 00:30 and at 01:30 UTC that night; only what is within either way is ours."""
	berlin, half_past_two = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 2, 30)
	first = [["2026-10-25T00:20:00+00:00", "2026-10-25T00:40:00+00:00"]]
	both = [["2026-10-25T00:20:00+00:00", "2026-10-25T01:40:00+00:00"]]
	assert not was_written_within(first, half_past_two, berlin)
	assert was_written_within(both, half_past_two, berlin)


def test_without_a_zone_it_is_this_machine_s_clock():
	local = datetime.fromisoformat(TIMES[0][0]).astimezone().replace(tzinfo=None)
	assert was_written_within(TIMES, local, None)
	assert not was_written_within([], local, None)
