"""Files that begin as no dump are told apart, each with what to do about it."""

from __future__ import annotations

import bz2
import lzma
from pathlib import Path

import pytest

from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from tests.support.dumps import pack_gzip, pack_zstd, write_dump

DUMP = write_dump({"tabOrder": 3})
WITHOUT_COMMENTS = b"".join(line for line in DUMP.splitlines(keepends=True) if not line.startswith(b"--"))
SANDBOX = DUMP[: DUMP.index(b"\n") + 1]
FOREIGN = {
	"bzip2": (bz2.compress(DUMP), "kind", "packed with bzip2 → unpack"),
	"xz": (lzma.compress(DUMP), "kind", "packed with xz → unpack"),
	"packed twice": (pack_gzip(pack_zstd(DUMP)), "kind", "→ unpack that, and prove what comes out"),
	"encrypted by Frappe": (b"\x8c\x0d\x04\x09\x03\x02" + bytes(range(99)), "kind", "backup_encryption_key"),
	"XML": (b'<?xml version="1.0"?>\n<mysqldump xmlns:xsi="a">\n', "kind", "without --xml"),
	"UTF-16": (DUMP.decode().encode("utf-16"), "encoding", "UTF-16, as PowerShell"),
	"a byte order mark": (b"\xef\xbb\xbf" + DUMP, "encoding", "--result-file"),
	"--skip-comments": (WITHOUT_COMMENTS, "closing line", "--compact and --skip-comments leave out both"),
	"--compact": (SANDBOX + b"CREATE TABLE `a` (b int);\n", "closing line", "dump again without them"),
	"an older --compact": (
		b"\n/*!40101 SET @a = @@character_set_client */;\n",
		"closing line",
		"without them",
	),
	"data alone": (b"INSERT INTO `a` VALUES ('-- Dump completed\n');\n", "closing line", "without them"),
	"pg_dump --format=custom": (b"PGDMP\x01\x0e" + bytes(99), "kind", "dump again as plain SQL"),
	"phpMyAdmin": (b"-- phpMyAdmin SQL Dump\n-- version 5\n", "kind", "does not begin as one"),
}


@pytest.mark.parametrize("content,check,words", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("pack", [bytes, pack_gzip], ids=["plain", "gzip"])
def test_each_foreign_file_is_told_what_it_is(
	tmp_path: Path, content: bytes, check: str, words: str, pack: type[bytes]
) -> None:
	path = tmp_path / "dump.sql"
	path.write_bytes(pack(content))
	with pytest.raises(DamagedFile) as caught:
		check_dump(path)
	assert caught.value.check == check and words in str(caught.value)
