"""The file of a physical backup: the stream format `mbstream`, packed with zstd; read, checked and unpacked.

A stream is a row of chunks: magic, flags, kind, path; a chunk with data also has its length, its place in the
file and a CRC-32; each file ends with a chunk of its own (MariaDB's sources: extra/mariabackup/xbstream.h).
We add one small file to the end, `press_deploy.json`, which says whose backup it is.

Invariant: a stream is read as whole only when every byte of every file was there with a right checksum, each
file was ended, and nothing in it has a place outside the directory it is unpacked into.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import zstandard

from press_deploy.engine.databases.mariadb.part_file import open_private
from press_deploy.engine.ground.progress import Progress

MAGIC = b"XBSTCK01"
LABEL = "press_deploy.json"
# Newer versions write the second name. It is written last of all, when everything else is there.
INFO_FILES = ("xtrabackup_info", "mariadb_backup_info")
DATA, END = b"P", b"E"
_HEAD = struct.Struct("<8sBcI")
_BODY = struct.Struct("<QQI")
# The program's own chunks have 10 MB.
PACKED_BYTES = 1 << 18
LARGEST_CHUNK, LONGEST_PATH = 64 << 20, 512
_PATH = re.compile(r"(?!\.\.?(?:/|$))[^/\0]+(?:/(?!\.\.?$)[^/\0]+)?")


class DamagedStream(ValueError):
	"""It is not what its writer wrote, or not a stream at all; `check` names the check that found it."""

	def __init__(self, check: str, why: str):
		self.check = check
		super().__init__(why)


@dataclass(frozen=True)
class Chunk:
	"""A piece of one file; `data` is None for the chunk that ends it."""

	path: str
	offset: int
	data: bytes | None


@dataclass
class Content:
	"""What a stream holds: its files with their sizes, and the label when it was read."""

	sizes: dict[str, int] = field(default_factory=dict)
	ended: set[str] = field(default_factory=set)
	label: dict[str, Any] = field(default_factory=dict)

	def tables_of(self, directory: str) -> set[str]:
		"""Names of tables and views in a database's directory, encoded as file names are."""
		prefix = f"{directory}/"
		return {
			path.removeprefix(prefix).removesuffix(".frm")
			for path in self.sizes
			if path.startswith(prefix) and path.endswith(".frm")
		}


def read_stream(path: Path, directory: Path | None = None, progress: Progress | None = None) -> Content:
	"""Read a file to its end and check it; with `directory`, which is empty, unpack it there.

	Progress counts bytes of the file. Raises `DamagedStream` and `OSError`.
	"""
	content, files = Content(), _Files(directory)
	try:
		for chunk in _read_chunks(_Reader(_unpack(path, progress))):
			_take(content, chunk)
			files.write(chunk)
	finally:
		files.close()
	_check_complete(content)
	return content


def list_tables(stream: Iterator[bytes], directory: str) -> set[str]:
	"""The tables in a database's directory, from a stream that passes by, drawn to its end; no data is checked."""
	content, reader = Content(), _Reader(stream)
	while head := _read_head(reader):
		kind, path = head
		if kind == DATA:
			length, _, _ = _BODY.unpack(reader.read(_BODY.size))
			reader.skip(length)
		content.sizes[path] = 0
	return content.tables_of(directory)


def make_label(label: dict[str, Any]) -> bytes:
	"""The file that says whose backup it is, as a piece of the stream; the last thing in one of ours."""
	data, name = json.dumps(label, ensure_ascii=False).encode(), LABEL.encode()
	return (
		_HEAD.pack(MAGIC, 0, DATA, len(name)) + name
		+ _BODY.pack(len(data), 0, zlib.crc32(data)) + data
		+ _HEAD.pack(MAGIC, 0, END, len(name)) + name
	)  # fmt: skip


def _unpack(path: Path, progress: Progress | None) -> Iterator[bytes]:
	size, done = path.stat().st_size, 0
	if not size:
		raise DamagedStream("size", "the file is empty")
	unpacker = zstandard.ZstdDecompressor().decompressobj()
	with path.open("rb") as file:
		while packed := file.read(PACKED_BYTES):
			if unpacker.eof:
				raise DamagedStream("packing", "something follows after its end; the file is damaged")
			try:
				yield unpacker.decompress(packed)
			except zstandard.ZstdError as error:
				raise DamagedStream(*_tell_unpacking(packed, done, error)) from error
			done += len(packed)
			if progress:
				progress(done, size)
	if not unpacker.eof:
		raise DamagedStream("end", "its packed data has no end; the file was cut off")
	if unpacker.unused_data:
		raise DamagedStream("packing", "something follows after its end; the file is damaged")


def _tell_unpacking(packed: bytes, place: int, error: zstandard.ZstdError) -> tuple[str, str]:
	if not place and not packed.startswith(zstandard.FRAME_HEADER):
		return "kind", "it is not a physical backup (no mbstream packed with zstd)"
	return "packing", f"it can't be unpacked behind byte {place} ({error}); the file is damaged"


class _Reader:
	"""Reads pieces of wanted length from a stream that comes in others."""

	def __init__(self, stream: Iterator[bytes]):
		self._stream, self._rest = stream, memoryview(b"")
		self.offset = 0

	def read(self, length: int) -> bytes:
		"""Exactly `length` bytes. Raises `DamagedStream` when there are fewer."""
		pieces = list(self._take(length))
		return pieces[0].tobytes() if len(pieces) == 1 else b"".join(pieces)

	def skip(self, length: int) -> None:
		for _ in self._take(length):
			pass

	def is_at_end(self) -> bool:
		while not self._rest:
			data = next(self._stream, None)
			if data is None:
				return True
			self._rest = memoryview(data)
		return False

	def _take(self, length: int) -> Iterator[memoryview]:
		while length:
			if self.is_at_end():
				raise DamagedStream(
					"end", f"it ends within a piece of a file, at byte {self.offset} unpacked; it was cut off"
				)
			piece, self._rest = self._rest[:length], self._rest[length:]
			self.offset, length = self.offset + len(piece), length - len(piece)
			yield piece


def _read_chunks(reader: _Reader) -> Iterator[Chunk]:
	while head := _read_head(reader):
		kind, path = head
		if kind == END:
			yield Chunk(path, 0, None)
			continue
		length, offset, checksum = _BODY.unpack(reader.read(_BODY.size))
		if length > LARGEST_CHUNK:
			raise DamagedStream("structure", f"a piece of {path} claims {length} bytes; the file is damaged")
		data = reader.read(length)
		if zlib.crc32(data) != checksum:
			raise DamagedStream(
				"checksum", f"the checksum of {path} at byte {offset} is wrong; the file is damaged"
			)
		yield Chunk(path, offset, data)


def _read_head(reader: _Reader) -> tuple[bytes, str] | None:
	"""Kind and path of the next chunk; None at the end of the stream."""
	if reader.is_at_end():
		return None
	place = reader.offset
	magic, _, kind, length = _HEAD.unpack(reader.read(_HEAD.size))
	if magic != MAGIC and not place:
		raise DamagedStream("kind", "it is not a physical backup (no mbstream in it)")
	if magic != MAGIC or kind not in (DATA, END) or not 0 < length <= LONGEST_PATH:
		raise DamagedStream(
			"structure", f"at byte {place} unpacked no piece of a file begins; the file is damaged"
		)
	path = reader.read(length).decode("utf-8", "replace")
	if not _PATH.fullmatch(path):
		raise DamagedStream("structure", f"it holds a file named {path!r}, which no backup has")
	return kind, path


def _take(content: Content, chunk: Chunk) -> None:
	"""Pieces of a file follow each other without a gap, and none comes after its end."""
	expected = content.sizes.get(chunk.path, 0)
	if chunk.path in content.ended or (chunk.data is not None and chunk.offset != expected):
		raise DamagedStream(
			"structure", f"a piece of {chunk.path} is missing or out of place; the file is damaged"
		)
	content.sizes[chunk.path] = expected + len(chunk.data or b"")
	if chunk.data is None:
		content.ended.add(chunk.path)
	elif chunk.path == LABEL:
		content.label = _read_label(chunk.data)


def _read_label(data: bytes) -> dict[str, Any]:
	try:
		label = json.loads(data)
	except ValueError:
		label = None
	if not isinstance(label, dict) or not {"database", "directory", "objects", "version"} <= label.keys():
		raise DamagedStream("label", f"{LABEL} in it can't be read")
	return label


def _check_complete(content: Content) -> None:
	unfinished = sorted(content.sizes.keys() - content.ended)
	if unfinished:
		raise DamagedStream("end", f"it ends before the end of {', '.join(unfinished[:3])}; it was cut off")
	if not content.sizes.keys() & set(INFO_FILES):
		raise DamagedStream("end", f"it ends before {INFO_FILES[0]}, which is written last; it was cut off")
	if not content.label:
		raise DamagedStream("label", f"it ends before {LABEL}; it was cut off, or not made by press_deploy")


class _Files:
	"""The files being unpacked: several are open at a time, since their pieces are mixed."""

	def __init__(self, directory: Path | None):
		self._directory = directory
		self._open: dict[str, IO[bytes]] = {}

	def write(self, chunk: Chunk) -> None:
		if self._directory is None:
			return
		if chunk.data is None:
			self._find(chunk.path).close()
			del self._open[chunk.path]
		else:
			self._find(chunk.path).write(chunk.data)

	def close(self) -> None:
		for file in self._open.values():
			file.close()

	def _find(self, path: str) -> IO[bytes]:
		if path not in self._open:
			assert self._directory
			target = self._directory / path
			target.parent.mkdir(mode=0o700, exist_ok=True)
			self._open[path] = open(target, "xb", opener=open_private)
		return self._open[path]
