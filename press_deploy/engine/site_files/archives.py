"""The tars of a backup as a source of single files: where each one's bytes are.

Invariant: only regular files and hard links to them are ever read; nothing is unpacked by name, so that no
link, device or path in an archive has any effect.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.durable import CHUNK_BYTES
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.site_files.places import ROOTS

INDEX = "archives.json"
INDEX_VERSION = 1
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Member:
	"""One file of an archive: its bytes from `offset` of the unpacked archive on; mtime in whole seconds."""

	archive: int
	offset: int
	size: int
	mtime: int


class Archives:
	"""Files of one site in some tars; of a path that several hold, the last one counts, as when unpacking."""

	def __init__(self, paths: Sequence[Path], made: Sequence[float], members: dict[str, Member]):
		self._paths, self._made, self.members = list(paths), list(made), members

	def made_at(self, member: Member) -> float:
		"""When the archive of a member was finished, in seconds since 1970."""
		return self._made[member.archive]

	def read(self, path: str) -> Iterator[bytes]:
		"""The content of one file, in chunks. Raises `StepFailed`, also for a file cut off."""
		member = self.members.get(path)
		if member is None:
			raise StepFailed(
				"Reading",
				path,
				"the backup's archives don't hold it",
				"find it in an older backup by hand: press-deploy backup --list",
			)
		archive, left = self._paths[member.archive], member.size
		try:
			with _open(archive) as file:
				file.seek(member.offset)
				while left and (chunk := file.read(min(CHUNK_BYTES, left))):
					left -= len(chunk)
					yield chunk
		except (OSError, EOFError, zlib.error) as error:
			raise _damaged(archive, str(error)) from error
		if left:
			raise _damaged(archive, f"{path} is cut off")


def index_archives(site_directory: Path, archives: Sequence[Path], keep: Path) -> Archives:
	"""Read the headers of the tars, and keep what they say in `keep`: a second call reads that alone.

	Called before the site is closed it saves that time behind closed doors. Raises `StepFailed` for an
	archive that is damaged, or that names a path outside the site.
	"""
	paths = [Path(path) for path in archives]
	try:
		stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
	except OSError as error:
		raise _damaged(Path(error.filename), error.strerror or str(error)) from error
	members = _read_index(keep / INDEX, site_directory.name, stamps)
	if members is None:
		members = {}
		for number, path in enumerate(paths):
			_index(path, number, site_directory.name, members)
		keep.mkdir(parents=True, mode=0o700, exist_ok=True)
		rows = {
			path: [member.archive, member.offset, member.size, member.mtime]
			for path, member in members.items()
		}
		data = {"version": INDEX_VERSION, "site": site_directory.name, "archives": stamps, "members": rows}
		# Names may hold bytes that are no characters; JSON in ASCII brings them back.
		durable.write_text(keep / INDEX, json.dumps(data, separators=(",", ":"), sort_keys=True))
	return Archives(paths, [stamp[2] / 1e9 for stamp in stamps], members)


def _read_index(path: Path, site: str, stamps: list[list[Any]]) -> dict[str, Member] | None:
	try:
		data = json.loads(path.read_text())
		if (data["version"], data["site"], data["archives"]) != (INDEX_VERSION, site, stamps):
			return None
		return {name: Member(*row) for name, row in data["members"].items()}
	except (OSError, ValueError, KeyError, TypeError):
		# It is made again from the archives, which are the truth.
		return None


def _index(path: Path, number: int, site: str, members: dict[str, Member]) -> None:
	try:
		with _open(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
			while (entry := archive.next()) is not None:
				# All of them together would take a kilobyte of memory for each file.
				archive.members.clear()
				_add(path, entry, number, site, members)
	except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
		raise _damaged(path, str(error)) from error


def _add(path: Path, entry: tarfile.TarInfo, number: int, site: str, members: dict[str, Member]) -> None:
	name = map_member(path, entry.name, site)
	if name is None or entry.isdir():
		return
	if entry.islnk():
		target = map_member(path, entry.linkname, site)
		if target in members:
			members[name] = members[target]
		else:
			members.pop(name, None)
	elif entry.isreg() and not entry.issparse():
		members[name] = Member(number, entry.offset_data, entry.size, int(entry.mtime // 1))
	else:
		# A symbolic link or a device: refused as a source, and nothing else is done with it.
		members.pop(name, None)


def map_member(archive: Path, name: str, site: str) -> str | None:
	"""The path below the site's directory that a member stands for; None for what is neither kind of file.

	Frappe's tars say `./SITE/public/files/x`, or the whole path from / on; others say `public/files/x`.
	Raises `StepFailed` for a path that leaves the archive.
	"""
	parts = [part for part in name.split("/") if part not in ("", ".")]
	if name.startswith("/") or ".." in parts:
		raise StepFailed(
			"Reading",
			str(archive),
			f"it holds a path that leaves the archive: {name[:200]!r}",
			"don't use this archive; it was not made by Frappe",
		)
	if tuple(parts[:2]) in ROOTS:
		return "/".join(parts)
	for position, part in enumerate(parts):
		if part == site and tuple(parts[position + 1 : position + 3]) in ROOTS:
			return "/".join(parts[position + 1 :])
	return None


def _open(path: Path) -> IO[bytes]:
	with path.open("rb") as file:
		packed = file.read(2) == GZIP_MAGIC
	return gzip.open(path, "rb") if packed else path.open("rb")


def _damaged(path: Path, why: str) -> StepFailed:
	return StepFailed("Reading", str(path), why, "take it from the safe place again, and compare its SHA-256")
