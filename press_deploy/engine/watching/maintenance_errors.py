"""What maintenance leaves in the Error Log: a row for every request that Frappe turned away.

Invariant: a row is one of ours only if it says nothing but that maintenance was on, and was certainly written
while this run held it: also by a clock that is set back that night.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone, tzinfo

from press_deploy.engine.ground.error_log_titles import OWN_ERROR_LOG_TITLE
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.lifecycle import CLOSING, OPENING
from press_deploy.engine.watching.log_classes import is_of_other_app

# From when to when the run held the sites closed: pairs of ISO times with zone, as in the journal.
Times = list[list[str]]

_LAST_LINE = re.compile(r"^([\w.]+\.)?SessionStopped(:|$)")
_FRAME = re.compile(r'^\s+File "([^"]+)", line \d+', re.MULTILINE)


def closed_times(records: Iterable[Record]) -> Times:
	"""When a run held its sites closed: from the announcement until they were seen open, or left to a person."""
	times, since = [], ""
	for record in records:
		step = record.data.get("step")
		if record.event == "step-announced" and step in CLOSING:
			since = since or record.time
		is_over = record.event == "step-observed" and step in OPENING
		if since and (is_over or record.event == "run-ended"):
			times.append([since, record.time])
			since = ""
	return times


def says_only_maintenance(title: str | None, traceback: str | None) -> bool:
	"""Whether a row of the Error Log reports a request that was turned away, and nothing besides."""
	text = (traceback or "").strip()
	lines = text.splitlines()
	if title != OWN_ERROR_LOG_TITLE or not lines or not _LAST_LINE.match(lines[-1]):
		return False
	is_alone = sum(line.startswith("Traceback ") for line in lines) == 1
	return is_alone and not any(map(is_of_other_app, _FRAME.findall(text)))


def was_written_within(times: Times, creation: datetime, zone: tzinfo | None) -> bool:
	"""Whether a time without zone, by a clock of `zone` (None: of this machine), is surely within one of these.

	An hour that the clock shows twice is within only where both are.
	"""
	moments = [creation.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)]
	spans = [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in times]
	return all(any(begin <= moment <= end for begin, end in spans) for moment in moments)
