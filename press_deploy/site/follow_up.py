"""The days after a deployment: one figure a day of how the live site is doing.

Invariant: what could not be measured is empty, never 0; a figure is on the disk before it is in a record.
"""

from __future__ import annotations

from datetime import datetime, timezone
from statistics import median

import frappe

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.web import fetch
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import load_state
from press_deploy.site.follow_up_figures import Figure, append_figure, read_figures
from press_deploy.site.projection import to_site_time
from press_deploy.site.records import project
from press_deploy.site.runners import open_bench, open_run

PINGS = 10
PATH = "/api/method/ping"


def sample_open_follow_ups() -> None:
	"""Take today's figures for every run that is followed up, and close those whose days are over."""
	for run in frappe.get_all("Deployment Run", {"follow_up_status": "Open"}, pluck="name"):
		try:
			take_sample(run)
		except DeployError as error:
			frappe.logger("press_deploy").warning(f"{run} could not be followed up: {error}")


def take_sample(run: str) -> Figure:
	"""Add a figure to the follow-up of a run: latency (median, ms), bad answers of PINGS, new Error Log rows.

	Raises `InputError` when the run's directory is gone, `JournalDamaged`.
	"""
	directory = open_run(run)
	answers = [_ping() for _number in range(PINGS)]
	good = [answer.latency_ms for answer in answers if answer.kind == GOOD]
	since = to_site_time(_last_look(directory))
	figure = Figure(
		taken=datetime.now(timezone.utc).isoformat(timespec="seconds"),
		latency_ms=round(median(good), 1) if good else None,
		bad_answers=PINGS - len(good),
		new_errors=frappe.db.count("Error Log", {"creation": (">", since)}),
	)
	append_figure(directory, figure)
	project(str(directory.path))
	return figure


def _last_look(run: RunDirectory) -> str:
	"""When the figure before was taken, or the run ended."""
	rows = read_figures(run).rows
	state = load_state(run)
	return rows[-1].taken if rows else state.ended or state.started


def _ping():
	site = frappe.local.site
	return fetch(f"{open_bench().web_address}{PATH}", headers={"Host": site, "X-Frappe-Site-Name": site})
