"""Rung 2 of a backup: shown to be whole, file by file.

Invariant: a backup counts only with a manifest, and the manifest is written only after every file in it
was read to its end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.archives import check_archive, check_config
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases.backup_files import MADE, MANIFEST, make_entry, read_json
from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.facts import ANYTHING, Expectation
from press_deploy.engine.databases.engines import ENGINES
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.progress import Progress

REMEDY = "free space, then start a new run"


def verify(
	directory: Path, expected: Expectation = ANYTHING, *, progress: Progress | None = None
) -> dict[str, Any]:
	"""Read every file of a backup to its end, write the manifest and record rungs 1 and 2.

	Returns {"files": [{"name", "kind", "size", "sha256"}]}. Raises `StepFailed`; there is no manifest then.
	"""
	made, proof = read_json(directory / MADE), Proof(directory)
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


def find_expected_hash(path: Path) -> str | None:
	"""The SHA-256 that a manifest beside a file says of it; None without one. Raises `DamagedFile`."""
	manifest = path.parent / MANIFEST
	if not manifest.is_file():
		return None
	try:
		hashes = {file["name"]: file["sha256"] for file in read_json(manifest)["files"]}
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
		return make_entry(path, kind, found.sha256), found.as_data()
	check = _CHECKS.get(kind)
	facts = check(path) if check else {}
	return make_entry(path, kind, hash_file(path)), facts


def _check_copy(path: Path) -> dict[str, Any]:
	"""A copy of a server's files, by whoever makes such."""
	for engine in ENGINES.values():
		for suffix, check in engine.dumping.COPIES.items():
			if path.name.endswith(suffix):
				return check(path)
	raise DamagedFile("kind", "it is no copy of a server's files that can be read here")


_CHECKS = {
	"public_files": check_archive,
	"private_files": check_archive,
	"config": check_config,
	"physical": _check_copy,
}
