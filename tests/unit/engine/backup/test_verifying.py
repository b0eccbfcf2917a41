"""Backups of a run: each way in which one can be broken is found before the deployment begins."""

import io
import json
import random
import sqlite3
import stat
import tarfile

import pytest

from press_deploy.engine.backup import verifying
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.dumps.facts import Expectation
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from tests.support.dumps import PACKINGS, flip, make_broken, pack_gzip, pack_zstd, write_dump

DUMP = write_dump(frappe_version="15.2.0")
POSTGRES = b"--\n-- PostgreSQL database dump\n--\n" + b"-- x\n" * 99
POSTGRES_END = b"--\n-- PostgreSQL database dump complete\n--\n\n"
EXPECTED = Expectation(database="shop", server_version="10.11.6-MariaDB", frappe_version="15.2.0")


def make_tar(mode="w", files=3, size=3000):
	stream = io.BytesIO()
	content = random.Random(1).randbytes(size)
	with tarfile.open(fileobj=stream, mode=mode) as archive:
		for number in range(files):
			member = tarfile.TarInfo(f"files/{number}.bin")
			member.size = size
			archive.addfile(member, io.BytesIO(content))
	return stream.getvalue()


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


TAR, TGZ = make_tar(), make_tar("w:gz")
GOOD = {
	"a packed dump": (pack_gzip(DUMP), "database", "a.sql.gz"),
	"a dump packed with zstd": (pack_zstd(DUMP), "database", "a.sql.zst"),
	"a plain dump": (DUMP, "database", "a.sql"),
	"a PostgreSQL dump": (pack_gzip(POSTGRES + POSTGRES_END), "database", "a.sql.gz"),
	"a dump of no rows": (write_dump({"tabNote": 0}), "database", "a.sql"),
	"a tar": (TAR, "public_files", "a.tar"),
	"a packed tar": (TGZ, "private_files", "a.tgz"),
	"a tar packed with zstd": (pack_zstd(TAR), "private_files", "a.tar.zst"),
	"a tar of nothing": (make_tar(files=0), "public_files", "a.tar"),
	"a large tar": (make_tar("w:gz", files=2, size=3_000_000), "public_files", "a.tgz"),
	"a configuration": (b'{"db_name": "x"}', "config", "a.json"),
	"an encrypted configuration": (b"gAAAAABl", "config", "a.json.encrypted"),
}
LAST_MEMBER = 512 + 3072
BROKEN = {
	f"{packing}, {name}": broken.content
	for packing, pack in PACKINGS.items()
	for name, broken in make_broken(DUMP, pack, packing).items()
} | {
	"a closing line in a row": pack_gzip(
		DUMP[: DUMP.rindex(b"-- Dump")] + b"INSERT INTO `a` VALUES ('-- Dump completed on');\n"
	),
	"a closing line in a row, first of all": pack_gzip(
		b"INSERT INTO `a` VALUES ('\\n-- Dump completed on');\n"
	),
	"a PostgreSQL dump cut off": pack_gzip(POSTGRES),
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
	"a packed one with something behind it": TGZ + b"rubbish",
	"a gzip of nothing": pack_gzip(b""),
}


@pytest.mark.parametrize("content,kind,name", GOOD.values(), ids=GOOD)
def test_a_whole_backup_gets_a_manifest(tmp_path, content, kind, name):
	directory = put(tmp_path / "backup", content, kind, name)
	manifest = verifying.verify(directory)
	(file,) = manifest["files"]
	assert (file["name"], file["kind"], file["size"]) == (name, kind, len(content))
	assert file["sha256"] == hash_file(directory / name) and backup_files.is_verified(directory)
	assert {stat.S_IMODE((directory / each).stat().st_mode) for each in (name, backup_files.MANIFEST)} == {
		0o600
	}
	assert Proof(directory).reached() is Rung.WHOLE


def test_what_was_seen_in_a_dump_is_kept_as_evidence(tmp_path):
	directory = put(tmp_path / "backup", pack_gzip(DUMP))
	verifying.verify(directory, EXPECTED)
	assert backup_files.database_file(directory) == directory / "site-database.sql.gz"
	facts = Proof(directory).facts(Rung.WHOLE)["site-database.sql.gz"]
	assert facts["tables"] == {"tabOrder": 3000, "tabNote": 0}
	assert (facts["database"], facts["frappe_version"]) == ("shop", "15.2.0")


def refuse(directory):
	with pytest.raises(StepFailed) as caught:
		verifying.verify(directory, EXPECTED)
	assert str(directory) in caught.value.what and caught.value.why and caught.value.remedy
	assert not backup_files.is_verified(directory) and not (directory / backup_files.MANIFEST).exists()
	assert Proof(directory).reached() is Rung.MADE
	assert "rung 2 (whole) failed" in Proof(directory).why_not(Rung.WHOLE)


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_dump_gets_none(tmp_path, content):
	refuse(put(tmp_path / "backup", content))


@pytest.mark.parametrize("content", BROKEN_TARS.values(), ids=BROKEN_TARS)
def test_a_broken_archive_gets_none(tmp_path, content):
	name = "files.tgz" if content[:2] == b"\x1f\x8b" else "files.tar"
	refuse(put(tmp_path / "backup", content, "public_files", name))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"a": 1'])
def test_a_broken_configuration_gets_none(tmp_path, content):
	refuse(put(tmp_path / "backup", content, "config", "site_config.json"))


def test_a_file_that_is_missing_gets_none(tmp_path):
	directory = put(tmp_path / "backup", DUMP)
	(directory / "site-database.sql.gz").unlink()
	refuse(directory)


def test_what_was_verified_and_is_broken_now_loses_its_manifest(tmp_path):
	directory = put(tmp_path / "backup", pack_gzip(DUMP))
	verifying.verify(directory)
	(directory / "site-database.sql.gz").write_bytes(pack_gzip(DUMP)[:-9])
	refuse(directory)


@pytest.mark.parametrize("pack", [pack_gzip, bytes], ids=["packed", "plain"])
def test_a_sqlite_database_has_the_size_that_its_header_says(tmp_path, sqlite_file, pack):
	name = "site.db.gz" if pack is pack_gzip else "site.db"
	verifying.verify(put(tmp_path / "good", pack(sqlite_file), name=name))
	refuse(put(tmp_path / "cut", pack(sqlite_file[:-4096]), name=name))
	refuse(put(tmp_path / "head", pack(sqlite_file[:100]), name=name))


@pytest.mark.parametrize(
	"spoil",
	[
		lambda directory: (directory / "site-database.sql.gz").unlink(),
		lambda directory: (directory / "site-database.sql.gz").write_bytes(b"x"),
		lambda directory: (directory / backup_files.MANIFEST).unlink(),
		lambda directory: (directory / backup_files.MANIFEST).write_text('{"files": []}'),
	],
	ids=["file gone", "file shorter", "manifest gone", "nothing in the manifest"],
)
def test_what_was_verified_and_spoiled_is_verified_no_more(tmp_path, spoil):
	directory = put(tmp_path / "backup", pack_gzip(DUMP))
	verifying.verify(directory)
	assert backup_files.is_verified(directory)
	spoil(directory)
	assert not backup_files.is_verified(directory)
