"""What a dump file is, told by its content: how it is packed, of which database, and what it says of itself.

Invariant: a packed file is read as whole only when each of its streams ended as it should and nothing follows,
and a stream that carries no checksum is said to have none; its name is never believed.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import zstandard

from press_deploy.engine.ground.progress import Progress

# Packed bytes read at once: what they unpack to stays small in memory.
PACKED_CHUNK_BYTES = 1 << 16
PLAIN_CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
# The kind of a file that is no dump of any format.
UNKNOWN = "unknown"
_MAGICS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
# Frames of zstd that hold no content: pzstd writes one before each other, programs for seeking one at the end.
# (RFC 8878, 3.1.2: their first byte is 0x50 to 0x5f.) And of all others, the flag for a checksum (3.1.1.1.1.5).
_SKIPPED_MAGIC = b"\x2a\x4d\x18"
_SKIPPED = re.compile(rb"[\x50-\x5f]" + re.escape(_SKIPPED_MAGIC))
_FLAGS_AT, _CHECKSUM_FLAG = 4, 1 << 2


class DamagedFile(ValueError):
	"""A file is not what its writer wrote, or is no dump; `check` names the check that found it."""

	def __init__(self, check: str, why: str):
		self.check = check
		super().__init__(why)


class Digest(Protocol):
	"""A hash of hashlib."""

	def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True)
class DumpHead:
	"""What the first lines of a dump say; None where they say nothing."""

	kind: str  # the name of its format, or UNKNOWN
	database: str | None = None
	server_version: str | None = None
	frappe_version: str | None = None
	# Frappe leaves tables out where the site's configuration says so, and says it here.
	partial: bool = False
	# The character set in which it was written.
	character_set: str | None = None


def find_compression(path: Path) -> str | None:
	"""`gzip`, `zstd`, or None for a file that is not packed. Raises `DamagedFile` and `OSError`."""
	if path.exists() and not path.is_file():
		raise DamagedFile(
			"kind",
			"it is no file but a directory, pipe or device, and is to be read more than once: copy it to a file",
		)
	with path.open("rb") as file:
		start = file.read(4)
	if _SKIPPED.match(start):
		return "zstd"
	return next((name for name, magic in _MAGICS.items() if start.startswith(magic)), None)


def unpack(
	path: Path,
	progress: Progress | None = None,
	digest: Digest | None = None,
	say_unchecked: Callable[[], None] | None = None,
) -> Iterator[bytes]:
	"""The content of a file, unpacked, in pieces. Progress counts, and `digest` sees, the file's own bytes.

	`say_unchecked` is called for each packed stream that has no checksum. Raises `DamagedFile` and `OSError`.
	"""
	compression, size, done = find_compression(path), path.stat().st_size, 0
	unpacker = _Unpacker(compression, say_unchecked) if compression else None
	with path.open("rb") as file:
		while packed := file.read(PACKED_CHUNK_BYTES if unpacker else PLAIN_CHUNK_BYTES):
			done += len(packed)
			if digest:
				digest.update(packed)
			yield from unpacker.feed(packed) if unpacker else (packed,)
			if progress:
				progress(done, size)
	if unpacker:
		unpacker.finish()


class _Unpacker:
	"""Unpacks one or more streams that follow each other, and says how a file that isn't whole is damaged."""

	def __init__(self, compression: str, say_unchecked: Callable[[], None] | None):
		self._compression, self._say_unchecked = compression, say_unchecked
		self._stream: Any = None
		# How this stream begins.
		self._start = b""

	def feed(self, packed: bytes) -> Iterator[bytes]:
		while packed:
			if self._stream is None:
				self._begin(packed)
			self._start += packed[: _FLAGS_AT + 1 - len(self._start)]
			try:
				content = self._stream.decompress(packed)
			except (zlib.error, zstandard.ZstdError) as error:
				raise DamagedFile("compression", self._words(error)) from None
			if content:
				yield content
			packed = b""
			if self._stream.eof:
				packed, self._stream = self._stream.unused_data, None
				self._end()

	def finish(self) -> None:
		if self._stream is not None:
			raise DamagedFile("compression", f"its {self._compression} stream ends too early: it was cut off")

	def _end(self) -> None:
		is_checked = self._compression == "gzip" or self._start[_FLAGS_AT] & _CHECKSUM_FLAG
		if self._say_unchecked and not is_checked and not _SKIPPED.match(self._start):
			self._say_unchecked()

	def _begin(self, packed: bytes) -> None:
		# A magic number that is itself cut, at the end of a piece or of the file, is a stream that was begun.
		magic, self._start = _MAGICS[self._compression], b""
		if self._compression == "zstd" and b"\x50" <= packed[:1] <= b"\x5f":
			magic = packed[:1] + _SKIPPED_MAGIC
		if packed[: len(magic)] != magic[: len(packed)]:
			raise DamagedFile(
				"compression", f"something that is not part of it follows its {self._compression} stream"
			)
		is_gzip = self._compression == "gzip"
		self._stream = zlib.decompressobj(31) if is_gzip else zstandard.ZstdDecompressor().decompressobj()

	def _words(self, error: Exception) -> str:
		return f"its {self._compression} stream is damaged, bytes in it were changed ({error})"


def scratch_file(beside: Path) -> IO[bytes]:
	"""A file for as long as it is open, on the same disk where that can be written to."""
	try:
		return tempfile.NamedTemporaryFile(dir=beside.parent, prefix=".prove-")
	except OSError:
		return tempfile.NamedTemporaryFile(prefix=".prove-")


def find_frappes_words(comments: str) -> tuple[str | None, bool]:
	"""What Frappe writes before a dump as SQL: its own version, and whether it left tables out."""
	return find(_FRAPPE, comments), "\n-- Partial Backup of Frappe Site " in comments


def find(pattern: re.Pattern[str], text: str) -> str | None:
	"""The pattern's first group in a dump's comments."""
	found = pattern.search(text)
	return found.group(1) if found else None


# By Frappe, before the dump itself: since version 15 as a small section of its own.
_FRAPPE = re.compile(
	r"\A(?:-- Backup generated by Frappe |-- begin frappe metadata\n-- \[frappe\]\n-- version = )(\S+)"
)
