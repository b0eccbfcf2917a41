"""A directory as safe place: another disk, a mounted share.

Invariant: a file has its final name only when its copy was read again from the disk and compared; the
place itself is never created, because what should be mounted there may be missing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.durable import CHUNK_BYTES
from press_deploy.engine.ground.errors import STEP_LOG, DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.progress import show_size
from press_deploy.engine.plan.safe_places import DirectoryPlace
from press_deploy.engine.safe_places.base import (
	CHECK_NAME,
	PROBE_TEXT,
	Progress,
	SafePlace,
	StoredFile,
	altered_source,
	check_names,
	differing_copy,
	evidence,
)

_REASONS = {
	errno.ENOSPC: ("there is no space left there", "free space there, then start the plan again"),
	errno.EDQUOT: (
		"the quota there is used up",
		"free space there or raise the quota, then start the plan again",
	),
	errno.EFBIG: (
		"the file is larger than this user or that disk allows",
		"raise the limit, then start the plan again",
	),
	errno.EACCES: ("this user may not write there", "give the bench user the right to write there"),
	errno.EPERM: ("this user may not write there", "give the bench user the right to write there"),
	errno.EROFS: ("it is mounted read-only", "mount it writable, then start the plan again"),
	errno.ENOENT: ("it does not exist", "see whether its disk is mounted, or create it"),
	errno.ENOTDIR: ("it is no directory", "name a directory, and no link or file, on the way there"),
	errno.ELOOP: (
		"a symbolic link is in its place",
		"remove the link: backups are never written through one",
	),
	errno.EIO: ("the disk reports an error", "check that disk; use another safe place"),
	errno.ESTALE: ("the share was lost", "mount it again, then start the plan again"),
}


class DirectorySafePlace(SafePlace):
	"""Files below a directory, with modes for their owner alone."""

	def __init__(self, spec: DirectoryPlace, bench_path: Path):
		self._base, self._bench_path = Path(spec.path), bench_path

	def describe(self) -> str:
		return f"directory {self._base}"

	def check(self, needed_bytes: int = 0) -> list[Check]:
		try:
			with _translated("Trying", self._base):
				self._try()
				free = shutil.disk_usage(self._base).free
				same_disk = self._base.stat().st_dev == self._bench_path.stat().st_dev
		except DeployError as error:
			return [fail(CHECK_NAME, f"{self._base}: {error.why}", error.remedy)]
		if self._base.resolve().is_relative_to(self._bench_path.resolve()):
			remedy = "use a directory on another disk: what deletes or fills the bench takes the backup too"
			return [fail(CHECK_NAME, f"{self._base}: it is inside the bench", remedy)]
		found = f"{self._base}: written, read and deleted a probe, {show_size(free)} free"
		if free < needed_bytes:
			return [fail(CHECK_NAME, f"{found}, {show_size(needed_bytes)} are needed", "free space there")]
		if same_disk:
			remedy = "use another disk: one failure takes both"
			return [warn(CHECK_NAME, f"{found}; it is on the bench's own disk", remedy)]
		return [ok(CHECK_NAME, found)]

	def store(
		self, files: Sequence[StoredFile], below: str, progress: Progress | None = None
	) -> list[dict[str, Any]]:
		check_names(files, below)
		with _translated("Opening", self._base):
			directory = self._make(below)
		stored, done = [], 0
		for file in files:
			stored.append(self._store_one(file, directory / file.name, done, progress))
			done += file.size
		return stored

	def holds(self, files: Sequence[StoredFile], below: str) -> Observation:
		check_names(files, below)
		directory = self._base / below
		for file in files:
			with _translated("Looking for", directory / file.name):
				size = _size_of(directory / file.name)
			if size is None:
				return Observation(False, f"{directory / file.name} is not there")
			if size != file.size:
				return Observation(False, f"{directory / file.name} has {size} bytes instead of {file.size}")
		return Observation(bool(files), f"{len(files)} file(s) in {directory}, each with its size")

	def _store_one(
		self, file: StoredFile, target: Path, done: int, progress: Progress | None
	) -> dict[str, Any]:
		report = progress or (lambda _bytes: None)
		with _translated("Copying to", target):
			is_there = _size_of(target) == file.size and _hash_on_disk(target) == file.sha256
			if not is_there:
				self._replace(file, target, lambda copied: report(done + copied))
		report(done + file.size)
		return evidence(file, str(target), sent=not is_there)

	def _replace(self, file: StoredFile, target: Path, report: Progress) -> None:
		temporary = target.with_name(f".{target.name}.press_deploy")
		# What a killed run left there; whoever else made it, nothing is written through it.
		temporary.unlink(missing_ok=True)
		try:
			if _copy(file.path, temporary, report) != (file.size, file.sha256):
				raise altered_source(file)
			if _hash_on_disk(temporary) != file.sha256:
				raise differing_copy(str(target))
			os.replace(temporary, target)
			durable.sync_directory(target.parent)
		except BaseException:
			temporary.unlink(missing_ok=True)
			raise

	def _make(self, below: str) -> Path:
		"""Make the directories below the place, which must be there, and lead through no link."""
		self._base.stat()
		directory = self._base
		for part in below.split("/"):
			directory = directory / part
			try:
				directory.mkdir(mode=0o700)
				durable.sync_directory(directory.parent)
			except FileExistsError:
				_refuse_link(directory)
		return directory

	def _try(self) -> None:
		with tempfile.NamedTemporaryFile(dir=self._base, prefix=".press_deploy-") as probe:
			probe.write(PROBE_TEXT)
			probe.flush()
			os.fsync(probe.fileno())
			if Path(probe.name).read_bytes() != PROBE_TEXT:
				raise differing_copy(probe.name)


def _copy(source: Path, target: Path, report: Progress) -> tuple[int, str]:
	"""Copy to a new file that is on the disk in the end; return size and SHA-256 of what was read here."""
	digest, size = hashlib.sha256(), 0
	descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
	with source.open("rb") as content, os.fdopen(descriptor, "wb") as output:
		while chunk := content.read(CHUNK_BYTES):
			digest.update(chunk)
			size += len(chunk)
			output.write(chunk)
			report(size)
		output.flush()
		os.fsync(output.fileno())
	return size, digest.hexdigest()


def _hash_on_disk(path: Path) -> str:
	"""SHA-256 of a file as its disk has it: what was just written sits in memory, and would be read there."""
	digest = hashlib.sha256()
	with path.open("rb") as file:
		os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
		while chunk := file.read(CHUNK_BYTES):
			digest.update(chunk)
	return digest.hexdigest()


def _size_of(path: Path) -> int | None:
	"""Size of a regular file in bytes; None when there is no such file, or a link or anything else."""
	try:
		found = path.lstat()
	except FileNotFoundError:
		return None
	return found.st_size if stat.S_ISREG(found.st_mode) else None


def _refuse_link(directory: Path) -> None:
	if directory.is_symlink():
		raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(directory))
	if not directory.is_dir():
		raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))


@contextmanager
def _translated(doing: str, what: Path) -> Iterator[None]:
	try:
		yield
	except OSError as error:
		unknown = (error.strerror or str(error), f"see {STEP_LOG}")
		why, remedy = _REASONS.get(error.errno or 0, unknown)
		raise StepFailed(doing, str(error.filename or what), why, remedy) from error
