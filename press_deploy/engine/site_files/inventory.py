"""The inventory: which files a site has while its doors are closed, and copies of those no backup holds.

Invariant: an inventory that is there names every file, and the content of each is in the backup's tars or
among the copies; a new one replaces the former in one step, and no copy that either names is removed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.durable import CHUNK_BYTES
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.site_files.archives import Archives, index_archives
from press_deploy.engine.site_files.places import (
	STAGED,
	STAGED_PATHS,
	translate_file_errors,
	walk,
	write_durably,
)

INVENTORY, COPIES = "inventory.json", "files"
INVENTORY_VERSION = 2
_OTHER_KINDS = ("links", "directories", "others")
# A tar has whole seconds only, and says not when it read a file: what was written shortly before the tar
# was finished, or touched after that, may be newer than what the tar holds, with the same size and time.
UNSETTLED_SECONDS = 600


@dataclass(frozen=True)
class Entry:
	"""A regular file: size in bytes, times in nanoseconds since 1970, owner, and the SHA-256 of its copy, if any."""

	size: int
	mtime_ns: int
	ctime_ns: int
	mode: int
	user: int
	group: int
	sha256: str | None = None


@dataclass(frozen=True)
class Inventory:
	"""What there is, by its path below the site's directory: regular files, links with what they point to,
	directories with their mode, and other things, such as named pipes, with their kind."""

	files: dict[str, Entry]
	links: dict[str, str] = field(default_factory=dict)
	directories: dict[str, int] = field(default_factory=dict)
	others: dict[str, int] = field(default_factory=dict)


def take_inventory(site_directory: Path, archives: Sequence[Path], keep: Path) -> dict[str, Any]:
	"""List the site's files into `keep/inventory.json`, and copy what the tars don't hold into `keep/files`.

	Nobody may write meanwhile. Returns {"files", "bytes", "copied", "copied_bytes", "links"}: counts.
	Raises `StepFailed`.
	"""
	with translate_file_errors("Listing the files of", site_directory, "start the plan again"):
		(keep / COPIES).mkdir(parents=True, mode=0o700, exist_ok=True)
		held = index_archives(site_directory, archives, keep)
		inventory = Inventory({})
		for path, status in walk(site_directory):
			if stat.S_ISLNK(status.st_mode):
				inventory.links[path] = os.readlink(site_directory / path)
			elif stat.S_ISDIR(status.st_mode):
				inventory.directories[path] = stat.S_IMODE(status.st_mode)
			elif not stat.S_ISREG(status.st_mode):
				inventory.others[path] = stat.S_IFMT(status.st_mode)
			elif path not in STAGED_PATHS:
				inventory.files[path] = _enter(site_directory / path, status, path, held, keep)
		durable.sync_directory(keep / COPIES)
		_write(keep / INVENTORY, site_directory.name, inventory)
	copied = [entry.size for entry in inventory.files.values() if entry.sha256]
	return {
		"files": len(inventory.files),
		"bytes": sum(entry.size for entry in inventory.files.values()),
		"copied": len(copied),
		"copied_bytes": sum(copied),
		"links": len(inventory.links),
	}


def has_inventory(keep: Path) -> bool:
	"""Whether a whole inventory was taken there: what is only begun has copies, and no list of them."""
	return (keep / INVENTORY).is_file()


def read_inventory(site_directory: Path, keep: Path) -> Inventory:
	"""Raises `StepFailed` when there is none, or another site's."""
	try:
		data = json.loads((keep / INVENTORY).read_text())
		if (data["version"], data["site"]) != (INVENTORY_VERSION, site_directory.name):
			raise ValueError("it is another site's")
		files = {path: Entry(*row) for path, row in data["files"].items()}
		return Inventory(files, *(data[kind] for kind in _OTHER_KINDS))
	except (OSError, ValueError, KeyError, TypeError) as error:
		raise StepFailed(
			"Reading",
			str(keep / INVENTORY),
			f"there is no list of the site's files ({error})",
			f"put them back by hand, from the copies in {keep}",
		) from error


def read_copy(keep: Path, entry: Entry) -> Iterator[bytes]:
	"""The content of a copied file, in chunks."""
	with (keep / COPIES / str(entry.sha256)).open("rb") as content:
		while chunk := content.read(CHUNK_BYTES):
			yield chunk


def _enter(file: Path, status: os.stat_result, path: str, held: Archives, keep: Path) -> Entry:
	sha256 = None if _is_held(status, path, held) else _copy(file, status, keep / COPIES)
	mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
	return Entry(status.st_size, status.st_mtime_ns, status.st_ctime_ns, mode, *owner, sha256)


def _is_held(status: os.stat_result, path: str, held: Archives) -> bool:
	"""Whether the tars are sure to hold this very content."""
	member = held.members.get(path)
	if member is None or member.size != status.st_size or member.mtime != status.st_mtime_ns // 10**9:
		return False
	made = held.made_at(member)
	return status.st_ctime <= made and status.st_mtime < made - UNSETTLED_SECONDS


def _copy(file: Path, status: os.stat_result, copies: Path) -> str:
	"""Copy one file to the name of its SHA-256: the same content is kept once, and no copy changes."""
	descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
	with os.fdopen(descriptor, "rb") as content:
		chunks = iter(lambda: content.read(CHUNK_BYTES), b"")
		size, sha256 = write_durably(copies / STAGED, chunks)
		now = os.fstat(content.fileno())
	if (size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
		raise StepFailed(
			"Copying",
			str(file),
			"somebody writes to it, though the site is closed",
			"stop what writes, then start the plan again",
		)
	os.replace(copies / STAGED, copies / sha256)
	return sha256


def _write(path: Path, site: str, inventory: Inventory) -> None:
	files = {name: astuple(entry) for name, entry in inventory.files.items()}
	data = {"version": INVENTORY_VERSION, "site": site, "files": files}
	data |= {kind: getattr(inventory, kind) for kind in _OTHER_KINDS}
	# Names may hold bytes that are no characters; JSON in ASCII brings them back.
	durable.write_text(path, json.dumps(data, separators=(",", ":"), sort_keys=True))
