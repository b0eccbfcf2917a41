"""Where nginx logs what the visitors of a bench's sites ask, and how its lines are made up.

Its configuration is read as nginx reads it, with everything that it includes; nothing is asked of nginx itself,
which only root may.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crossplane

CONFIGURATION = Path("/etc/nginx/nginx.conf")
# nginx has this one without being told.
COMBINED = (
	'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
	'"$http_referer" "$http_user_agent"'
)
# What nginx takes for a log where nothing is configured.
_UNSAID = ("logs/access.log", "combined")
# What to add where the log does not say how long an answer took, or which site gave it.
FORMAT_TO_ADD = f"log_format press_deploy '{COMBINED} $host $request_time';"


@dataclass(frozen=True)
class ConfiguredLog:
	"""A file that answers of these sites are logged to, and the description of its lines; None where nobody has it."""

	file: Path
	description: str | None
	sites: tuple[str, ...]

	@property
	def line_to_add(self) -> str:
		"""The line of configuration that says more, in place of the present one."""
		return f"access_log {self.file} press_deploy;"


def find_access_logs(sites: list[str], configuration: Path = CONFIGURATION) -> list[ConfiguredLog]:
	"""The logs of those servers that answer for these sites, each once; none where nginx isn't configured for them.

	Logs that are switched off, no files, or named by variables are passed over.
	"""
	if not configuration.is_file():
		return []
	parsed = crossplane.parse(str(configuration), catch_errors=True)
	directives = [each for file in parsed["config"] for each in _walk(file["parsed"])]
	formats = {"combined": COMBINED}
	for each in directives:
		if each["directive"] == "log_format":
			name, *parts = each["args"]
			formats[name] = "".join(part for part in parts if not part.startswith("escape="))
	of_all = next((_logs_in(each["block"]) for each in directives if each["directive"] == "http"), None)
	found: dict[tuple[Path, str], list[str]] = {}
	for server in (each for each in directives if each["directive"] == "server" and "block" in each):
		named = [
			name for each in server["block"] if each["directive"] == "server_name" for name in each["args"]
		]
		answered = [site for site in sites if site in named]
		own = _logs_in(server["block"])
		for path, name in next((logs for logs in (own, of_all) if logs is not None), [_UNSAID]):
			if answered and Path(path).is_absolute() and "$" not in path:
				found.setdefault((Path(path), name), []).extend(answered)
	return [
		ConfiguredLog(file, formats.get(name), tuple(dict.fromkeys(answered)))
		for (file, name), answered in found.items()
	]


def _walk(directives: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
	for each in directives:
		yield each
		yield from _walk(each.get("block", []))


def _logs_in(block: list[dict[str, Any]]) -> list[tuple[str, str]] | None:
	"""(path, name of the format) that this block itself says; None where it says nothing, and the outer one holds."""
	said = [each["args"] for each in block if each["directive"] == "access_log"]
	if not said:
		return None
	named = [(path, [word for word in words if "=" not in word]) for path, *words in said if path != "off"]
	return [(path, words[0] if words else "combined") for path, words in named]
