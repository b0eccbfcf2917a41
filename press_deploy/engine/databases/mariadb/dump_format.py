"""A dump of MariaDB or MySQL, as SQL: every statement in it is read and understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import DamagedFile, DumpHead, find, find_frappes_words
from press_deploy.engine.databases.dumps.facts import Expectation, is_newer
from press_deploy.engine.databases.dumps.foreign_heads import REWRITTEN
from press_deploy.engine.databases.mariadb.sql.scan import SqlScanner

NAME, TITLE = "mariadb", "MariaDB"
SETTLED_DOUBTS: tuple[str, ...] = ()
# mariadb-dump on Windows writes such lines to a file that the shell opens, and some programs when they copy text.
_WINDOWS_LINE = re.compile(rb"^--[^\n]*\r$", re.MULTILINE)
NO_ROWS_DOUBT = "None of its tables has a row, as in a dump that was made with --no-data."
# Of all text, these lose nothing.
_WHOLE_CHARACTER_SETS = {"utf8mb4", "binary"}
# Written by mysqldump and mariadb-dump; the name of a database may hold anything but a line break.
_BANNER = re.compile(r"^-- (?:MariaDB|MySQL) dump ", re.M)
_DATABASE = re.compile(r"^-- Host: .*?\s+Database: (.+)$", re.M)
_SERVER = re.compile(r"^-- Server version\s+(\S+)", re.M)
_NAMES = re.compile(r"^/\*!\d{5} SET NAMES (\w+) \*/;$", re.M)


def recognise(head: bytes, comments: str) -> DumpHead | None:
	if not _BANNER.search(comments):
		return None
	frappe, partial = find_frappes_words(comments)
	return DumpHead(
		NAME, find(_DATABASE, comments), find(_SERVER, comments), frappe, partial, find(_NAMES, comments)
	)


def check_head(found: DumpHead, head: bytes, expected: Expectation) -> None:
	if _WINDOWS_LINE.search(head.partition(b"\nCREATE ")[0].partition(b"\nINSERT ")[0]):
		raise DamagedFile(
			"line ends",
			"its lines end with CR LF, as on Windows, and those of a dump with LF: it was changed when it was written or "
			f"copied → {REWRITTEN}",
		)
	check_server_version(found.server_version, expected.server_version)


def check_server_version(version: str | None, here: str | None) -> None:
	"""Refuse a dump of a newer MariaDB (major or minor version) than the one here. Raises `DamagedFile`."""
	both_mariadb = version and here and "mariadb" in version.lower() and "mariadb" in here.lower()
	if both_mariadb and is_newer(version, here, 2):
		raise DamagedFile("server version", f"it was made by {version}, newer than the server here, {here}")


def read(chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, Any]:
	scanner = SqlScanner()
	for chunk in chunks:
		scanner.feed(chunk)
	scanner.finish()
	objects = {kind: sorted(names) for kind, names in scanner.objects.items()}
	return {
		**{"tables": scanner.rows, "objects": objects, "historic": sorted(scanner.historic)},
		"longest_statement": scanner.longest_statement,
	}


def find_doubts(
	found: DumpHead, head: bytes, path: Path, compression: str | None, tables: Mapping[str, int]
) -> Iterator[str]:
	if not any(tables.values()):
		yield NO_ROWS_DOUBT
	if found.character_set not in _WHOLE_CHARACTER_SETS:
		known = f"is {found.character_set}" if found.character_set else "is not named in it"
		yield (
			f"The character set that it was written with {known}: characters that are not in it (as emoji are not in utf8) "
			"would stand in it as “?”, and that can't be seen (mariadb-dump --default-character-set=utf8mb4 keeps them)."
		)
