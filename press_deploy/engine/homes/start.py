"""Starts `press-deploy` from a home: with the files of that home and the standard library, and nothing else.

A copy of this file lies in each home, as `press-deploy`. It is executed by the interpreter that the home was made for,
without `site` and without heeding any variable (`-I -S`); whoever starts it otherwise is brought there.

Invariant: nothing of the home is imported before every file of it was found as it was when the home was made. Standard
library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import shlex
import sys

FACTS, LIBRARY = "home.json", "lib"
REFUSED = 2
HASH_CHARACTERS = 12
ISOLATION = ("-I", "-S")


def read_facts(home: str) -> dict:
	"""What is written of a home: `{"version", "python", "cache_tag", "files": {name: SHA-256}, "compiled": …}`.

	Raises `ValueError` with a sentence.
	"""
	path = os.path.join(home, FACTS)
	try:
		with open(path, encoding="utf-8") as file:
			facts = json.load(file)
		name = name_of(facts["version"], facts["python"], facts["files"])
		if name == os.path.basename(home) and isinstance(facts["compiled"], dict) and facts["cache_tag"]:
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
	listed = {**facts["files"], **facts["compiled"]}
	library = os.path.join(home, LIBRARY)
	try:
		there = set(list_files(library))
		if missing := sorted(listed.keys() - there):
			return f"{len(missing)} file(s) are gone, as {os.path.join(library, missing[0])}"
		if added := sorted(there - listed.keys()):
			return f"{len(added)} file(s) were put there, as {os.path.join(library, added[0])}"
		for name, expected in listed.items():
			if digest(os.path.join(library, name)) != expected:
				return f"{os.path.join(library, name)} was changed"
	except OSError as error:
		return f"{error.filename} can't be read: {error.strerror}"
	return None


def list_files(directory: str) -> list[str]:
	"""The names of all files below a directory, relative to it. Raises `OSError`."""
	found = []
	for place, _directories, names in os.walk(directory, onerror=_raise):
		found += [os.path.relpath(os.path.join(place, name), directory) for name in names]
	return found


def digest(path: str) -> str:
	"""The SHA-256 of a file. Raises `OSError`."""
	with open(path, "rb") as file:
		return hashlib.sha256(file.read()).hexdigest()


def _raise(error: OSError) -> None:
	raise error


def _refuse(home: str, why: str) -> None:
	bench = os.path.normpath(os.path.join(home, "..", "..", ".."))
	installed = shlex.join([os.path.join(bench, "env", "bin", "press-deploy"), *sys.argv[1:]])
	print(f"Starting press-deploy from {home}: {why}", file=sys.stderr)
	print(
		f"  → the environment can make the home again if it still has the same version: {installed}",
		file=sys.stderr,
	)
	sys.exit(REFUSED)


def main() -> None:
	"""Become the `press-deploy` of this home."""
	home = os.path.dirname(os.path.realpath(__file__))
	if why := find_damage(home):
		_refuse(home, why)
	facts = read_facts(home)
	if sys.implementation.cache_tag != facts["cache_tag"]:
		if os.path.realpath(sys.executable) == facts["python"]:
			_refuse(home, f"{facts['python']} is another version by now; the home needs {facts['cache_tag']}")
		_start_again(facts["python"])
	if not (sys.flags.isolated and sys.flags.no_site):
		_start_again(facts["python"])
	sys.dont_write_bytecode = True
	sys.path.insert(0, os.path.join(home, LIBRARY))
	runpy.run_module("press_deploy.cli", run_name="__main__")


def _start_again(python: str) -> None:
	os.execv(python, [python, *ISOLATION, os.path.realpath(__file__), *sys.argv[1:]])


if __name__ == "__main__":
	main()
