"""Backups of a run: made by Frappe, then shown to be whole, then copied off and compared.

Invariant: a backup counts only with a manifest, and the manifest is written only after every file in it
was read to its end.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine import durable
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.file_copy import CHUNK_BYTES, hash_file

if TYPE_CHECKING:
	from press_deploy.engine.context import Context

MANIFEST = "manifest.json"
BACKUP_SECONDS = 7200
# `gzip -t` accepts a dump that was cut off between two statements; its writer's last line shows the cut.
CLOSING_LINES = (b"-- Dump completed", b"-- PostgreSQL database dump complete")
SQLITE_HEADER = b"SQLite format 3\x00"
TAIL_BYTES = 4096


def make(context: Context, site: str, directory: Path, *, with_files: bool) -> None:
	"""Let Frappe back one site up into an empty directory."""
	shutil.rmtree(directory, ignore_errors=True)
	directory.mkdir(parents=True, mode=0o700)
	made = context.site_processes.call(
		"backup", site, timeout=BACKUP_SECONDS, directory=str(directory), with_files=with_files
	)
	kinds = {file["kind"] for file in made["files"]}
	wanted = {"database", "config"} | ({"public_files", "private_files"} if with_files else set())
	if made.get("partial") or not wanted <= kinds:
		raise StepFailed(
			"Backing up",
			site,
			f"the backup is not complete: it has {', '.join(sorted(kinds))}",
			"see the step's log",
		)
	durable.write_json(directory / "made.json", made)


def verify(directory: Path) -> dict[str, Any]:
	"""Read every file of a backup to its end, and write the manifest. Raises `StepFailed`."""
	made = _read(directory / "made.json")
	manifest = {"files": [_describe(Path(file["path"]), file["kind"]) for file in made["files"]]}
	durable.write_json(directory / MANIFEST, manifest)
	return manifest


def is_verified(directory: Path) -> bool:
	"""Whether a manifest is there and every file still has the size it says."""
	if not (directory / MANIFEST).is_file():
		return False
	files = _read(directory / MANIFEST)["files"]
	return bool(files) and all(_has_size(directory / file["name"], file["size"]) for file in files)


def copy_to(directory: Path, target: Path) -> None:
	"""Copy a verified backup off, read the copy again and compare. Raises `StepFailed`."""
	target.mkdir(parents=True, mode=0o700, exist_ok=True)
	for file in _read(directory / MANIFEST)["files"]:
		copy = target / file["name"]
		with (directory / file["name"]).open("rb") as source, _open_private(copy) as output:
			shutil.copyfileobj(source, output, CHUNK_BYTES)
			output.flush()
			os.fsync(output.fileno())
			# What was just written sits in memory; only without it does reading ask the disk.
			os.posix_fadvise(output.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
		if hash_file(copy) != file["sha256"]:
			raise StepFailed(
				"Copying", str(copy), "the copy differs from the backup", "check that disk, then resume"
			)
	shutil.copyfile(directory / MANIFEST, target / MANIFEST)
	os.chmod(target / MANIFEST, 0o600)
	durable.sync_directory(target)


def is_copied(directory: Path, target: Path) -> bool:
	return (target / MANIFEST).is_file() and (target / MANIFEST).read_bytes() == (
		directory / MANIFEST
	).read_bytes()


def database_file(directory: Path) -> Path:
	"""The database dump of a verified backup."""
	names = [file["name"] for file in _read(directory / MANIFEST)["files"] if file["kind"] == "database"]
	return directory / names[0]


def total_size(manifest: dict[str, Any]) -> int:
	return sum(file["size"] for file in manifest["files"])


def _describe(path: Path, kind: str) -> dict[str, Any]:
	try:
		{"database": _check_database, "public_files": _check_tar, "private_files": _check_tar}.get(
			kind, hash_file
		)(path)
	except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
		raise StepFailed(
			"Verifying", str(path), f"it is not whole: {error}", "free space, then start a new run"
		) from error
	return {"name": path.name, "kind": kind, "size": path.stat().st_size, "sha256": hash_file(path)}


def _check_database(path: Path) -> None:
	opener = gzip.open if path.name.endswith(".gz") else open
	with opener(path, "rb") as dump:
		head = tail = dump.read(TAIL_BYTES)
		while chunk := dump.read(CHUNK_BYTES):
			tail = (tail + chunk)[-TAIL_BYTES:]
	if head.startswith(SQLITE_HEADER):
		return
	if not any(line in tail for line in CLOSING_LINES):
		raise StepFailed(
			"Verifying",
			str(path),
			"its closing line is missing, so the dump was cut off",
			"see the step's log",
		)


def _check_tar(path: Path) -> None:
	with tarfile.open(path) as archive:
		for member in archive:
			if member.isfile():
				source = archive.extractfile(member)
				while source and source.read(CHUNK_BYTES):
					pass


def _read(path: Path) -> dict[str, Any]:
	return json.loads(path.read_text())


def _has_size(path: Path, size: int) -> bool:
	return path.is_file() and path.stat().st_size == size


def _open_private(path: Path):
	return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
