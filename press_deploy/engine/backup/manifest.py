"""A run's backup of one site: made by Frappe, then shown to be whole, file by file.

Invariant: a backup counts only with a manifest, and the manifest is written only after every file in it
was read to its end.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from press_deploy.engine import durable
from press_deploy.engine.backup.archives import check_archive, check_config
from press_deploy.engine.backup.dump_check import ANYTHING, Expectation, check_dump
from press_deploy.engine.backup.dump_file import DamagedFile
from press_deploy.engine.backup.rungs import MANIFEST, Proof, Rung
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.file_copy import hash_file
from press_deploy.engine.mariadb.physical import check_whole
from press_deploy.engine.progress import Progress

MADE = "made.json"
# A dump, or a copy of the server's files.
DATABASES = ("database", "physical")
REMEDY = "free space, then start a new run"


def verify(
	directory: Path, expected: Expectation = ANYTHING, *, progress: Progress | None = None
) -> dict[str, Any]:
	"""Read every file of a backup to its end, write the manifest and record rungs 1 and 2.

	Returns {"files": [{"name", "kind", "size", "sha256"}]}. Raises `StepFailed`; there is no manifest then.
	"""
	made, proof = _read(directory / MADE), Proof(directory)
	(directory / MANIFEST).unlink(missing_ok=True)
	proof.record(Rung.MADE, {"kinds": sorted({file["kind"] for file in made["files"]})})
	files, facts = [], {}
	for file in made["files"]:
		path = Path(file["path"])
		try:
			entry, facts[path.name] = _describe(path, file["kind"], expected, progress)
		except (DamagedFile, OSError) as error:
			check = error.check if isinstance(error, DamagedFile) else "reading"
			proof.record_failure(Rung.WHOLE, check, f"{path.name}: {error}")
			raise StepFailed("Verifying", str(path), f"it is not whole: {error}", REMEDY) from error
		except StepFailed as error:
			proof.record_failure(Rung.WHOLE, file["kind"], f"{path.name}: {error.why}")
			raise
		files.append(entry)
	manifest = {"files": files}
	durable.write_json(directory / MANIFEST, manifest)
	proof.record(Rung.WHOLE, facts)
	return manifest


def is_verified(directory: Path) -> bool:
	"""Whether a manifest is there that can be read, and every file still has the size it says."""
	try:
		files = _read(directory / MANIFEST)["files"]
		return bool(files) and all(_has_size(directory / file["name"], file["size"]) for file in files)
	except (OSError, ValueError, KeyError, TypeError):
		return False


def database_file(directory: Path) -> Path:
	"""The database dump of a verified backup."""
	names = [file["name"] for file in _read(directory / MANIFEST)["files"] if file["kind"] in DATABASES]
	return directory / names[0]


def config_file(directory: Path) -> Path | None:
	"""The site's configuration in a verified backup, as it is kept; None where it has none."""
	names = [file["name"] for file in _read(directory / MANIFEST)["files"] if file["kind"] == "config"]
	return directory / names[0] if names else None


def archives(directory: Path) -> list[Path]:
	"""The archives of public and private files in a verified backup."""
	files = _read(directory / MANIFEST)["files"]
	return [directory / file["name"] for file in files if file["kind"] in ("public_files", "private_files")]


def describe(directory: Path) -> dict[str, Any]:
	"""How a verified backup was made: {"site", "database", "method", "reason", "made", "bytes": all its files}."""
	made, files = _read(directory / MADE), _read(directory / MANIFEST)["files"]
	return {**made, "bytes": sum(file["size"] for file in files)}


def files_to_keep(directory: Path) -> list[dict[str, Any]]:
	"""The entries of all files of a verified backup, the manifest itself and how it was made included."""
	own = [_entry(directory / name, "manifest", hash_file(directory / name)) for name in (MADE, MANIFEST)]
	return [*_read(directory / MANIFEST)["files"], *own]


def find_expected_hash(path: Path) -> str | None:
	"""The SHA-256 that a manifest beside a file says of it; None without one. Raises `DamagedFile`."""
	manifest = path.parent / MANIFEST
	if not manifest.is_file():
		return None
	try:
		hashes = {file["name"]: file["sha256"] for file in _read(manifest)["files"]}
	except (ValueError, KeyError, TypeError):
		raise DamagedFile("manifest", f"{MANIFEST} beside it can't be read") from None
	return hashes.get(path.name)


def _describe(
	path: Path, kind: str, expected: Expectation, progress: Progress | None
) -> tuple[dict[str, Any], dict[str, Any]]:
	"""The entry of a file in the manifest, and what was seen in it."""
	os.chmod(path, 0o600)
	if kind == "database":
		found = check_dump(path, expected, progress=progress)
		return _entry(path, kind, found.sha256), found.as_data()
	check = _CHECKS.get(kind)
	facts = check(path) if check else {}
	return _entry(path, kind, hash_file(path)), facts


def _entry(path: Path, kind: str, sha256: str) -> dict[str, Any]:
	return {"name": path.name, "kind": kind, "size": path.stat().st_size, "sha256": sha256}


_CHECKS = {
	"public_files": check_archive,
	"private_files": check_archive,
	"config": check_config,
	"physical": check_whole,
}


def _read(path: Path) -> dict[str, Any]:
	return json.loads(path.read_text())


def _has_size(path: Path, size: int) -> bool:
	return path.is_file() and path.stat().st_size == size
