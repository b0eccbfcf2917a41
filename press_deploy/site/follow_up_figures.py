"""The follow-up of a run on disk: until when it goes on, and its figures, in `follow-up.jsonl` of the run.

Invariant: a figure is on the disk before any record shows it. A line that a crash tore off is no figure.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import date

from press_deploy.engine.ground import durable
from press_deploy.engine.journal.run_directory import RunDirectory

FILE_NAME = "follow-up.jsonl"


@dataclass(frozen=True)
class Figure:
	"""How the live site was doing at `taken` (ISO 8601 with zone); what could not be measured is None."""

	taken: str
	latency_ms: float | None
	bad_answers: int
	new_errors: int


@dataclass(frozen=True)
class Figures:
	"""`until` is the last day, None when the follow-up was never opened."""

	until: date | None
	rows: list[Figure]


def read_figures(run: RunDirectory) -> Figures:
	"""What is on the disk, in the order in which it was taken."""
	lines = [_parse(line) for line in _read(run).splitlines()]
	opened = next((line["until"] for line in lines if line.get("event") == "opened"), None)
	rows = [line for line in lines if line.get("event") == "figure"]
	figures = [Figure(**{key: row[key] for key in Figure.__dataclass_fields__}) for row in rows]
	return Figures(date.fromisoformat(opened) if opened else None, figures)


def open_figures(run: RunDirectory, until: date) -> date:
	"""Note the last day of the follow-up; the first note counts, and is returned."""
	known = read_figures(run).until
	if known is None:
		_append(run, {"event": "opened", "until": until.isoformat()})
	return known or until


def append_figure(run: RunDirectory, figure: Figure) -> None:
	_append(run, {"event": "figure", **asdict(figure)})


def _append(run: RunDirectory, line: dict) -> None:
	"""On the disk when this returns. A torn line before it is ended first, so that it spoils no other."""
	path = run.path / FILE_NAME
	is_new = not path.exists()
	text = json.dumps(line, sort_keys=True) + "\n"
	descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
	try:
		os.write(descriptor, (text if is_new or _read(run).endswith("\n") else f"\n{text}").encode())
		os.fsync(descriptor)
	finally:
		os.close(descriptor)
	if is_new:
		durable.sync_directory(run.path)


def _read(run: RunDirectory) -> str:
	try:
		return (run.path / FILE_NAME).read_text("utf-8", "replace")
	except FileNotFoundError:
		return ""


def _parse(line: str) -> dict:
	try:
		found = json.loads(line)
	except ValueError:
		return {}
	return found if isinstance(found, dict) else {}
