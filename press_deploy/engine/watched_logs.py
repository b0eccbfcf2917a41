"""Which logs of a bench are watched: the files in its log directories, and the journal where systemd runs it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine import journald, logs
from press_deploy.engine.errors import ServiceError

if TYPE_CHECKING:
	from press_deploy.engine.context import Context


def watched_files(context: Context) -> list[Path]:
	sites = (context.bench.site(site) / "logs" for site in context.spec.site_names)
	return logs.log_files([context.bench.logs, *sites])


def watched_units(context: Context) -> list[str]:
	"""The units of systemd that run the bench; what they write may be in the journal."""
	try:
		return journald.find_units(context.services.programs())
	except ServiceError as error:
		context.log(f"Whether the services write to the journal is not known: {error}")
		return []


def mark_watched(context: Context) -> dict[str, Any]:
	"""Where they end now: {"marks": of the files, "journal": of the units, None without such}."""
	units = watched_units(context)
	return {
		"marks": logs.mark(watched_files(context)),
		"journal": journald.mark_journal(units) if units else None,
	}


def read_watched(context: Context, marks: dict[str, Any], settled: dict[str, Any]) -> list[logs.Finding]:
	"""What they say went wrong since `marks`; both are as `mark_watched` returns them, `settled` may be empty."""
	files, journal = watched_files(context), marks.get("journal")
	if not files and not marks["marks"] and not journal:
		where = f"there is no *.log in {context.bench.logs}, and no unit of systemd"
		return [logs.unread(f"no log of this bench is watched: {where}")]
	sources = logs.file_sources(marks["marks"], files, settled.get("marks"))
	if journal:
		sources = chain(sources, journald.journal_sources(journal, settled.get("journal")))
	return logs.collect(sources)
