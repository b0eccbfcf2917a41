"""Tars as sources: members of every origin are found, and nothing in a hostile archive has an effect."""

import gzip
import io
import os
import tarfile

import pytest

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.site_files.archives import index_archives, map_member


def make_tar(path, *members, mode="w"):
	"""Members as (name, content) or (name, type, link)."""
	with tarfile.open(path, mode) as archive:
		for name, *rest in members:
			info = tarfile.TarInfo(name)
			if isinstance(rest[0], bytes) and len(rest) == 1:
				info.size = len(rest[0])
				archive.addfile(info, io.BytesIO(rest[0]))
			else:
				info.type, info.linkname = rest
				archive.addfile(info)
	return path


@pytest.mark.parametrize(
	("name", "path"),
	[
		("./shop/public/files/a", "public/files/a"),
		("shop/private/files/deep/a", "private/files/deep/a"),
		("public/files/a", "public/files/a"),
		("./private/files/./a", "private/files/a"),
		("home/frappe/bench/sites/shop/public/files/a", "public/files/a"),
		("shop/private/backups/a", None),
		("other/public/files/a", None),
		("public/files.txt", None),
	],
)
def test_members_of_every_origin_are_mapped(tmp_path, name, path):
	assert map_member(tmp_path, name, "shop") == path


@pytest.mark.parametrize(
	"name", ["/etc/passwd", "public/files/../../x", "../public/files/x", "public/files/.."]
)
def test_a_path_that_leaves_the_archive_is_refused(tmp_path, name):
	archive = make_tar(tmp_path / "a.tar", ("public/files/good", b"good"), (name, b"evil"))
	with pytest.raises(StepFailed, match="leaves the archive") as caught:
		index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	assert caught.value.remedy and not (tmp_path / "keep").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_no_source(tmp_path, kind):
	(tmp_path / "secret").write_text("secret")
	archive = make_tar(
		tmp_path / "a.tar", ("public/files/x", b"x"), ("public/files/x", kind, str(tmp_path / "secret"))
	)
	held = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	assert held.members == {}
	with pytest.raises(StepFailed, match="don't hold it"):
		list(held.read("public/files/x"))


def test_hard_links_have_their_targets_content(tmp_path):
	archive = make_tar(
		tmp_path / "a.tar",
		("./shop/public/files/one", b"content"),
		("./shop/public/files/two", tarfile.LNKTYPE, "./shop/public/files/one"),
		("./shop/public/files/lost", tarfile.LNKTYPE, "./shop/public/files/none"),
	)
	held = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	assert b"".join(held.read("public/files/two")) == b"content" and "public/files/lost" not in held.members


def test_the_last_of_equal_names_counts_and_long_names_are_whole(tmp_path):
	long = "public/files/" + "long/" * 60 + "ü" * 120
	archive = make_tar(tmp_path / "a.tar", (long, b"first"), ("public/files/b", b"b"), (long, b"second"))
	held = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	assert b"".join(held.read(long)) == b"second"


def test_a_packed_tar_is_read_alike(tmp_path):
	archive = make_tar(
		tmp_path / "a.tgz", ("public/files/a", b"a" * 5000), ("public/files/b", b"b"), mode="w:gz"
	)
	held = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	assert (
		b"".join(held.read("public/files/b")) == b"b" and b"".join(held.read("public/files/a")) == b"a" * 5000
	)


def test_the_index_is_kept_and_made_again_for_another_archive(tmp_path, monkeypatch):
	archive = make_tar(tmp_path / "a.tar", ("public/files/a", b"a"))
	first = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	with monkeypatch.context() as patch:
		patch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("the archive was read again"))
		assert index_archives(tmp_path / "shop", [archive], tmp_path / "keep").members == first.members
	make_tar(archive, ("public/files/b", b"b"))
	os.utime(archive, ns=(1, 1))
	assert set(index_archives(tmp_path / "shop", [archive], tmp_path / "keep").members) == {"public/files/b"}


def test_a_damaged_index_is_made_again(tmp_path):
	archive = make_tar(tmp_path / "a.tar", ("public/files/a", b"a"))
	first = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
	(tmp_path / "keep/archives.json").write_text('{"version": 1')
	assert index_archives(tmp_path / "shop", [archive], tmp_path / "keep").members == first.members


def cut_packed(path):
	path.write_bytes(gzip.compress(path.read_bytes())[:-200])


@pytest.mark.parametrize(
	"damage",
	[
		lambda path: path.write_bytes(b"no tar at all" * 100),
		lambda path: path.write_bytes(path.read_bytes()[: 512 + 1000]),
		cut_packed,
		lambda path: path.unlink(),
	],
	ids=["no tar", "cut off", "packed and cut off", "missing"],
)
def test_a_damaged_archive_is_an_error(tmp_path, damage):
	archive = make_tar(tmp_path / "a.tar", ("public/files/a", os.urandom(5000)), ("public/files/b", b"b"))
	damage(archive)
	with pytest.raises(StepFailed) as caught:
		held = index_archives(tmp_path / "shop", [archive], tmp_path / "keep")
		list(held.read("public/files/a"))
	assert str(archive) in str(caught.value) and caught.value.remedy
