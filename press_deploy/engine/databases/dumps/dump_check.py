"""Rung 2 of one dump: is this file whole? It is read to its end once, and counted on the way.

Invariant: a dump passes only when its packing, its last line and every statement in it were seen and
understood; what no check can see (a changed byte in a file that has no checksum) is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from press_deploy.engine.databases.dumps.dump_file import (
	HEAD_BYTES,
	UNKNOWN,
	DamagedFile,
	DumpHead,
	find_compression,
	unpack,
)
from press_deploy.engine.databases.dumps.facts import ANYTHING, DumpFacts, Expectation, is_newer
from press_deploy.engine.databases.dumps.foreign_heads import explain_unknown, refuse_encoded
from press_deploy.engine.databases.dumps.heads import parse_head
from press_deploy.engine.databases.engines import format_of
from press_deploy.engine.ground.progress import Progress, show_size

# A dump of less than this share of the last one has lost something, or somebody tidied up a great deal.
LEAST_SHARE = 0.5
UNCHECKED_DOUBT = (
	"It is packed by zstd without a checksum: bytes that were changed in it may not be seen "
	"(the program zstd adds one by itself)."
)


def check_dump(
	path: Path, expected: Expectation = ANYTHING, *, progress: Progress | None = None
) -> DumpFacts:
	"""Read a dump to its end. Raises `DamagedFile`, which names the check that failed, and `OSError`."""
	size, compression = path.stat().st_size, find_compression(path)
	if not size:
		raise DamagedFile("size", "it is empty: whatever was to write it wrote nothing")
	digest, counter, doubts = hashlib.sha256(), _Counter(), dict[str, None]()
	chunks = counter.count(unpack(path, progress, digest, lambda: doubts.setdefault(UNCHECKED_DOUBT)))
	head, chunks = _peek(chunks)
	found = parse_head(head)
	_check_head(found, head, compression, expected)
	known = format_of(found.kind)
	read = known.read(chunks, path, compression)
	tables = read.get("tables")
	if tables is not None and not tables:
		raise DamagedFile(
			"tables", "it holds no table at all: it was made of an empty database, or of the wrong one"
		)
	if expected.previous_size and size < LEAST_SHARE * expected.previous_size:
		raise DamagedFile(
			"size",
			f"it has {show_size(size)}, the backup before it had {show_size(expected.previous_size)}: "
			"less than half, so something is missing or was deleted",
		)
	doubts.update(dict.fromkeys(known.find_doubts(found, head, path, compression, tables or {})))
	return DumpFacts(
		found.kind, compression, size, counter.size, digest.hexdigest(), database=found.database,
		server_version=found.server_version, frappe_version=found.frappe_version, doubts=list(doubts), **read,
	)  # fmt: skip


class _Counter:
	"""Counts bytes that pass."""

	size = 0

	def count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
		for chunk in chunks:
			self.size += len(chunk)
			yield chunk


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
	"""The first bytes, and an iterator that still yields everything."""
	taken: list[bytes] = []
	while sum(map(len, taken)) < HEAD_BYTES and (chunk := next(chunks, b"")):
		taken.append(chunk)

	def everything() -> Iterator[bytes]:
		yield from taken
		yield from chunks

	return b"".join(taken)[:HEAD_BYTES], everything()


def _check_head(found: DumpHead, head: bytes, compression: str | None, expected: Expectation) -> None:
	if not head:
		raise DamagedFile("size", f"it is a {compression} of nothing: the program before it wrote nothing")
	refuse_encoded(head)
	if found.kind == UNKNOWN:
		raise explain_unknown(head)
	format_of(found.kind).check_head(found, head, expected)
	if found.partial:
		raise DamagedFile("completeness", "Frappe says in it that it is a partial backup")
	if expected.database and found.database and found.database != expected.database:
		raise DamagedFile(
			"database",
			f"it is a dump of database {found.database}, not of {expected.database}: another site's",
		)
	if is_newer(found.frappe_version, expected.frappe_version, 3):
		raise DamagedFile(
			"Frappe version",
			f"it was made by Frappe {found.frappe_version}, newer than {expected.frappe_version} that is here",
		)
