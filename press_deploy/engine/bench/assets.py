"""The assets of a bench on disk: where they are, and what is in them.

Invariant: it only looks. Two places of the same digest hold the same files with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.hashing import hash_file

# Which bundle has which name now; the second is of languages that are written from right to left.
LISTS = ("assets.json", "assets-rtl.json")


def list_places(bench: Bench, apps: Iterable[str]) -> list[Path]:
	"""The directories and files that building the assets of these apps replaces."""
	built = [bench.app(app) / app / "public" / "dist" for app in apps]
	return [*built, *(bench.sites_directory / "assets" / name for name in LISTS)]


def list_bundles(bench: Bench, apps: Iterable[str]) -> list[Path]:
	"""The files of the bundles that the lists name for these apps."""
	paths, wanted = [], set(apps)
	for name in LISTS:
		try:
			addresses = json.loads((bench.sites_directory / "assets" / name).read_bytes()).values()
		except (OSError, ValueError, AttributeError):
			continue
		# /assets/APP/dist/… is what lies in the app's `public`.
		parts = [str(address).lstrip("/").split("/") for address in addresses]
		paths += [
			bench.app(each[1]) / each[1] / "public" / Path(*each[2:])
			for each in parts
			if len(each) > 2 and each[0] == "assets" and each[1] in wanted
		]
	return sorted(set(paths))


def digest(place: Path) -> str | None:
	"""SHA-256 over a file, or over the names and contents below a directory; None where there is neither."""
	if place.is_file():
		return hash_file(place)
	if not place.is_dir():
		return None
	total = hashlib.sha256()
	for file in sorted(path for path in place.rglob("*") if path.is_file()):
		total.update(f"{file.relative_to(place)}\0{hash_file(file)}\n".encode("utf-8", "surrogateescape"))
	return total.hexdigest()
