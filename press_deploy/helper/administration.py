"""`press-deploy-helper`: root's own command, run from root's own copy of the helper.

After a new site, or when services changed, root need not run the bench's code again, which the bench's user can
write.

Invariant: nothing of a bench is executed or imported here; its files are read with its user's rights.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import configuration, installed_files, running
from .client import HelperClient
from .errors import Denied, NotFound
from .install import describe
from .places import Places, find_own_places
from .registration import Confirm, Wishes, find_entry

COMMANDS = ("refresh", "status")


def main(arguments: list[str]) -> int:
	"""Do one of COMMANDS; return the exit code. Raises HelperError."""
	parser = argparse.ArgumentParser(prog=running.PROGRAM, description="The helper of press_deploy.")
	commands = parser.add_subparsers(dest="command", required=True)
	refresh_command = commands.add_parser(
		"refresh", help="look at the benches again: new sites, other services"
	)
	refresh_command.add_argument("--bench", metavar="NAME", help="this one only, as the helper calls it")
	refresh_command.add_argument("--yes", action="store_true", help="ask nothing: what is found is right")
	commands.add_parser("status", help="ask the helper how services and leases are, as JSON")
	options = parser.parse_args(arguments)
	places = find_own_places()
	if places is None:
		raise Denied(
			"This is no installed copy of the helper. Install it: sudo env/bin/press-deploy helper install"
		)
	if options.command == "status":
		show_status(places)
	else:
		print("\n".join(refresh(places, options.bench, lambda lines: options.yes or confirm(lines))))
	return 0


def refresh(places: Places, only: str | None, ask: Confirm) -> list[str]:
	"""Look at the benches again and write down what they are by now; return lines to read.

	`ask` shows a person lines, and says whether they are right. Raises HelperError; then nothing was written.
	"""
	data = _read(places)
	if only is not None and only not in data["benches"]:
		raise NotFound(f"The helper knows no bench {only}; it knows {', '.join(data['benches'])}.")
	lines = []
	for name in [only] if only else sorted(data["benches"]):
		former = data["benches"][name]
		found = find_entry(data, name, former["path"], Wishes(), ask)
		data["benches"][name] = found.entry
		lines += describe(name, found, "Refreshed" if found.entry != former else "Nothing changed")
	parsed = configuration.parse(data)
	installed_files.write(places.configuration, configuration.dump(data), 0o600)
	if not running.answers(places):
		return [*lines, f"No helper answers at {places.socket}; start it."]
	for name in [only] if only else sorted(data["benches"]):
		lines += running.describe(places, name, list(parsed.benches[name].sites))
	return lines


def show_status(places: Places) -> None:
	"""Print what the helper says of each bench."""
	benches = _read(places)["benches"]
	answers = {name: HelperClient(places.socket, name).status() for name in sorted(benches)}
	print(json.dumps(answers, indent=1))


def confirm(lines: list[str]) -> bool:
	"""Show lines to the person at the terminal, and return the answer; without one, no."""
	print("\n".join(lines))
	if not sys.stdin.isatty():
		return False
	try:
		return input("Take them? [y/N] ").strip().lower() in ("y", "yes")
	except EOFError:
		return False


def _read(places: Places) -> dict:
	if os.geteuid() != 0 and places.prefix == "/":
		raise Denied(f"Only root may do that: sudo {running.PROGRAM} …")
	data = configuration.read(places.configuration)
	configuration.parse(data)
	return data
