"""Backups: each way in which one can be broken is found before the deployment begins."""

import gzip
import io
import json
import random
import sqlite3
import tarfile
from types import SimpleNamespace

import pytest

from press_deploy.engine import backup
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.file_copy import hash_file

ROWS = b"".join(b"INSERT INTO `tabOrder` VALUES (%d,'%d');\n" % (n, n * 7919 % 10007) for n in range(3000))
DUMP = b"-- MariaDB dump\n" + ROWS + b"-- Dump completed on 2030-01-01  3:00:00\n"
POSTGRES = (
	b"--\n-- PostgreSQL database dump\n--\n" + ROWS + b"--\n-- PostgreSQL database dump complete\n--\n\n"
)


def make_tar(mode="w", files=3, size=3000):
	stream = io.BytesIO()
	content = random.Random(1).randbytes(size)
	with tarfile.open(fileobj=stream, mode=mode) as archive:
		for number in range(files):
			member = tarfile.TarInfo(f"files/{number}.bin")
			member.size = size
			archive.addfile(member, io.BytesIO(content))
	return stream.getvalue()


def flip(content, place):
	return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


@pytest.fixture
def sqlite_file(tmp_path):
	path = tmp_path / "site.db"
	with sqlite3.connect(path) as database:
		database.execute("CREATE TABLE a (b TEXT)")
		database.executemany("INSERT INTO a VALUES (?)", [("x" * 500,)] * 100)
	database.close()
	return path.read_bytes()


def put(directory, content, kind="database", name="site-database.sql.gz"):
	directory.mkdir(exist_ok=True)
	(directory / name).write_bytes(content)
	files = [{"kind": kind, "path": str(directory / name)}]
	(directory / "made.json").write_text(json.dumps({"files": files}))
	return directory


def packed(content):
	return gzip.compress(content, mtime=0)


TAR, TGZ = make_tar(), make_tar("w:gz")
GOOD = {
	"a packed dump": (packed(DUMP), "database", "a.sql.gz"),
	"a plain dump": (DUMP, "database", "a.sql"),
	"a PostgreSQL dump": (packed(POSTGRES), "database", "a.sql.gz"),
	"a short dump": (b"-- x\n-- Dump completed\n", "database", "a.sql"),
	"a tar": (TAR, "public_files", "a.tar"),
	"a packed tar": (TGZ, "private_files", "a.tgz"),
	"a tar of nothing": (make_tar(files=0), "public_files", "a.tar"),
	"a configuration": (b'{"db_name": "x"}', "config", "a.json"),
}
LAST_MEMBER = 512 + 3072
BROKEN = {
	"empty": b"",
	"a gzip of nothing": packed(b""),
	"cut inside the gzip": packed(DUMP)[:-3000],
	"cut in the checksum": packed(DUMP)[:-4],
	"cut between two statements": packed(b"-- MariaDB dump\n" + ROWS),
	"cut inside a statement": packed(DUMP[:-300]),
	"a closing line in a row": packed(
		b"-- x\n" + ROWS + b"INSERT INTO `a` VALUES ('-- Dump completed on');\n"
	),
	"a closing line in a row, first of all": packed(b"INSERT INTO `a` VALUES ('\\n-- Dump completed on');\n"),
	"a closing line long before the end": packed(DUMP + ROWS),
	"a flipped byte": flip(packed(DUMP), 2000),
	"a flipped byte of the checksum": flip(packed(DUMP), len(packed(DUMP)) - 7),
	"rubbish behind it": packed(DUMP) + b"rubbish",
	"no gzip": DUMP[:-300],
	"NUL bytes": bytes(5000),
}
BROKEN_TARS = {
	"empty": b"",
	"rubbish": b"rubbish" * 1000,
	"NUL bytes": bytes(100),
	"cut inside a file": TAR[:1000],
	"cut between two files": TAR[: 2 * LAST_MEMBER],
	"cut before its end mark": TAR[: 3 * LAST_MEMBER],
	"cut inside its end mark": TAR[: 3 * LAST_MEMBER + 512],
	"a flipped byte in a header": flip(TAR, 5),
	"a packed one cut": TGZ[:-2000],
	"a packed one cut in the checksum": TGZ[:-4],
	"a packed one with a flipped byte": flip(TGZ, 2000),
	"a packed one with a flipped byte of the checksum": flip(TGZ, len(TGZ) - 7),
	"a gzip of nothing": packed(b""),
}


@pytest.mark.parametrize("content,kind,name", GOOD.values(), ids=GOOD)
def test_a_whole_backup_gets_a_manifest(tmp_path, content, kind, name):
	manifest = backup.verify(put(tmp_path / "backup", content, kind, name))
	(file,) = manifest["files"]
	assert (file["name"], file["kind"], file["size"]) == (name, kind, len(content))
	assert file["sha256"] == hash_file(tmp_path / "backup" / name) and backup.is_verified(tmp_path / "backup")
	assert backup.total_size(manifest) == len(content)


def refuse(directory):
	with pytest.raises(StepFailed) as caught:
		backup.verify(directory)
	assert str(directory) in caught.value.what and caught.value.why and caught.value.remedy
	assert not backup.is_verified(directory) and not (directory / backup.MANIFEST).exists()


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_dump_gets_none(tmp_path, content):
	refuse(put(tmp_path / "backup", content))


@pytest.mark.parametrize("content", BROKEN_TARS.values(), ids=BROKEN_TARS)
def test_a_broken_archive_gets_none(tmp_path, content):
	name = "files.tgz" if content[:2] == backup.GZIP_MAGIC else "files.tar"
	refuse(put(tmp_path / "backup", content, "public_files", name))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"a": 1'])
def test_a_broken_configuration_gets_none(tmp_path, content):
	refuse(put(tmp_path / "backup", content, "config", "site_config.json"))


def test_a_file_that_is_missing_gets_none(tmp_path):
	directory = put(tmp_path / "backup", DUMP)
	(directory / "site-database.sql.gz").unlink()
	refuse(directory)


@pytest.mark.parametrize("pack", [packed, bytes], ids=["packed", "plain"])
def test_a_sqlite_database_has_the_size_that_its_header_says(tmp_path, sqlite_file, pack):
	name = "site.db.gz" if pack is packed else "site.db"
	backup.verify(put(tmp_path / "good", pack(sqlite_file), name=name))
	refuse(put(tmp_path / "cut", pack(sqlite_file[:-4096]), name=name))
	refuse(put(tmp_path / "head", pack(sqlite_file[:100]), name=name))


@pytest.mark.parametrize(
	"spoil",
	[
		lambda directory: (directory / "site-database.sql.gz").unlink(),
		lambda directory: (directory / "site-database.sql.gz").write_bytes(b"x"),
		lambda directory: (directory / backup.MANIFEST).unlink(),
		lambda directory: (directory / backup.MANIFEST).write_text('{"files": []}'),
	],
	ids=["file gone", "file shorter", "manifest gone", "nothing in the manifest"],
)
def test_what_was_verified_and_spoiled_is_verified_no_more(tmp_path, spoil):
	directory = put(tmp_path / "backup", packed(DUMP))
	backup.verify(directory)
	assert backup.is_verified(directory)
	spoil(directory)
	assert not backup.is_verified(directory)


@pytest.fixture
def verified(tmp_path):
	directory = put(tmp_path / "backup", packed(DUMP))
	backup.verify(directory)
	return directory


def test_a_copy_is_whole_private_and_known(verified, tmp_path):
	target = tmp_path / "safe" / "run" / "site"
	assert not backup.is_copied(verified, target)
	backup.copy_to(verified, target)
	backup.copy_to(verified, target)
	assert backup.is_copied(verified, target) and backup.database_file(target).read_bytes() == packed(DUMP)
	assert {file.stat().st_mode & 0o077 for file in target.iterdir()} == {0}


@pytest.mark.parametrize("spoil", ["unlink", "write_bytes"])
def test_a_copy_that_lost_a_file_is_none(verified, tmp_path, spoil):
	backup.copy_to(verified, tmp_path / "safe")
	getattr(backup.database_file(tmp_path / "safe"), spoil)(*([b"x"] if spoil == "write_bytes" else []))
	assert not backup.is_copied(verified, tmp_path / "safe")


def test_a_copy_that_differs_is_refused(verified, tmp_path, monkeypatch):
	monkeypatch.setattr(backup.shutil, "copyfileobj", lambda source, output, _length: output.write(b"other"))
	with pytest.raises(StepFailed, match="differs from the backup"):
		backup.copy_to(verified, tmp_path / "safe")
	assert not backup.is_copied(verified, tmp_path / "safe")


@pytest.mark.parametrize(
	"kinds,partial,with_files,complete",
	[
		(["database", "config"], False, False, True),
		(["database", "config", "public_files", "private_files"], False, True, True),
		(["database", "config"], False, True, False),
		(["config"], False, False, False),
		([], False, False, False),
		(["database", "config"], True, False, False),
	],
)
def test_a_backup_without_one_of_its_parts_is_none(tmp_path, kinds, partial, with_files, complete):
	made = {"files": [{"kind": kind, "path": "x"} for kind in kinds], "partial": partial}
	context = SimpleNamespace(site_processes=SimpleNamespace(call=lambda *_a, **_k: made))
	(tmp_path / "backup").mkdir()
	(tmp_path / "backup" / "left by a killed run").write_text("")
	if complete:
		backup.make(context, "site", tmp_path / "backup", with_files=with_files)
		assert [file.name for file in (tmp_path / "backup").iterdir()] == ["made.json"]
	else:
		with pytest.raises(StepFailed, match="not complete"):
			backup.make(context, "site", tmp_path / "backup", with_files=with_files)
