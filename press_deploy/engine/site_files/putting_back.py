"""Putting a site's files back as the inventory lists them.

Invariant: what is to be done is seen from the files themselves, so a call that was killed anywhere is
repeated; every original is known to be at hand before anything is moved.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.site_files.archives import Archives, index_archives
from press_deploy.engine.site_files.inventory import COPIES, Entry, Inventory, read_copy, read_inventory
from press_deploy.engine.site_files.places import (
	STAGED,
	STAGED_PATHS,
	look,
	make_directories,
	move_aside,
	translate_file_errors,
	walk,
	write_durably,
)

NAMES_SHOWN = 50


@dataclass
class Deviations:
	"""Paths that are not as the inventory says; `retouched` have their content, but another time or mode.

	A link that points elsewhere now is one that was added, in the place of one that is missing.

	`later` were added or changed after the moment from which on files are people's own: they stay.
	"""

	added: list[str] = field(default_factory=list)
	changed: list[str] = field(default_factory=list)
	missing: list[str] = field(default_factory=list)
	retouched: list[str] = field(default_factory=list)
	later: list[str] = field(default_factory=list)
	links_missing: list[str] = field(default_factory=list)

	@property
	def is_empty(self) -> bool:
		return not (self.added or self.changed or self.missing or self.retouched)

	def as_data(self) -> dict[str, Any]:
		"""Counts, and the names of up to 50 of each kind."""
		kinds = {kind: sorted(paths) for kind, paths in vars(self).items()}
		return {
			**{kind: len(paths) for kind, paths in kinds.items()},
			"names": {kind: [_show(path) for path in paths[:NAMES_SHOWN]] for kind, paths in kinds.items()},
		}


def put_back(
	site_directory: Path, archives: Sequence[Path], keep: Path, quarantine: Path, until: float | None = None
) -> dict[str, Any]:
	"""Move what was added or changed since the inventory into `quarantine`, and put the originals back.

	What was added or changed after `until` (epoch seconds) stays; a later removal can't be told from an earlier.
	Behind closed doors; safe to repeat. Returns `Deviations.as_data`: what was found and mended. A symbolic
	link that is gone is only reported. Raises `StepFailed`.
	"""
	with translate_file_errors("Putting back the files of", site_directory, "roll back again"):
		originals = _Originals(site_directory, archives, keep)
		for path in STAGED_PATHS:
			# What a killed call was putting together.
			(site_directory / path).unlink(missing_ok=True)
		found = find_deviations(site_directory, originals, until)
		originals.require([*found.changed, *found.missing])
		for path in found.added:
			move_aside(site_directory / path, quarantine, path)
		for path in [*found.changed, *found.missing]:
			_restore(site_directory, path, originals, quarantine)
		for path in found.retouched:
			if entry := originals.inventory.files.get(path):
				_retouch(site_directory / path, entry)
		if not found.is_empty:
			_set_modes(site_directory, originals.inventory.directories)
	return found.as_data()


def observe_put_back(
	site_directory: Path, archives: Sequence[Path], keep: Path, until: float | None = None
) -> Observation:
	"""Whether every file is as the inventory lists it, and no other is there but later ones. Raises `StepFailed`."""
	with translate_file_errors("Comparing the files of", site_directory, "roll back again"):
		originals = _Originals(site_directory, archives, keep)
		found = find_deviations(site_directory, originals, until)
	counts = found.as_data()
	if found.is_empty:
		lost = f", {len(found.links_missing)} symbolic link(s) missing" if found.links_missing else ""
		later = f", {len(found.later)} written later" if found.later else ""
		listed = len(originals.inventory.files)
		return Observation(True, f"{listed} file(s) as they were{later}{lost}", counts)
	words = ", ".join(
		f"{counts[kind]} {kind}" for kind in ("added", "changed", "missing", "retouched") if counts[kind]
	)
	return Observation(False, f"files are not as they were: {words}", counts)


class _Originals:
	"""The inventory, and the content of every file in it."""

	def __init__(self, site_directory: Path, archives: Sequence[Path], keep: Path):
		self._site_directory, self._paths, self._keep = site_directory, archives, keep
		self.inventory: Inventory = read_inventory(site_directory, keep)
		self._archives: Archives | None = None

	def read(self, path: str) -> Iterator[bytes]:
		entry = self.inventory.files[path]
		return read_copy(self._keep, entry) if entry.sha256 else self._held.read(path)

	def hash(self, path: str) -> str:
		"""SHA-256 of a file's content."""
		if known := self.inventory.files[path].sha256:
			return known
		digest = hashlib.sha256()
		for chunk in self._held.read(path):
			digest.update(chunk)
		return digest.hexdigest()

	def require(self, paths: Iterable[str]) -> None:
		"""Raise `StepFailed` when the content of a file is not at hand."""
		for path in paths:
			entry = self.inventory.files[path]
			if entry.sha256:
				status = look(self._keep / COPIES / entry.sha256)
				at_hand = status is not None and status.st_size == entry.size
			else:
				member = self._held.members.get(path)
				at_hand = member is not None and member.size == entry.size
			if not at_hand:
				raise StepFailed(
					"Putting back",
					_show(path),
					"neither the backup's archives nor the copies hold it as it was",
					"nothing was moved; bring the backup's archives back, then roll back again",
				)

	@property
	def _held(self) -> Archives:
		# Only when one of their files is asked for: mostly none is.
		if self._archives is None:
			self._archives = index_archives(self._site_directory, self._paths, self._keep)
		return self._archives


def find_deviations(site_directory: Path, originals: _Originals, until: float | None = None) -> Deviations:
	"""Compare what is there with the inventory; content is read only where times leave it open."""
	found, seen, later = Deviations(), set(), set()
	inventory = originals.inventory
	for path, status in walk(site_directory):
		if stat.S_ISDIR(status.st_mode):
			if _has_other_mode(path, status, inventory.directories):
				found.retouched.append(path)
			continue
		entry = inventory.files.get(path)
		seen.add(path)
		if until is not None and status.st_ctime > until:
			later.add(path)
		if entry is None:
			if not _is_listed(site_directory / path, path, status, inventory):
				found.added.append(path)
		elif not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
			found.changed.append(path)
		elif not _is_untouched(status, entry):
			_judge(site_directory / path, path, status, originals, found)
	found.missing = sorted(inventory.files.keys() - seen)
	if later:
		_spare(found, later, inventory)
	found.links_missing = [
		path
		for path, target in sorted(inventory.links.items())
		if path not in found.later and _read_link(site_directory / path) != target
	]
	return found


def _is_listed(file: Path, path: str, status: os.stat_result, inventory: Inventory) -> bool:
	"""Whether what is no regular file of the inventory is a link or another thing of it, as it was."""
	if stat.S_ISLNK(status.st_mode):
		return path in inventory.links and os.readlink(file) == inventory.links[path]
	return stat.S_IFMT(status.st_mode) == inventory.others.get(path)


def _read_link(path: Path) -> str | None:
	try:
		return os.readlink(path)
	except OSError:
		return None


def _spare(found: Deviations, later: set[str], inventory: Inventory) -> None:
	"""Leave what is later, unless it is in the way of an original: as a file where that needs a directory, or in
	a directory of that name."""
	directories = {parent for path in inventory.files for parent in _parents(path)}
	spared = {
		path
		for path in later.intersection(found.added + found.changed) - directories
		if not any(parent in inventory.files for parent in _parents(path))
	}
	found.later = sorted(spared)
	found.added = [path for path in found.added if path not in spared]
	found.changed = [path for path in found.changed if path not in spared]


def _parents(path: str) -> list[str]:
	return [str(parent) for parent in PurePosixPath(path).parents]


def _is_untouched(status: os.stat_result, entry: Entry) -> bool:
	return (status.st_mtime_ns, status.st_ctime_ns) == (entry.mtime_ns, entry.ctime_ns)


def _judge(file: Path, path: str, status: os.stat_result, originals: _Originals, found: Deviations) -> None:
	"""A file that was touched: its content says whether it was changed, put back, or only touched."""
	entry = originals.inventory.files[path]
	if hash_file(file) != originals.hash(path):
		found.changed.append(path)
	elif (status.st_mtime_ns, stat.S_IMODE(status.st_mode)) != (entry.mtime_ns, entry.mode):
		found.retouched.append(path)


def _restore(site_directory: Path, path: str, originals: _Originals, quarantine: Path) -> None:
	"""Put one original into its place; whatever is there goes to quarantine when the original is ready."""
	target, entry = site_directory / path, originals.inventory.files[path]
	root = site_directory.joinpath(*path.split("/")[:2])
	make_directories(site_directory, target.parent, stat.S_IMODE(site_directory.stat().st_mode))
	staged = root / STAGED
	size, sha256 = write_durably(staged, originals.read(path), entry.mode)
	if size != entry.size or (entry.sha256 and sha256 != entry.sha256):
		raise StepFailed(
			"Putting back",
			_show(path),
			"its original was altered",
			"bring the backup back, then roll back again",
		)
	_retouch(staged, entry)
	if target.is_dir() and not target.is_symlink():
		# Its files were added later and are in quarantine by now.
		_remove_empty(target)
	elif look(target) is not None:
		move_aside(target, quarantine, path)
	os.rename(staged, target)
	durable.sync_directory(target.parent)


def _retouch(file: Path, entry: Entry) -> None:
	try:
		os.chown(file, entry.user, entry.group, follow_symlinks=False)
	except PermissionError:
		# Only root can give files to others.
		pass
	os.chmod(file, entry.mode)
	os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))


def _set_modes(site_directory: Path, directories: dict[str, int]) -> None:
	"""Of those that were made again, too. Walked anew: a link in a directory's place leads elsewhere."""
	for path, status in walk(site_directory):
		if stat.S_ISDIR(status.st_mode) and _has_other_mode(path, status, directories):
			os.chmod(site_directory / path, directories[path])


def _has_other_mode(path: str, status: os.stat_result, directories: dict[str, int]) -> bool:
	return path in directories and directories[path] != stat.S_IMODE(status.st_mode)


def _remove_empty(directory: Path) -> None:
	for place, _, _ in os.walk(directory, topdown=False):
		os.rmdir(place)


def _show(path: str) -> str:
	"""A path as it may stand in the journal: bytes that are no characters in words."""
	return path.encode("utf-8", "backslashreplace").decode()
