"""The report as one HTML page, and how times, durations and foreign text are written on it.

Invariant: every value is escaped by the template, and freed of control characters before. The templates are
compiled on import: a run that deploys this very app must not read half of them from the new release.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.report import charts

# Escape sequences of terminals; then control characters, and marks that turn the direction of writing.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def render_html(report: dict[str, Any]) -> str:
	"""The report as one page, from the data that `build_report` returns."""
	template = _ENVIRONMENT.get_template("report.html")
	command = Bench(Path(report["bench"])).command_to_type
	return template.render(report=report, charts=charts.draw(report), command=command)


def plain(value: Any) -> Any:
	"""Foreign text as it may be shown; nothing for None."""
	if value is None:
		return ""
	if isinstance(value, Markup) or not isinstance(value, str):
		return value
	return _INVISIBLE.sub("", _TERMINAL.sub("", value))


def utc(moment: str | float | None) -> str:
	"""Date and time to the second, in UTC."""
	found = _as_datetime(moment)
	return f"{found:%Y-%m-%d %H:%M:%S}" if found else "–"


def clock(moment: str | float | None, day: str | float | None = None) -> str:
	"""The time to the second in UTC, with its date unless it is on the day of `day`."""
	found, known = _as_datetime(moment), _as_datetime(day)
	if found is None:
		return "–"
	return f"{found:%H:%M:%S}" if known and found.date() == known.date() else utc(moment)


def seconds_between(begin: str | None, end: str | None) -> float | None:
	first, last = _as_datetime(begin), _as_datetime(end)
	return (last - first).total_seconds() if first and last else None


def duration(seconds: float | None) -> str:
	"""A span in words: 60 ms, 0.25 s, 12.5 s, 4 min 10 s, 1 h 13 min."""
	if seconds is None:
		return "–"
	if 0 < seconds < 1:
		return f"{seconds * 1000:.0f} ms" if seconds < 0.0995 else f"{seconds:.2f} s"
	if seconds < 99.95 and seconds % 60:
		return f"{seconds:.1f} s"
	if not seconds:
		return "0 s"
	minutes, rest = divmod(round(seconds), 60)
	if minutes < 60:
		return f"{minutes} min {rest} s" if rest else f"{minutes} min"
	hours, minutes = divmod(minutes, 60)
	if hours < 48:
		return f"{hours} h {minutes} min" if minutes else f"{hours} h"
	return f"{hours // 24} days {hours % 24} h"


def offset(seconds: float) -> str:
	"""A moment relative to maintenance on: T+0:12, T−30:00, T+1:13:00."""
	sign, whole = ("−" if round(seconds) < 0 else "+"), abs(round(seconds))
	minutes, rest = divmod(whole, 60)
	if minutes < 100:
		return f"T{sign}{minutes}:{rest:02d}"
	return f"T{sign}{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def figure(value: float | None) -> str:
	"""A number with as many digits as one reads: 0.85, 12.3, 412."""
	if value is None:
		return "–"
	size = abs(value)
	return (
		f"{value:.0f}"
		if size >= 100 or value == int(value)
		else f"{value:.1f}"
		if size >= 10
		else f"{value:.2g}"
	)


def sentence(text: str) -> str:
	"""With a capital at the begin and a full stop at the end."""
	text = text.strip()
	ended = text.endswith((".", "!", "?", "…", ":")) or not text or "press-deploy " in text[-120:]
	return text[:1].upper() + text[1:] + ("" if ended else ".")


def _as_datetime(moment: str | float | None) -> datetime | None:
	if moment is None or moment == "":
		return None
	if isinstance(moment, str):
		return datetime.fromisoformat(moment).astimezone(timezone.utc)
	return datetime.fromtimestamp(moment, timezone.utc)


def _build_environment() -> Environment:
	environment = Environment(
		loader=PackageLoader("press_deploy.engine.report"),
		autoescape=True,
		trim_blocks=True,
		lstrip_blocks=True,
		finalize=plain,
		auto_reload=False,
	)
	for function in (utc, clock, seconds_between, duration, offset, figure, sentence):
		environment.filters[function.__name__] = function
	for name in environment.list_templates():
		environment.get_template(name)
	return environment


_ENVIRONMENT = _build_environment()
