"""systemd's journal as a log: read through a stand-in for journalctl that answers as its manual says."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.watching import journald, logs
from press_deploy.engine.watching.log_classes import Weight

WEB, WORKER = "bench-frappe-web.service", "bench-frappe-short-worker@1.service"
# As journalctl(1) has it: --after-cursor, --since=@…, --lines, --unit more than once; only entries of these units,
# and systemd's own about them; oldest first.
STAND_IN = """#!{python}
import json, os, sys
home = {home!r}
open(home + "/asked", "a").write(json.dumps(sys.argv[1:]) + "\\n")
options = dict(each.lstrip("-").split("=", 1) for each in sys.argv[1:] if "=" in each and "unit" not in each)
units = [each.partition("=")[2] for each in sys.argv[1:] if each.startswith("--unit=")]
if os.path.exists(home + "/refused"):
	sys.stderr.write(open(home + "/refused").read())
	sys.exit(1)
if os.path.exists(home + "/hint"):
	sys.stderr.write(open(home + "/hint").read())
entries = [json.loads(line) for line in open(home + "/journal")]
if "after-cursor" in options:
	cursors = [entry["__CURSOR"] for entry in entries]
	entries = entries[cursors.index(options["after-cursor"]) + 1:]
if "since" in options:
	entries = [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) >= 1e6 * int(options["since"][1:])]
entries = [entry for entry in entries if entry.get("_SYSTEMD_UNIT") in units or entry.get("UNIT") in units]
for entry in entries[-int(options["lines"]):] if "lines" in options else entries:
	print(json.dumps(entry))
"""


class Journal:
	"""What the stand-in has to give."""

	def __init__(self, home: Path):
		self.home, self._number = home, 0
		self.home.joinpath("journal").touch()

	def write(self, unit: str, *lines: Any, pid: int = 100, **fields: Any) -> None:
		with self.home.joinpath("journal").open("a") as file:
			for line in lines:
				self._number += 1
				entry = {
					"__CURSOR": f"s=1;i={self._number:x}",
					"__REALTIME_TIMESTAMP": str(1_900_000_000_000_000 + self._number * 1000),
					"PRIORITY": "6",
					"_PID": str(pid),
					"_SYSTEMD_UNIT": unit,
					"MESSAGE": line,
					**fields,
				}
				file.write(json.dumps(entry) + "\n")

	@property
	def now(self) -> float:
		return 1_900_000_000 + self._number / 1000

	@property
	def asked(self) -> list[list[str]]:
		return [json.loads(line) for line in self.home.joinpath("asked").read_text().splitlines()]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
	program = tmp_path / "bin" / journald.JOURNALCTL
	program.parent.mkdir()
	program.write_text(STAND_IN.format(python="/usr/bin/env python3", home=str(tmp_path)))
	program.chmod(program.stat().st_mode | stat.S_IXUSR)
	monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
	return Journal(tmp_path)


def found(place, weight=Weight.AGAINST, settled=None) -> dict[str, int]:
	findings = logs.collect(journald.journal_sources(place, settled))
	return {each.example: each.count for each in findings if each.log_class.weight is weight}


def test_only_what_came_after_the_mark_and_from_these_units_counts(journal):
	journal.write(WEB, "ERROR old trouble")
	place = journald.mark_journal([WEB, WORKER])
	journal.write(WEB, "ERROR new trouble", "INFO fine")
	journal.write(WORKER, "ERROR other trouble", "ERROR other trouble")
	journal.write("ssh.service", "ERROR none of ours")
	assert found(place) == {"ERROR new trouble": 1, "ERROR other trouble": 2}
	assert journal.asked[-1] == [
		*("--no-pager", "--output=json", "--all", f"--after-cursor={place['cursor']}"),
		*(f"--unit={WEB}", f"--unit={WORKER}"),
	]


def test_units_that_have_written_nothing_yet_are_read_by_time(journal, monkeypatch):
	monkeypatch.setattr(journald.time, "time", lambda: 1_899_999_999.9)
	place = journald.mark_journal([WEB])
	assert place == {"units": [WEB], "cursor": None, "time": 1_899_999_999.9}
	journal.write(WEB, "ERROR first trouble")
	assert found(place) == {"ERROR first trouble": 1}
	assert "--since=@1899999999" in journal.asked[-1]


def test_tracebacks_of_several_processes_are_kept_apart(journal):
	"""In a file their lines would be one knot; the journal knows who wrote which."""
	place = journald.mark_journal([WEB])
	redis = "/env/lib/python3.11/site-packages/redis/connection.py"
	for app, logging in (
		("Traceback (most recent call last):", "--- Logging error ---"),
		('  File "/b/apps/shop/shop/a.py", line 1, in f', "Traceback (most recent call last):"),
		("    call()", '  File "/usr/lib/python3.11/logging/handlers.py", line 1, in f'),
		(f'  File "{redis}", line 1, in connect', "    rename()"),
		("redis.exceptions.ConnectionError: x", "TypeError: not all arguments converted"),
		("INFO fine", "Call stack:"),
	):
		journal.write(WEB, app, pid=7)
		journal.write(WEB, logging, pid=8)
	assert found(place) == {"redis.exceptions.ConnectionError: x": 1}
	assert found(place, Weight.NOTHING) == {"TypeError: not all arguments converted": 1}


def test_messages_come_in_every_form_that_the_manual_names(journal):
	place = journald.mark_journal([WEB])
	journal.write(
		WEB, list("ERROR é".encode("latin-1")), ["ERROR twice", "INFO twice"], None, "one\nERROR two"
	)
	assert found(place) == {"ERROR �": 1, "ERROR twice": 1, "ERROR two": 1}


def test_what_systemd_says_of_a_unit_counts_by_its_priority(journal):
	place = journald.mark_journal([WEB])
	systemd = {"_SYSTEMD_UNIT": "init.scope", "UNIT": WEB, "pid": 1}
	journal.write(WEB, "Failed to start Frappe web.", **systemd, PRIORITY="3")
	journal.write(WEB, "Started Frappe web.", **systemd)
	journal.write(WEB, "the disk is nearly full", PRIORITY="2")
	journal.write(WEB, 'Traceback (most recent call last):\n  File "a.py", line 1\nKeyError: 1', PRIORITY="3")
	assert found(place) == {
		"ERROR Failed to start Frappe web.": 1,
		"ERROR the disk is nearly full": 1,
		"KeyError: 1": 1,
	}


def test_restarts_are_excused_until_they_had_settled(journal, monkeypatch):
	place = journald.mark_journal([WEB])
	line = "[2030-01-01] [7] [ERROR] Connection in use: ('127.0.0.1', 8000)"
	journal.write(WEB, line)
	monkeypatch.setattr(journald.time, "time", lambda: journal.now)
	settled = journald.mark_journal([WEB])
	assert found(place, settled=settled) == {}
	journal.write(WEB, line)
	assert found(place, settled=settled) == {line: 1}
	assert found(place) == {line: 2}


def test_a_journal_that_cannot_be_read_is_unknown_and_no_error(journal):
	place = journald.mark_journal([WEB])
	journal.write(WEB, "ERROR new trouble")
	said = "No journal files were opened due to insufficient permissions."
	(journal.home / "refused").write_text(f"Hint: You are …\n{said}\n")
	assert found(place) == {}
	(example,) = found(place, Weight.UNKNOWN)
	assert said in example
	assert said in journald.find_hindrance([WEB])
	assert journald.mark_journal([WEB])["cursor"] is None


def test_a_user_who_sees_only_part_of_it_is_told(journal):
	assert journald.find_hindrance([WEB]) == ""
	hint = "Hint: You are currently not seeing messages from other users and the system."
	(journal.home / "hint").write_text(
		f"{hint}\n      Users in groups 'adm', 'systemd-journal' can see all messages.\n"
	)
	assert journald.find_hindrance([WEB]) == hint


def test_without_the_program_or_with_nonsense_nothing_is_known(journal, monkeypatch):
	place = journald.mark_journal([WEB])
	(journal.home / "journal").write_text("{}\n")
	program = journal.home / "bin" / journald.JOURNALCTL
	program.write_text("#!/bin/sh\necho no json\n")
	assert "no JSON" in next(iter(found(place, Weight.UNKNOWN)))
	monkeypatch.setenv("PATH", str(journal.home))
	assert "can't be started" in next(iter(found(place, Weight.UNKNOWN)))


def test_more_than_is_read_is_unknown(journal, monkeypatch):
	monkeypatch.setattr(journald, "READ_LIMIT_BYTES", 1000)
	place = journald.mark_journal([WEB])
	journal.write(WEB, "ERROR new trouble", *["x" * 100] * 10)
	assert found(place) == {"ERROR new trouble": 1}
	assert "by hand" in next(iter(found(place, Weight.UNKNOWN)))


def test_units_are_those_programs_that_systemd_runs():
	programs = [{"name": name} for name in (WORKER, "bench-web:bench-frappe-web", WEB)]
	assert journald.find_units(programs) == [WORKER, WEB]
