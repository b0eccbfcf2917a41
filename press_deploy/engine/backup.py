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
from typing import IO, TYPE_CHECKING, Any

from press_deploy.engine import durable
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.file_copy import CHUNK_BYTES, hash_file

if TYPE_CHECKING:
	from press_deploy.engine.context import Context

MANIFEST = "manifest.json"
BACKUP_SECONDS = 7200
# `gzip -t` accepts a dump that was cut off between two statements; its writer's last line shows the cut.
# A value of a row may hold its words, but no line of its own: dumps write line breaks as \\n.
CLOSING_LINES = (b"\n-- Dump completed", b"\n-- PostgreSQL database dump complete")
SQLITE_HEADER = b"SQLite format 3\x00"
TAIL_BYTES = 4096
GZIP_MAGIC = b"\x1f\x8b"
# Two empty blocks end a tar.
TAR_END_BYTES = 1024


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
	"""Whether the copy has the same manifest, and every file the size it says."""
	copy = target / MANIFEST
	return copy.is_file() and copy.read_bytes() == (directory / MANIFEST).read_bytes() and is_verified(target)


def database_file(directory: Path) -> Path:
	"""The database dump of a verified backup."""
	names = [file["name"] for file in _read(directory / MANIFEST)["files"] if file["kind"] == "database"]
	return directory / names[0]


def total_size(manifest: dict[str, Any]) -> int:
	return sum(file["size"] for file in manifest["files"])


def _describe(path: Path, kind: str) -> dict[str, Any]:
	try:
		_CHECKS.get(kind, hash_file)(path)
	except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
		raise StepFailed(
			"Verifying", str(path), f"it is not whole: {error}", "free space, then start a new run"
		) from error
	return {"name": path.name, "kind": kind, "size": path.stat().st_size, "sha256": hash_file(path)}


def _check_database(path: Path) -> None:
	with _open(path) as dump:
		head = dump.read(TAIL_BYTES)
		size, tail = len(head), b"\n" + head
		while chunk := dump.read(CHUNK_BYTES):
			size, tail = size + len(chunk), (tail + chunk)[-TAIL_BYTES:]
	if head.startswith(SQLITE_HEADER):
		return _check_sqlite(head, size)
	if not any(line in tail for line in CLOSING_LINES):
		raise StepFailed(
			"Verifying",
			str(path),
			"its closing line is missing, so the dump was cut off",
			"see the step's log",
		)


def _check_sqlite(head: bytes, size: int) -> None:
	"""Compare the size with what the header says (fields 16 and 28; a page size of 1 means 65536)."""
	page = int.from_bytes(head[16:18], "big")
	wanted = int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page)
	if size < wanted or not wanted:
		raise ValueError(f"it has {size} bytes, its header says {wanted}")


def _check_tar(path: Path) -> None:
	"""Read every member, and see the mark at the end: cut between two members, the rest is a tar, too."""
	with _open(path) as file:
		stream = _Ending(file)
		with tarfile.open(fileobj=stream, mode="r|") as archive:
			for member in archive:
				if member.isfile():
					source = archive.extractfile(member)
					while source and source.read(CHUNK_BYTES):
						pass
		# Only at its very end gzip compares its checksum.
		while stream.read(CHUNK_BYTES):
			pass
	if stream.ending.strip(b"\0") or len(stream.ending) < TAR_END_BYTES:
		raise tarfile.ReadError("its end mark is missing, so it was cut off")


def _check_config(path: Path) -> None:
	if not isinstance(json.loads(path.read_text()), dict):
		raise ValueError("it holds no JSON object")


_CHECKS = {
	"database": _check_database,
	"public_files": _check_tar,
	"private_files": _check_tar,
	"config": _check_config,
}


class _Ending:
	"""A file that remembers the last bytes that were read from it."""

	def __init__(self, file: IO[bytes]):
		self._file, self.ending = file, b""

	def read(self, size: int) -> bytes:
		data = self._file.read(size)
		self.ending = (self.ending + data[-TAR_END_BYTES:])[-TAR_END_BYTES:]
		return data


def _open(path: Path) -> IO[bytes]:
	"""Open a file, unpacked when it is packed with gzip."""
	with path.open("rb") as file:
		packed = file.read(2) == GZIP_MAGIC
	return gzip.open(path, "rb") if packed or path.suffix == ".gz" else path.open("rb")


def _read(path: Path) -> dict[str, Any]:
	return json.loads(path.read_text())


def _has_size(path: Path, size: int) -> bool:
	return path.is_file() and path.stat().st_size == size


def _open_private(path: Path):
	return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
