"""A dump of PostgreSQL, as plain SQL: whole when its closing line is there. What stands in it is not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import DamagedFile, DumpHead, find_frappes_words
from press_deploy.engine.databases.dumps.facts import Expectation

NAME, TITLE = "postgresql", "PostgreSQL"
SETTLED_DOUBTS: tuple[str, ...] = ()
TAIL_BYTES = 4096
# The first bytes of `pg_dump --format=custom`.
ARCHIVE_MAGIC = b"PGDMP"
CLOSING_LINE = b"\n-- PostgreSQL database dump complete\n"
_BANNER = re.compile(r"^-- PostgreSQL database dump$", re.M)


def recognise(head: bytes, comments: str) -> DumpHead | None:
	if not head.startswith(ARCHIVE_MAGIC) and not _BANNER.search(comments):
		return None
	frappe, partial = find_frappes_words(comments)
	return DumpHead(NAME, frappe_version=frappe, partial=partial)


def check_head(found: DumpHead, head: bytes, expected: Expectation) -> None:
	if head.startswith(ARCHIVE_MAGIC):
		raise DamagedFile(
			"kind",
			"it is an archive of pg_dump --format=custom, which ends without a mark: whether it is whole can't be seen "
			"→ dump again as plain SQL",
		)


def read(chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, Any]:
	tail = b""
	for chunk in chunks:
		tail = (tail + chunk)[-TAIL_BYTES:]
	if CLOSING_LINE not in tail:
		raise DamagedFile(
			"closing line", "its closing line “PostgreSQL database dump complete” is missing: it was cut off"
		)
	return {}


def find_doubts(
	found: DumpHead, head: bytes, path: Path, compression: str | None, tables: Mapping[str, int]
) -> Iterator[str]:
	return iter(())
