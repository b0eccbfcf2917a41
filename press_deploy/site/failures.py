"""What failed inside Frappe, and where: the exception, and the line of an app that it comes from.

Invariant: no more is said of an exception than its own message; values of variables stay out of it.
"""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from pathlib import Path

import frappe

LONGEST_MESSAGE = 400
# An exception passes through these, and is seldom theirs.
_FRAMEWORK, _OURS = "frappe", "press_deploy"


@dataclass(frozen=True)
class Place:
	"""A line of a file of an app; `file` begins with `apps/`, as it is read from the bench's directory."""

	app: str
	file: str
	line: int | None

	def __str__(self) -> str:
		return f"{self.file}, line {self.line}" if self.line else self.file


def describe(error: BaseException) -> str:
	"""Kind and message, on one line."""
	message = " ".join(frappe.utils.strip_html(str(error)).split())
	message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"
	return f"{type(error).__name__}: {message}" if message else type(error).__name__


def locate(error: BaseException) -> Place | None:
	"""The line that an exception comes from: the innermost one of an app that is not the framework.

	An error of syntax knows its own place. Where no other app is concerned it is the framework's line.
	"""
	if (
		isinstance(error, SyntaxError)
		and error.filename
		and (place := place_of(error.filename, error.lineno))
	):
		return place
	frames = traceback.extract_tb(error.__traceback__)
	places = [place for each in frames if (place := place_of(each.filename, each.lineno))]
	places = [place for place in places if place.app != _OURS]
	return next(reversed([place for place in places if place.app != _FRAMEWORK] or places), None)


def place_of(file: str | Path, line: int | None = None) -> Place | None:
	"""A file of the bench's apps as a place; None for any other."""
	# A bench, too, may be known by a link that leads to it.
	path = os.path.realpath(file)
	for root, app in _app_directories().items():
		if path.startswith(f"{root}/"):
			return Place(app, f"apps/{app}/{path.removeprefix(f'{root}/')}", line)
	return None


def apps_directory() -> Path:
	return Path(frappe.utils.get_bench_path(), "apps").resolve()


def _app_directories() -> dict[str, str]:
	"""{directory: app}, links followed."""
	return {str(each.resolve()): each.name for each in apps_directory().iterdir() if each.is_dir()}
