"""Starts `press-deploy` from a home: with the files of that home and the standard library, and nothing else.

A copy of this file lies in each home, as `press-deploy`, behind a few lines for the shell that start it with the
interpreter that the home was made for, without `site` and without heeding any variable (`-I -S`). Whoever starts it
otherwise is brought there.

Invariant: nothing of the home is imported before every file of it was found as it was when the home was made. Standard
library only.
"""

import hashlib
import json
import os
import runpy
import shlex
import sys

FACTS, PACKAGES, START = "home.json", "lib", "press-deploy"
REFUSED = 2
HASH_CHARACTERS = 12
ISOLATION = ("-I", "-S")
# Set for the environment's `press-deploy` when a home that can't be used sends there, so that it isn't sent back.
SENT = "PRESS_DEPLOY_SENT_FROM_HOME"


def read_facts(home: str) -> dict:
	"""What is written of a home: {"version", "python", "cache_tag", "files": {name: SHA-256}, "compiled", "start"}.

	Raises `ValueError` with a sentence.
	"""
	path = os.path.join(home, FACTS)
	try:
		with open(path, encoding="utf-8") as file:
			facts = json.load(file)
		name = name_of(facts["version"], facts["python"], facts["files"])
		if name == os.path.basename(home) and isinstance(facts["compiled"], dict):
			if facts["cache_tag"] and facts["start"]:
				return facts
	except OSError as error:
		raise ValueError(f"{path} can't be read: {error.strerror}") from None
	except (ValueError, KeyError, TypeError, AttributeError):
		pass
	raise ValueError(f"{path} is not what it was when the home was made")


def name_of(version: str, python: str, files: dict[str, str]) -> str:
	"""The name of the home that holds these files for this interpreter."""
	listed = json.dumps([python, sorted(files.items())])
	return f"{version}-{hashlib.sha256(listed.encode()).hexdigest()[:HASH_CHARACTERS]}"


def find_damage(home: str) -> str | None:
	"""What keeps a home from being used, as a sentence; None when it is whole and its interpreter is there."""
	try:
		facts = read_facts(home)
	except ValueError as error:
		return str(error)
	if not os.access(facts["python"], os.X_OK):
		return f"it needs the interpreter {facts['python']}, which is gone"
	packages = os.path.join(home, PACKAGES)
	listed = {os.path.join(packages, name): sha256 for name, sha256 in facts["files"].items()}
	listed |= {os.path.join(packages, name): sha256 for name, sha256 in facts["compiled"].items()}
	try:
		there = {os.path.join(packages, name) for name in list_files(packages)}
		if missing := sorted(listed.keys() - there):
			return f"{len(missing)} file(s) are gone, as {missing[0]}"
		if added := sorted(there - listed.keys()):
			return f"{len(added)} file(s) were put there, as {added[0]}"
		for path, expected in {**listed, os.path.join(home, START): facts["start"]}.items():
			if digest(path) != expected:
				return f"{path} was changed"
	except OSError as error:
		return f"{error.filename} can't be read: {error.strerror}"
	return None


def list_files(directory: str) -> list[str]:
	"""The names of all files and links below a directory, relative to it. Raises `OSError`."""
	found = []
	for place, directories, names in os.walk(directory, onerror=_raise):
		links = [name for name in directories if os.path.islink(os.path.join(place, name))]
		found += [os.path.relpath(os.path.join(place, name), directory) for name in [*names, *links]]
	return found


def _raise(error: OSError) -> None:
	raise error


def digest(path: str) -> str:
	"""The SHA-256 of a file. Raises `OSError`."""
	with open(path, "rb") as file:
		return hashlib.sha256(file.read()).hexdigest()


def write_start(python: str, source: str) -> str:
	"""The content of `press-deploy` in a home: for the shell, and for Python, which takes the shell's lines for a text."""
	return f"""#!/bin/sh
''':'
python={shlex.quote(python)}
if [ ! -x "$python" ]; then
	echo "Starting press-deploy from $0: it needs the interpreter $python, which is gone" >&2
	echo "  → install it again, or go on with what is installed: env/bin/press-deploy $* --installed" >&2
	exit {REFUSED}
fi
exec "$python" {" ".join(ISOLATION)} "$0" "$@"
'''
{source}"""


def main() -> None:
	"""Become the `press-deploy` of this home."""
	home = os.path.dirname(os.path.realpath(__file__))
	if why := find_damage(home):
		_give_up(home, why)
	facts = read_facts(home)
	if sys.implementation.cache_tag != facts["cache_tag"]:
		if os.path.realpath(sys.executable) == facts["python"]:
			_give_up(
				home, f"{facts['python']} is another version by now; the home needs {facts['cache_tag']}"
			)
		_start_again(facts["python"])
	if not (sys.flags.isolated and sys.flags.no_site):
		_start_again(facts["python"])
	sys.dont_write_bytecode = True
	sys.path.insert(0, os.path.join(home, PACKAGES))
	runpy.run_module("press_deploy.cli", run_name="__main__")


def _start_again(python: str) -> None:
	os.execv(python, [python, *ISOLATION, os.path.realpath(__file__), *sys.argv[1:]])


def _give_up(home: str, why: str) -> None:
	"""Let the environment's `press-deploy` make this home again, if it has the same version, or say what to do."""
	print(f"Starting press-deploy from {home}: {why}", file=sys.stderr)
	bench = os.path.normpath(os.path.join(home, "..", "..", ".."))
	command = [os.path.join(bench, "env", "bin", START), *sys.argv[1:]]
	if SENT not in os.environ and os.access(command[0], os.X_OK):
		print(f"  → going on with {command[0]}", file=sys.stderr, flush=True)
		os.execve(command[0], command, {**os.environ, SENT: "1"})
	print(
		f"  → put that back, or go on with what is installed: {shlex.join(command)} --installed",
		file=sys.stderr,
	)
	sys.exit(REFUSED)


if __name__ == "__main__":
	main()
