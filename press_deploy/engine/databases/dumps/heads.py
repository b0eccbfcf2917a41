"""Which dump a file is, told by its first bytes."""

from __future__ import annotations

from pathlib import Path

from press_deploy.engine.databases.dumps.dump_file import HEAD_BYTES, UNKNOWN, DumpHead, unpack
from press_deploy.engine.databases.engines import FORMATS


def read_head(path: Path) -> DumpHead:
	"""What a dump is and says of itself, from its first bytes. Raises `DamagedFile` and `OSError`."""
	head = b""
	for chunk in unpack(path):
		head += chunk
		if len(head) >= HEAD_BYTES:
			break
	return parse_head(head[:HEAD_BYTES])


def parse_head(head: bytes) -> DumpHead:
	"""The same, of bytes that were read already."""
	# What comes after the first statement is data, where anything may stand.
	comments = head.partition(b"\nCREATE ")[0].partition(b"\nINSERT ")[0].decode("utf-8", "replace")
	recognised = (known.recognise(head, comments) for known in FORMATS)
	return next((found for found in recognised if found), DumpHead(UNKNOWN))
