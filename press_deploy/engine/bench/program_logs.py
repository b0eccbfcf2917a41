"""Where a program of the bench writes its errors, so that who reads that it died knows what to read next.

Invariant: a path is named only where the bench's own configuration says so; else the directory of its logs.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterable

from press_deploy.engine.bench.bench import Bench

SUPERVISOR = "config/supervisor.conf"
# What supervisor calls a log that it names itself, or that it does not keep; with an expansion it is one of several.
_NO_PATH = re.compile(r"(AUTO|NONE|syslog)?$|.*%\(", re.IGNORECASE)


def find_log(bench: Bench, program: str) -> str:
	"""The file that a program (`group:name` as supervisor has it) logs its errors to; for a unit of systemd its name
	in the journal, as `journalctl` takes it.
	"""
	if program.endswith(".service"):
		return f"journalctl -u {program}"
	settings = _read_settings(bench, program.rpartition(":")[2])
	redirected = settings.get("redirect_stderr", "").lower() in ("true", "yes", "on", "1")
	for key in ("stdout_logfile",) if redirected else ("stderr_logfile", "stdout_logfile"):
		if not _NO_PATH.match(path := settings.get(key, "").strip()):
			return str(bench.path / path)
	return str(bench.logs)


def list_logs(bench: Bench, programs: Iterable[str]) -> str:
	"""The logs of several programs, each once."""
	return ", ".join(dict.fromkeys(find_log(bench, program) for program in programs))


def read_logs(bench: Bench, programs: Iterable[str]) -> str:
	"""The commands that show the end of these programs' logs."""
	return "; ".join(dict.fromkeys(_command(bench, find_log(bench, program)) for program in programs))


def read_web_log(bench: Bench) -> str:
	"""The command for the web server's log of errors, where nobody says what its program is called."""
	return _command(bench, str(bench.logs / "web.error.log"))


def _command(bench: Bench, log: str) -> str:
	if log.startswith("journalctl "):
		return f"{log} -n 100"
	return shlex.join(["ls", "-t", log] if log == str(bench.logs) else ["tail", "-n", "100", log])


def _read_settings(bench: Bench, process: str) -> dict[str, str]:
	"""The section of a process in the bench's own file; of several processes of a program each has a number."""
	parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
	try:
		parser.read(bench.path / SUPERVISOR, encoding="utf-8")
	except (OSError, ValueError, configparser.Error):
		return {}
	for section in parser.sections():
		kind, _, name = section.partition(":")
		if kind == "program" and re.fullmatch(re.escape(name) + r"([-_]\d+)?", process):
			return dict(parser[section])
	return {}
