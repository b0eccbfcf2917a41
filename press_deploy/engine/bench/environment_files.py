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
ABOUT = ".dist-info"
# Beside the place where a directory is about to be.
COMING = ".coming"

# Name → size in bytes, and time of the last change in nanoseconds; of a link, where it leads to.
Listing = dict[str, list[int | str]]


def keep(environment: Path, kept: Path) -> Listing:
	"""Keep all files of an environment below a directory of the same file system; return what they are.

	What was kept before is replaced when all is there. Raises `OSError`, and leaves nothing half-made then.
	"""
	coming = kept.with_name(f"{kept.name}{COMING}")
	shutil.rmtree(coming, ignore_errors=True)
	try:
		_link_tree(str(environment), str(coming))
	except OSError:
		shutil.rmtree(coming, ignore_errors=True)
		raise
	listing = list_files(environment)
	shutil.rmtree(kept, ignore_errors=True)
	coming.rename(kept)
	return listing


def put_back(kept: Path, environment: Path, replaced: Path) -> Path:
	"""Put what was kept in the place of the environment; return where that is now: `replaced`, or beside it.

	`kept` is gone then, unless it lies on another file system. Raises `OSError`.
	"""
	# On another file system it stays on its own: there is room for it, and nothing to be copied behind closed doors.
	beside = environment.with_name(f"{environment.name}.replaced")
	if environment.exists():
		try:
			_make_way(environment, replaced)
		except OSError as error:
			if error.errno != errno.EXDEV:
				raise
			_make_way(environment, beside)
	try:
		kept.rename(environment)
	except OSError as error:
		if error.errno != errno.EXDEV:
			raise
		coming = environment.with_name(f"{environment.name}{COMING}")
		shutil.rmtree(coming, ignore_errors=True)
		_link_tree(str(kept), str(coming))
		coming.rename(environment)
	return replaced if replaced.exists() else beside


def carry_over(replaced: Path, environment: Path, former: Listing, after: Listing) -> list[str]:
	"""Bring what came after the release, and is no part of it, over into the environment that was put back.

	`former` is what was there before the release, `after` what it had made of that. Returns the names of the packages
	and modules, which are those that neither of the two knows. Raises `OSError`.
	"""
	known = {_place_of(name) for name in (*former, *after)}
	packages = {_package_of(place) for place in known if place.endswith(ABOUT)}
	carried = []
	for place in sorted({_place_of(name) for name in list_files(replaced)} - known):
		source, target = replaced / place, environment / place
		is_newer = place.endswith(ABOUT) and _package_of(place) in packages
		if not is_newer and not target.exists() and target.parent.is_dir():
			(_link_tree if source.is_dir() else _keep_file)(str(source), str(target))
			carried.append(place)
	return carried


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


def _make_way(environment: Path, replaced: Path) -> None:
	shutil.rmtree(replaced, ignore_errors=True)
	environment.rename(replaced)


def _place_of(name: str) -> str:
	"""What somebody installs as one: whatever lies directly in `bin` or in `site-packages`; else the file itself."""
	parts = name.split("/")
	for directory in COPIED_FROM:
		if directory in parts[:-1]:
			return "/".join(parts[: parts.index(directory) + 2])
	return name


def _package_of(place: str) -> str:
	"""The name of the package that a `….dist-info` is about, without its version."""
	return place.rpartition("/")[2].partition("-")[0].lower()


def _link_tree(source: str, target: str) -> None:
	# An environment has tens of thousands of files: plain names are several times faster than paths.
	os.mkdir(target, 0o755)
	is_copied = os.path.basename(source) in COPIED_FROM
	with os.scandir(source) as entries:
		for entry in entries:
			there = os.path.join(target, entry.name)
			if entry.is_dir() and not entry.is_symlink():
				_link_tree(entry.path, there)
			else:
				_keep_file(entry.path, there, is_copied)


def _keep_file(source: str, target: str, is_copied: bool = True) -> None:
	if os.path.islink(source):
		return os.symlink(os.readlink(source), target)
	if not is_copied:
		try:
			return os.link(source, target)
		except OSError as error:
			# Whoever may not link may copy: another file system, too many links, a file that root has left here.
			if error.errno in (errno.ENOSPC, errno.EDQUOT):
				raise
	shutil.copy2(source, target)
