"""The files of the bench's environment: kept before pip changes them, and put back without it.

What is kept are hard links, which cost next to nothing: pip and uv put a new file in place of another one, they
don't write into it. Some files are written into by setuptools, though, and by people: those that lie directly in `bin`
or in `site-packages` are copied.

Invariant: neither pip nor a package index is asked, and the environment is always one of the two, whole, but for the
moment between two renames.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

COMPILED = "__pycache__"
COPIED_FROM = ("bin", "site-packages")
# Beside the place where a directory is about to be.
COMING = ".coming"

# Name → size in bytes, and time of the last change in nanoseconds; of a link, where it leads to.
Listing = dict[str, list[int | str]]


def keep(environment: Path, kept: Path) -> Listing:
	"""Keep all files of an environment below a directory of the same file system; return what they are.

	What was kept before is replaced when all is there. Raises `OSError`.
	"""
	coming = kept.with_name(f"{kept.name}{COMING}")
	shutil.rmtree(coming, ignore_errors=True)
	_link_tree(str(environment), str(coming))
	listing = list_files(environment)
	shutil.rmtree(kept, ignore_errors=True)
	coming.rename(kept)
	return listing


def put_back(kept: Path, environment: Path, replaced: Path) -> None:
	"""Put what was kept in the place of the environment, and that in the place of `replaced`. Raises `OSError`."""
	if environment.exists():
		shutil.rmtree(replaced, ignore_errors=True)
		_move(environment, replaced)
	_move(kept, environment)


def list_files(environment: Path) -> Listing:
	"""Every file and link of an environment, without what Python compiles by itself; none where there is no environment.

	Raises `OSError`.
	"""
	found: Listing = {}
	waiting = [""] if environment.exists() else []
	while waiting:
		place = waiting.pop()
		with os.scandir(os.path.join(environment, place)) as entries:
			for entry in entries:
				name = os.path.join(place, entry.name)
				if entry.is_symlink():
					found[name] = [os.readlink(entry.path)]
				elif not entry.is_dir():
					status = entry.stat()
					found[name] = [status.st_size, status.st_mtime_ns]
				elif entry.name != COMPILED:
					waiting.append(name)
	return found


def find_differences(former: Listing, now: Listing) -> list[str]:
	"""The names of files that came, went, or are not what they were, sorted."""
	return sorted(name for name in former.keys() | now.keys() if former.get(name) != now.get(name))


def _move(source: Path, target: Path) -> None:
	try:
		source.rename(target)
	except OSError as error:
		if error.errno != errno.EXDEV:
			raise
		coming = target.with_name(f"{target.name}{COMING}")
		shutil.rmtree(coming, ignore_errors=True)
		_link_tree(str(source), str(coming))
		coming.rename(target)
		shutil.rmtree(source)


def _link_tree(source: str, target: str) -> None:
	# An environment has tens of thousands of files: plain names are several times faster than paths.
	os.mkdir(target, 0o755)
	is_copied = os.path.basename(source) in COPIED_FROM
	with os.scandir(source) as entries:
		for entry in entries:
			there = os.path.join(target, entry.name)
			if entry.is_symlink():
				os.symlink(os.readlink(entry.path), there)
			elif entry.is_dir():
				_link_tree(entry.path, there)
			elif is_copied:
				shutil.copy2(entry.path, there)
			else:
				_link(entry.path, there)


def _link(source: str, target: str) -> None:
	try:
		os.link(source, target)
	except OSError as error:
		# Another file system, or more links than this one allows.
		if error.errno not in (errno.EXDEV, errno.EMLINK):
			raise
		shutil.copy2(source, target)
