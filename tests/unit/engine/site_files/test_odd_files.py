"""Long names, links, pipes, and the modes and owners of what comes back."""

import os
import shutil
import stat
from types import SimpleNamespace

import pytest

from press_deploy.engine.ground.checks import FAILED, OK
from press_deploy.engine.steps.preflight.sites import check_site_files

from .actions import LOGO, PICTURE, observe, restore, take
from .conftest import FILES

# 255 bytes, as many as a name may have; the last one is no text.
LONGEST = ("文" * 85, "é" * 127 + "x", "😀" * 63 + "xyz", os.fsdecode(b"\xff" * 255))


@pytest.fixture
def other_disk(places, monkeypatch):
	"""No rename leads into the quarantine from outside; returns those that were refused."""
	rename, refused = os.rename, []

	def cross(source, target):
		if places.quarantine in target.parents and places.quarantine not in source.parents:
			refused.append(target)
			raise OSError(18, "Invalid cross-device link", str(source))
		rename(source, target)

	monkeypatch.setattr(os, "rename", cross)
	return refused


def upload_and_restore(places, name: str) -> list[bytes]:
	"""Twice, so that the name is taken in the quarantine; returns what is there."""
	for content in (b"one", b"two"):
		places.write(f"public/files/{name}", content)
		restore(places)
	return sorted(places.quarantined().values())


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_names_go_to_quarantine(places, name):
	take(places)
	assert upload_and_restore(places, name) == [b"one", b"two"]


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_names_go_to_another_disk(places, other_disk, name):
	take(places)
	assert upload_and_restore(places, name) == [b"one", b"two"] and len(other_disk) == 2


@pytest.mark.parametrize("disk", ["same", "other"])
def test_a_link_that_points_elsewhere_now(places, tmp_path, disk, request):
	"""It is not followed and not kept; the former one is reported, not made."""
	if disk == "other":
		request.getfixturevalue("other_disk")
	link, secret = places.site / "public/files/link", tmp_path / "secret"
	secret.write_text("secret")
	link.symlink_to("logo.png")
	take(places)
	link.unlink()
	link.symlink_to(secret)
	assert "1 added" in observe(places).found

	found = restore(places)
	assert found["names"]["added"] == found["names"]["links_missing"] == ["public/files/link"]
	assert not os.path.lexists(link) and os.readlink(places.quarantine / "public/files/link") == str(secret)
	assert secret.read_text() == "secret"
	assert observe(places).done and "1 symbolic link(s) missing" in observe(places).found


def test_a_later_link_stays(places):
	link = places.site / "public/files/link"
	link.symlink_to("logo.png")
	take(places)
	link.unlink()
	link.symlink_to("empty.txt")
	found = restore(places, until=0)
	assert found["names"]["later"] == ["public/files/link"] and not found["links_missing"]
	assert os.readlink(link) == "empty.txt"


def test_a_pipe_that_was_there_stays_and_a_new_one_goes(places):
	old, new = (places.site / "public/files" / name for name in ("old pipe", "new pipe"))
	os.mkfifo(old)
	take(places)
	os.mkfifo(new)
	assert restore(places)["names"]["added"] == ["public/files/new pipe"]
	assert stat.S_ISFIFO(old.lstat().st_mode) and not new.exists() and observe(places).done


def test_modes_of_directories_come_back(places, tmp_path):
	deep, private = places.site / "public/files/deep", places.site / "private/files"
	modes = {deep: 0o750, deep / "er": 0o700, private: 0o711}
	for directory, mode in modes.items():
		directory.chmod(mode)
	take(places)
	shutil.rmtree(deep)
	private.chmod(0o777)
	assert "1 retouched" in observe(places).found

	restore(places)
	assert {directory: stat.S_IMODE(directory.stat().st_mode) for directory in modes} == modes
	assert (places.site / PICTURE).read_bytes() == FILES[PICTURE] and observe(places).done


def test_no_mode_changes_behind_a_link(places, tmp_path):
	(places.site / "public/files/bare/below").mkdir(parents=True)
	take(places)
	outside = tmp_path / "outside"
	(outside / "below").mkdir(parents=True)
	(outside / "below").chmod(0o500)
	shutil.rmtree(places.site / "public/files/bare")
	(places.site / "public/files/bare").symlink_to(outside)
	(places.site / "public/files/deep").chmod(0o711)
	found = restore(places, until=0)["names"]
	assert (found["later"], found["retouched"]) == (["public/files/bare"], ["public/files/deep"])
	assert stat.S_IMODE((outside / "below").stat().st_mode) == 0o500


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_owners_come_back(places):
	os.chown(places.site / LOGO, 1234, 1235)
	take(places)
	(places.site / LOGO).unlink()
	places.write(LOGO, b"another")
	restore(places)
	status = (places.site / LOGO).stat()
	assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 1235, 0o640)


def test_who_may_not_give_files_away_keeps_them(places, monkeypatch):
	take(places)
	asked = []

	def refuse(*arguments, **named):
		asked.append(arguments)
		raise PermissionError(1, "Operation not permitted")

	monkeypatch.setattr(os, "chown", refuse)
	places.write(LOGO, b"another")
	restore(places)
	assert asked and (places.site / LOGO).read_bytes() == FILES[LOGO] and observe(places).done


@pytest.mark.parametrize(("linked", "outcome"), [(None, OK), ("public", FAILED), ("private/files", FAILED)])
def test_preflight_refuses_files_behind_a_link(places, linked, outcome):
	if linked:
		(places.site / linked).rename(places.site / "elsewhere")
		(places.site / linked).symlink_to(places.site / "elsewhere")
	site = places.site.name
	run = SimpleNamespace(
		spec=SimpleNamespace(site_names=[site], backup=SimpleNamespace(with_files=True)),
		bench=SimpleNamespace(sites=lambda: [site], site=lambda name: places.site),
	)
	(check,) = check_site_files(run, None)
	assert check.outcome == outcome and ("symbolic link" in check.found) == bool(linked)
	run.spec.backup.with_files = False
	assert not list(check_site_files(run, None))
