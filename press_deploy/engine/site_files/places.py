"""Where a site's files are, and how they are walked, copied and moved: never through a symbolic link.

Invariant: a copy has its name only when it is whole and on the disk; a move never replaces anything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file

ROOTS = (("public", "files"), ("private", "files"))
# In a root's directory, so that a rename brings it anywhere below; a run has one at a time.
STAGED = ".press_deploy-part"
# A name has at most 255 bytes; this leaves room for what is added to one.
LONGEST_NAME = 200
STAGED_PATHS = frozenset("/".join((*root, STAGED)) for root in ROOTS)


def require_real_roots(site_directory: Path) -> None:
	"""Raise `StepFailed` where files are behind a link: Frappe's tar holds the link instead, so they have no backup."""
	for root in ROOTS:
		for place in (site_directory / root[0], site_directory.joinpath(*root)):
			if place.is_symlink():
				raise StepFailed(
					"Listing the files of",
					site_directory.name,
					f"{place} is a symbolic link, and backups don't follow one",
					"move the directory itself there, or mount it there",
				)


def walk(site_directory: Path) -> Iterator[tuple[str, os.stat_result]]:
	"""The roots and everything below: (path below the site's directory, its own status)."""
	require_real_roots(site_directory)
	for root in ROOTS:
		pending = ["/".join(root)]
		while pending:
			directory = pending.pop()
			try:
				entries = sorted(os.scandir(site_directory / directory), key=lambda entry: entry.name)
				yield directory, (site_directory / directory).lstat()
			except FileNotFoundError:
				continue
			for entry in entries:
				path = f"{directory}/{entry.name}"
				if entry.is_dir(follow_symlinks=False):
					pending.append(path)
				else:
					yield path, entry.stat(follow_symlinks=False)


def look(path: Path) -> os.stat_result | None:
	"""The status of what has this name, a link's own; None when there is nothing."""
	try:
		return path.lstat()
	except (FileNotFoundError, NotADirectoryError):
		return None


def write_durably(path: Path, chunks: Iterable[bytes], mode: int = 0o600) -> tuple[int, str]:
	"""A new file, on the disk when the call returns; its size and SHA-256. What had the name is removed."""
	path.unlink(missing_ok=True)
	digest, size = hashlib.sha256(), 0
	descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
	with os.fdopen(descriptor, "wb") as output:
		for chunk in chunks:
			digest.update(chunk)
			size += len(chunk)
			output.write(chunk)
		output.flush()
		os.fchmod(output.fileno(), mode)
		os.fsync(output.fileno())
	return size, digest.hexdigest()


def make_directories(base: Path, path: Path, mode: int = 0o700) -> None:
	"""Make the directories from `base` down to `path`; each that is there must be one, and no link."""
	if path != base:
		make_directories(base, path.parent, mode)
	status = look(path)
	if status is None:
		path.mkdir(mode=mode, parents=path == base)
		os.chmod(path, mode)
		durable.sync_directory(path.parent)
	elif not stat.S_ISDIR(status.st_mode):
		raise NotADirectoryError(errno.ENOTDIR, "it is a file or a link in a directory's place", str(path))


def move_aside(source: Path, base: Path, name: str) -> None:
	"""Move a file, link or anything else to `base`/`name`, or beside it when something is there already."""
	target = base / name
	make_directories(base, target.parent)
	wanted, number = target, 0
	while look(target) is not None:
		if _is_copied(source, target):
			# A move to another disk was interrupted between its two halves.
			source.unlink()
			return
		number += 1
		target = wanted.with_name(f"{_shorten(wanted.name)}.{number}")
	try:
		os.rename(source, target)
	except OSError as error:
		if error.errno != errno.EXDEV:
			raise
		_move_to_other_disk(source, target)
	durable.sync_directory(target.parent)
	durable.sync_directory(source.parent)


def _move_to_other_disk(source: Path, target: Path) -> None:
	status = source.lstat()
	if stat.S_ISLNK(status.st_mode):
		os.symlink(os.readlink(source), target)
		source.unlink()
		return
	if not stat.S_ISREG(status.st_mode):
		raise OSError(errno.EXDEV, "it is no regular file, and quarantine is on another disk", str(source))
	part = target.with_name(f".{_shorten(target.name)}.press_deploy")
	with source.open("rb") as content:
		write_durably(part, iter(lambda: content.read(1 << 20), b""), stat.S_IMODE(status.st_mode))
	os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
	os.rename(part, target)
	durable.sync_directory(target.parent)
	source.unlink()


def _shorten(name: str) -> str:
	"""By whole characters, which have up to four bytes."""
	while len(os.fsencode(name)) > LONGEST_NAME:
		name = name[:-1]
	return name


def _is_copied(source: Path, target: Path) -> bool:
	one, other = source.lstat(), target.lstat()
	if not (stat.S_ISREG(one.st_mode) and stat.S_ISREG(other.st_mode)):
		return False
	same = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
	return same and one.st_dev != other.st_dev and hash_file(source) == hash_file(target)


@contextmanager
def translate_file_errors(doing: str, what: Path, then: str) -> Iterator[None]:
	"""Turn the operating system's errors into `StepFailed`; `then`: what to do when the cause is mended."""
	try:
		yield
	except OSError as error:
		remedy = f"see who owns it and what it is, then {then}"
		if error.errno in (errno.ENOSPC, errno.EDQUOT):
			remedy = f"free space there, then {then}"
		raise StepFailed(doing, str(error.filename or what), error.strerror or str(error), remedy) from error
