"""Follow-ups that stand only in the database are written beside their runs, where a restore can't reach them.

Invariant: what stands on the disk already is not written again, however often this runs.
"""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import frappe
from frappe.utils import get_system_timezone, getdate

from press_deploy.engine.ground.errors import DeployError
from press_deploy.site.follow_up_figures import Figure, append_figure, open_figures, read_figures
from press_deploy.site.runners import open_run

FIELDS = ("taken", "latency_ms", "bad_answers", "new_errors")


def execute() -> None:
	for name, until in frappe.get_all(
		"Deployment Run", {"follow_up_until": ("is", "set")}, ["name", "follow_up_until"], as_list=True
	):
		try:
			run = open_run(name)
		except DeployError:
			# Its directory is gone; the record is all there is of it.
			continue
		kept = {figure.taken for figure in read_figures(run).rows}
		for row in frappe.get_all("Deployment Follow Up", {"parent": name}, FIELDS, order_by="idx"):
			figure = Figure(**{**row, "taken": _as_utc(row.taken)})
			if figure.taken not in kept:
				append_figure(run, figure)
		open_figures(run, getdate(until))


def _as_utc(moment: datetime) -> str:
	return moment.replace(tzinfo=ZoneInfo(get_system_timezone())).astimezone(timezone.utc).isoformat()
