"""Are the other files of a backup whole: archives of public and private files, and the configuration?

Invariant: an archive passes only when every member and its end mark were read; cut between two members, the
rest is an archive, too.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from press_deploy.engine.backup.config_secrets import is_encrypted
from press_deploy.engine.databases.dumps.dump_file import DamagedFile, unpack
from press_deploy.engine.ground.durable import CHUNK_BYTES

# Two empty blocks end a tar.
TAR_END_BYTES = 1024


def check_archive(path: Path) -> dict[str, int]:
	"""Read a tar, packed or not, to its end; returns {"members": …}. Raises `DamagedFile` and `OSError`."""
	stream, members = _Ending(unpack(path)), 0
	try:
		with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK_BYTES) as archive:
			for member in archive:
				members += 1
				if member.isfile():
					source = archive.extractfile(member)
					while source and source.read(CHUNK_BYTES):
						pass
		# What packed it compares its checksum only at the very end.
		while stream.read(CHUNK_BYTES):
			pass
	except (tarfile.TarError, EOFError, zlib.error) as error:
		raise DamagedFile("archive", f"it is no whole tar archive: {error}") from None
	if stream.ending.strip(b"\0") or len(stream.ending) < TAR_END_BYTES:
		raise DamagedFile("archive", "its end mark is missing, so it was cut off")
	return {"members": members}


def check_config(path: Path) -> dict[str, bool]:
	"""See that a configuration is JSON, or encrypted. Raises `DamagedFile` and `OSError`."""
	content = path.read_bytes()
	if is_encrypted(content):
		return {"encrypted": True}
	try:
		if isinstance(json.loads(content), dict):
			return {"encrypted": False}
	except ValueError:
		pass
	raise DamagedFile("configuration", "it holds no JSON object")


class _Ending:
	"""Pieces as a file that remembers the last bytes that were read from it."""

	def __init__(self, pieces: Iterator[bytes]):
		self._pieces, self._piece, self._place, self.ending = pieces, b"", 0, b""

	def read(self, size: int) -> bytes:
		"""At most `size` bytes, and nothing only at the end."""
		if self._place == len(self._piece):
			self._piece, self._place = next(self._pieces, b""), 0
		data = self._piece[self._place : self._place + size]
		self._place += len(data)
		self.ending = (self.ending + data[-TAR_END_BYTES:])[-TAR_END_BYTES:]
		return data
