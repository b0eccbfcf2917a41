"""What the directory of a verified backup holds, as its manifest says.

Invariant: a backup counts only with a manifest, which is written after every file in it was read to its end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from press_deploy.engine.ground.hashing import hash_file

MANIFEST = "manifest.json"
MADE = "made.json"
# A dump, or a copy of the server's files.
COPY = "physical"
DATABASES = ("database", COPY)


def is_verified(directory: Path) -> bool:
	"""Whether a manifest is there that can be read, and every file still has the size it says."""
	try:
		files = read_json(directory / MANIFEST)["files"]
		return bool(files) and all(_has_size(directory / file["name"], file["size"]) for file in files)
	except (OSError, ValueError, KeyError, TypeError):
		return False


def database_file(directory: Path) -> Path:
	"""The database dump of a verified backup."""
	return directory / database_entry(directory)["name"]


def database_entry(directory: Path) -> dict[str, Any]:
	"""The same as the manifest has it: see `make_entry`."""
	entries = [file for file in read_json(directory / MANIFEST)["files"] if file["kind"] in DATABASES]
	return entries[0]


def config_file(directory: Path) -> Path | None:
	"""The site's configuration in a verified backup, as it is kept; None where it has none."""
	names = [file["name"] for file in read_json(directory / MANIFEST)["files"] if file["kind"] == "config"]
	return directory / names[0] if names else None


def archives(directory: Path) -> list[Path]:
	"""The archives of public and private files in a verified backup."""
	files = read_json(directory / MANIFEST)["files"]
	return [directory / file["name"] for file in files if file["kind"] in ("public_files", "private_files")]


def describe(directory: Path) -> dict[str, Any]:
	"""How a verified backup was made: {"site", "database", "method", "reason", "made", "bytes": all its files}."""
	made, files = read_json(directory / MADE), read_json(directory / MANIFEST)["files"]
	return {**made, "bytes": sum(file["size"] for file in files)}


def files_to_keep(directory: Path) -> list[dict[str, Any]]:
	"""The entries of all files of a verified backup, the manifest itself and how it was made included."""
	own = [make_entry(directory / name, "manifest", hash_file(directory / name)) for name in (MADE, MANIFEST)]
	return [*read_json(directory / MANIFEST)["files"], *own]


def make_entry(path: Path, kind: str, sha256: str) -> dict[str, Any]:
	"""A file as the manifest says it."""
	return {"name": path.name, "kind": kind, "size": path.stat().st_size, "sha256": sha256}


def read_json(path: Path) -> dict[str, Any]:
	return json.loads(path.read_text())


def _has_size(path: Path, size: int) -> bool:
	return path.is_file() and path.stat().st_size == size
