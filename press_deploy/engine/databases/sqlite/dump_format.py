"""A copy of an SQLite file, packed or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import DumpHead, scratch_file
from press_deploy.engine.databases.dumps.facts import Expectation
from press_deploy.engine.databases.sqlite.file_check import (
	MAGIC,
	WAL_DOUBT,
	check_file,
	may_lack_log,
	refuse_journal,
)

NAME, TITLE = "sqlite", "SQLite"
# A run's own copy was made by SQLite itself.
SETTLED_DOUBTS = (WAL_DOUBT,)


def recognise(head: bytes, comments: str) -> DumpHead | None:
	return DumpHead(NAME) if head.startswith(MAGIC) else None


def check_head(found: DumpHead, head: bytes, expected: Expectation) -> None:
	"""Its header is checked with the whole file."""


def read(chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, Any]:
	if compression is None:
		refuse_journal(path)
		for _chunk in chunks:
			pass
		return {"tables": check_file(path)}
	with scratch_file(path) as scratch:
		for chunk in chunks:
			scratch.write(chunk)
		scratch.flush()
		return {"tables": check_file(Path(scratch.name))}


def find_doubts(
	found: DumpHead, head: bytes, path: Path, compression: str | None, tables: Mapping[str, int]
) -> Iterator[str]:
	if may_lack_log(head, path, compression is not None):
		yield WAL_DOUBT
