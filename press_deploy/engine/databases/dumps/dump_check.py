"""Rung 2 of one dump: is this file whole? It is read to its end once, and counted on the way.

Invariant: a dump passes only when its packing, its last line and every statement in it were seen and
understood; what no check can see (a changed byte in a file that has no checksum) is said.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from press_deploy.engine.databases.dumps.dump_file import (
	HEAD_BYTES,
	DamagedFile,
	DumpHead,
	find_compression,
	parse_head,
	unpack,
)
from press_deploy.engine.databases.dumps.foreign_heads import (
	REWRITTEN,
	explain_unknown,
	refuse_encoded,
	refuse_postgresql_archive,
)
from press_deploy.engine.databases.dumps.sql_scan import SqlScanner
from press_deploy.engine.databases.dumps.sqlite_check import (
	WAL_DOUBT,
	check_sqlite,
	may_lack_log,
	refuse_journal,
)
from press_deploy.engine.ground.progress import Progress, show_size

# A dump of less than this share of the last one has lost something, or somebody tidied up a great deal.
LEAST_SHARE = 0.5
TAIL_BYTES = 4096
# mariadb-dump on Windows writes such lines to a file that the shell opens, and some programs when they copy text.
_WINDOWS_LINE = re.compile(rb"^--[^\n]*\r$", re.MULTILINE)
UNCHECKED_DOUBT = (
	"It is packed by zstd without a checksum: bytes that were changed in it may not be seen "
	"(the program zstd adds one by itself)."
)
NO_ROWS_DOUBT = "None of its tables has a row, as in a dump that was made with --no-data."
# Of all text, these lose nothing.
_WHOLE_CHARACTER_SETS = {"utf8mb4", "binary"}
POSTGRESQL_CLOSING_LINE = b"\n-- PostgreSQL database dump complete\n"


@dataclass(frozen=True)
class DumpFacts:
	"""What is known of a whole dump. Sizes in bytes; `tables` holds the rows of each."""

	kind: str
	compression: str | None
	bytes: int
	read_bytes: int
	sha256: str
	tables: dict[str, int] = field(default_factory=dict)
	# Names by kind: views, triggers, procedures, functions, events, sequences.
	objects: dict[str, list[str]] = field(default_factory=dict)
	database: str | None = None
	server_version: str | None = None
	frappe_version: str | None = None
	# Of the statements that fill tables, in bytes.
	longest_statement: int = 0
	# Tables that were dumped with the rows they had once (--dump-history), which are counted too.
	historic: list[str] = field(default_factory=list)
	# What no check here could see, as sentences.
	doubts: list[str] = field(default_factory=list)

	def as_data(self) -> dict[str, Any]:
		return asdict(self)


@dataclass(frozen=True)
class Expectation:
	"""What a dump is measured against; None where nothing is known. `previous_size` in bytes of the file."""

	previous_size: int | None = None
	database: str | None = None
	server_version: str | None = None
	frappe_version: str | None = None


ANYTHING = Expectation()


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
	_check_head(parse_head(head), head, compression, expected)
	found = parse_head(head)
	read = _read(found, chunks, path, compression)
	tables = read.get("tables", {})
	if found.kind != "postgresql" and not tables:
		raise DamagedFile(
			"tables", "it holds no table at all: it was made of an empty database, or of the wrong one"
		)
	if expected.previous_size and size < LEAST_SHARE * expected.previous_size:
		raise DamagedFile(
			"size",
			f"it has {show_size(size)}, the backup before it had {show_size(expected.previous_size)}: "
			"less than half, so something is missing or was deleted",
		)
	doubts.update(dict.fromkeys(_find_doubts(found, head, path, compression, tables)))
	return DumpFacts(
		found.kind, compression, size, counter.size, digest.hexdigest(), database=found.database,
		server_version=found.server_version, frappe_version=found.frappe_version, doubts=list(doubts), **read,
	)  # fmt: skip


def _find_doubts(
	found: DumpHead, head: bytes, path: Path, compression: str | None, tables: dict[str, int]
) -> Iterator[str]:
	if found.kind == "sqlite" and may_lack_log(head, path, compression is not None):
		yield WAL_DOUBT
	if found.kind == "mariadb" and not any(tables.values()):
		yield NO_ROWS_DOUBT
	if found.kind == "mariadb" and found.character_set not in _WHOLE_CHARACTER_SETS:
		known = f"is {found.character_set}" if found.character_set else "is not named in it"
		yield (
			f"The character set that it was written with {known}: characters that are not in it (as emoji are not in utf8) "
			"would stand in it as “?”, and that can't be seen (mariadb-dump --default-character-set=utf8mb4 keeps them)."
		)


def is_newer(version: str | None, than: str | None, parts: int) -> bool:
	"""Whether the first numbers of a version are greater; False where one of them is not known."""
	numbers = [tuple(map(int, re.findall(r"\d+", text or "")[:parts])) for text in (version, than)]
	return all(numbers) and numbers[0] > numbers[1]


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
	if found.kind == "unknown":
		raise explain_unknown(head)
	refuse_postgresql_archive(head)
	if found.kind == "mariadb" and _WINDOWS_LINE.search(
		head.partition(b"\nCREATE ")[0].partition(b"\nINSERT ")[0]
	):
		raise DamagedFile(
			"line ends",
			"its lines end with CR LF, as on Windows, and those of a dump with LF: it was changed when it was written or "
			f"copied → {REWRITTEN}",
		)
	if found.partial:
		raise DamagedFile("completeness", "Frappe says in it that it is a partial backup")
	if expected.database and found.database and found.database != expected.database:
		raise DamagedFile(
			"database",
			f"it is a dump of database {found.database}, not of {expected.database}: another site's",
		)
	check_server_version(found.server_version, expected.server_version)
	if is_newer(found.frappe_version, expected.frappe_version, 3):
		raise DamagedFile(
			"Frappe version",
			f"it was made by Frappe {found.frappe_version}, newer than {expected.frappe_version} that is here",
		)


def check_server_version(version: str | None, here: str | None) -> None:
	"""Refuse a dump of a newer MariaDB (major or minor version) than the one here. Raises `DamagedFile`."""
	both_mariadb = version and here and "mariadb" in version.lower() and "mariadb" in here.lower()
	if both_mariadb and is_newer(version, here, 2):
		raise DamagedFile("server version", f"it was made by {version}, newer than the server here, {here}")


def _read(head: DumpHead, chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, Any]:
	"""What the content holds, as fields of `DumpFacts`."""
	if head.kind == "mariadb":
		scanner = SqlScanner()
		for chunk in chunks:
			scanner.feed(chunk)
		scanner.finish()
		objects = {kind: sorted(names) for kind, names in scanner.objects.items()}
		return {
			**{"tables": scanner.rows, "objects": objects, "historic": sorted(scanner.historic)},
			"longest_statement": scanner.longest_statement,
		}
	if head.kind == "sqlite":
		return {"tables": _read_sqlite(chunks, path, compression)}
	_read_postgresql(chunks)
	return {}


def _read_sqlite(chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, int]:
	if compression is None:
		refuse_journal(path)
		for _chunk in chunks:
			pass
		return check_sqlite(path)
	with scratch_file(path) as scratch:
		for chunk in chunks:
			scratch.write(chunk)
		scratch.flush()
		return check_sqlite(Path(scratch.name))


def scratch_file(beside: Path) -> IO[bytes]:
	"""A file for as long as it is open, on the same disk where that can be written to."""
	try:
		return tempfile.NamedTemporaryFile(dir=beside.parent, prefix=".prove-")
	except OSError:
		return tempfile.NamedTemporaryFile(prefix=".prove-")


def _read_postgresql(chunks: Iterator[bytes]) -> None:
	tail = b""
	for chunk in chunks:
		tail = (tail + chunk)[-TAIL_BYTES:]
	if POSTGRESQL_CLOSING_LINE not in tail:
		raise DamagedFile(
			"closing line", "its closing line “PostgreSQL database dump complete” is missing: it was cut off"
		)
