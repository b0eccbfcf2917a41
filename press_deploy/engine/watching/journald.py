"""What the units of a bench wrote to systemd's journal since a mark: for benches whose services log there.

Invariant: lines of one process stay together, whatever others wrote in between; a journal that can't be read is
unread, never empty. Only `journalctl` is asked, with the fields and options that its manual fixes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from press_deploy.engine.watching.log_entries import Origin, Source, reports_error

JOURNALCTL = "journalctl"
GROUP = "systemd-journal"
LIMIT_SECONDS = 60
READ_LIMIT_BYTES = 64 << 20
# syslog's levels: emergency, alert, critical, error.
ERROR_PRIORITY = 3
# What journalctl says when it shows less than there is; it still ends with 0 where it could open something.
_NOT_ALL_SHOWN = ("not seeing messages from other users", "insufficient permissions")

# {"units", "cursor" (of their newest entry, None without one), "time" (epoch seconds)}
Place = dict[str, Any]


class JournalUnread(Exception):
	"""The journal could not be read, or not to its end."""


def find_units(programs: list[dict[str, Any]]) -> list[str]:
	"""Those programs that systemd runs, by the names of their units."""
	return sorted(program["name"] for program in programs if program["name"].endswith(".service"))


def mark_journal(units: list[str]) -> Place:
	"""Where the journal of these units ends now. Without an answer it is the time alone."""
	now, cursor = time.time(), None
	try:
		for entry in _ask(units, "--lines=1"):
			cursor = entry.get("__CURSOR")
	except JournalUnread:
		# Whoever reads from here on is told so; a mark is no place to fail.
		pass
	return {"units": units, "cursor": cursor, "time": now}


def find_hindrance(units: list[str]) -> str:
	"""Why not everything of these units can be read; empty when it can."""
	hints: list[str] = []
	try:
		for _entry in _ask(units, "--lines=1", hints=hints):
			pass
	except JournalUnread as error:
		return str(error)
	return next((hint for hint in hints if any(part in hint for part in _NOT_ALL_SHOWN)), "")


def journal_sources(place: Place, settled: Place | None) -> Iterator[tuple[str, list[Source]]]:
	"""What each unit wrote since `place`, as (name, the lines of each of its processes)."""
	since = f"--after-cursor={place['cursor']}" if place["cursor"] else f"--since=@{int(place['time'])}"
	read: dict[str, dict[Any, list[tuple[Origin, bytes]]]] = {}
	until = settled["time"] * 1e6 if settled else 0
	try:
		for entry in _ask(place["units"], since):
			unit = str(entry.get("_SYSTEMD_UNIT") if entry.get("_PID") != "1" else entry.get("UNIT"))
			is_settling = int(entry.get("__REALTIME_TIMESTAMP") or 0) <= until
			origin = Origin.SETTLING if is_settling else Origin.STABLE
			lines = read.setdefault(unit, {}).setdefault(str(entry.get("_PID")), [])
			lines += [(origin, line) for line in _message(entry)]
	except JournalUnread as error:
		yield "journal", [[(Origin.UNREAD, f"the journal: {error}".encode())]]
	for unit, processes in read.items():
		yield unit, list(processes.values())


def build_command(units: list[str], *options: str) -> list[str]:
	"""`--all`: without it long messages are left out of JSON."""
	return [
		*(JOURNALCTL, "--no-pager", "--output=json", "--all"),
		*options,
		*(f"--unit={unit}" for unit in units),
	]


def _ask(units: list[str], *options: str, hints: list[str] | None = None) -> Iterator[dict[str, Any]]:
	"""The entries that journalctl gives, oldest first. Raises `JournalUnread`."""
	with tempfile.TemporaryFile() as errors:
		try:
			process = subprocess.Popen(
				build_command(units, *options),
				stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE,
				stderr=errors,
				env={**os.environ, "LC_ALL": "C.UTF-8"},
			)
		except OSError as error:
			raise JournalUnread(f"{JOURNALCTL} can't be started: {error.strerror}") from None
		timer = threading.Timer(LIMIT_SECONDS, process.kill)
		timer.start()
		try:
			yield from _parse(process)
			code = process.wait()
		finally:
			process.kill()
			process.wait()
			process.stdout.close()
			timer.cancel()
		errors.seek(0)
		said = errors.read().decode("utf-8", "replace").split("\n")
		if code:
			why = next((line for line in reversed(said) if line.strip()), f"exit status {code}")
			raise JournalUnread(f"{JOURNALCTL} ended with {code}: {why.strip()}")
		if hints is not None:
			hints += [line.strip() for line in said]


def _parse(process: subprocess.Popen) -> Iterator[dict[str, Any]]:
	budget = READ_LIMIT_BYTES
	for line in process.stdout:
		budget -= len(line)
		if budget < 0:
			raise JournalUnread("more was written to it than is read; look at the rest by hand")
		try:
			entry = json.loads(line)
		except ValueError:
			raise JournalUnread(f"{JOURNALCTL} said what is no JSON: {line[:80]!r}") from None
		if isinstance(entry, dict):
			yield entry


def _message(entry: dict[str, Any]) -> list[bytes]:
	"""The lines of an entry. What is no UTF-8 comes as a list of bytes, a field that is there twice as a list of both."""
	said = entry.get("MESSAGE")
	values = said if isinstance(said, list) and not all(isinstance(each, int) for each in said) else [said]
	lines = [line for value in values for line in _encode(value).split(b"\n")]
	try:
		is_error = int(entry.get("PRIORITY", "6")) <= ERROR_PRIORITY
	except (TypeError, ValueError):
		is_error = False
	if is_error and not any(map(reports_error, lines)):
		# systemd itself says “Failed to start …” without the word by which lines are known.
		lines[0] = b"ERROR " + lines[0]
	return lines


def _encode(value: Any) -> bytes:
	if isinstance(value, list):
		return bytes(each & 0xFF for each in value)
	return b"" if value is None else str(value).encode()
