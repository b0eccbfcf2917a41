"""The inventory, and files put back: whatever happened to them."""

import json
import os
import shutil
import stat
import time

import pytest

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.site_files import has_inventory
from press_deploy.engine.site_files import places as places_module

from .actions import CONTRACT, LOGO, PICTURE, disturb, observe, restore, take
from .conftest import FILES, pack, settle, snapshot


def test_what_the_tars_hold_is_not_copied(places):
	found = take(places)
	assert found["files"] == len(FILES) and found["bytes"] == sum(map(len, FILES.values()))
	assert found["copied"] == 0 and not list((places.keep / "files").iterdir())
	assert stat.S_IMODE((places.keep / "inventory.json").stat().st_mode) == 0o600


def test_new_and_changed_files_are_copied(places):
	places.write(LOGO, b"changed")
	places.write("public/files/new.txt", b"new")
	found = take(places)
	assert (found["copied"], found["copied_bytes"]) == (2, 10)
	assert sorted(path.read_bytes() for path in (places.keep / "files").iterdir()) == [b"changed", b"new"]
	assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (places.keep / "files").iterdir())


@pytest.mark.parametrize("trick", ["touched later", "written in the tar's own second"])
def test_a_change_that_size_and_time_hide_is_copied(places, trick):
	file, status = places.site / LOGO, (places.site / LOGO).stat()
	if trick == "touched later":
		for archive in places.archives:
			os.utime(archive, (time.time() - 5, time.time() - 5))
	else:
		now = int(time.time())
		settle(places.site, now)
		for archive, kind in zip(places.archives, ("public", "private"), strict=True):
			pack(places.site.parent, places.site.name, archive, kind)
			# A long backup: it ended well after the change.
			os.utime(archive, (now + 60, now + 60))
		status = file.stat()
	file.write_bytes(b"LOGO" * 500)
	os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))
	take(places)
	file.write_bytes(b"later" * 400)
	restore(places)
	assert file.read_bytes() == b"LOGO" * 500


def test_the_inventory_can_be_taken_again(places):
	take(places)
	first = json.loads((places.keep / "inventory.json").read_text())
	take(places)
	assert json.loads((places.keep / "inventory.json").read_text()) == first
	places.write("public/files/new.txt", b"new")
	assert take(places)["copied"] == 1


def test_a_file_that_is_written_to_meanwhile_is_refused(places, monkeypatch):
	file = places.write("public/files/new.txt", b"new")
	write = places_module.write_durably

	def write_late(*arguments):
		done = write(*arguments)
		file.write_bytes(b"written meanwhile")
		return done

	monkeypatch.setattr("press_deploy.engine.site_files.inventory.write_durably", write_late)
	with pytest.raises(StepFailed, match="somebody writes to it"):
		take(places)
	assert not (places.keep / "inventory.json").exists()


def test_everything_comes_back_as_it_was(places):
	places.write("private/files/since the backup.txt", b"kept")
	take(places)
	before = places.snapshot()
	quarantined = disturb(places)
	assert not observe(places).done
	found = restore(places)
	assert places.snapshot() == before and places.quarantined() == quarantined
	assert (found["added"], found["changed"], found["missing"]) == (4, 1, 3)
	assert LOGO in found["names"]["changed"] and observe(places).done
	json.dumps(found)


def test_a_second_call_changes_nothing(places):
	take(places)
	disturb(places)
	restore(places)
	before = {path: path.lstat() for path in places.site.rglob("*")}
	found = restore(places)
	after = {path: path.lstat() for path in places.site.rglob("*")}
	assert not any(found[kind] for kind in ("added", "changed", "missing", "retouched"))
	assert {path: (s.st_ino, s.st_ctime_ns) for path, s in after.items() if not path.is_dir()} == {
		path: (s.st_ino, s.st_ctime_ns) for path, s in before.items() if not path.is_dir()
	}


def test_without_a_change_nothing_is_read_or_moved(places, monkeypatch):
	take(places)
	before = places.snapshot()
	shutil.rmtree(places.archives[0].parent)
	assert observe(places).done and not restore(places)["changed"]
	assert places.snapshot() == before and not places.quarantine.exists()


def test_time_and_mode_come_back_without_a_copy(places):
	take(places)
	before = places.snapshot()
	(places.site / LOGO).chmod(0o666)
	os.utime(places.site / CONTRACT)
	assert restore(places)["retouched"] == 2 and places.snapshot() == before
	assert not places.quarantine.exists() and observe(places).done


def test_links_are_moved_and_never_followed_or_made(places, tmp_path):
	outside = tmp_path / "outside"
	outside.mkdir()
	(outside / "precious").write_text("precious")
	(places.site / "public/files/old link").symlink_to(outside)
	(places.site / "public/files/old lost link").symlink_to("nowhere")
	assert take(places)["links"] == 2
	(places.site / "public/files/old lost link").unlink()
	(places.site / LOGO).unlink()
	(places.site / LOGO).symlink_to(outside / "precious")
	shutil.rmtree(places.site / "public/files/deep")
	(places.site / "public/files/deep").symlink_to(outside)
	(places.site / "private/files/new link").symlink_to(outside)
	found = restore(places)
	assert snapshot(outside).keys() == {"precious"} and (outside / "precious").read_text() == "precious"
	assert (places.site / LOGO).read_bytes() == FILES[LOGO] and not (places.site / LOGO).is_symlink()
	assert (places.site / PICTURE).read_bytes() == FILES[PICTURE]
	assert (places.quarantine / LOGO).is_symlink() and (
		places.quarantine / "private/files/new link"
	).is_symlink()
	assert (places.site / "public/files/old link").is_symlink()
	assert found["names"]["links_missing"] == ["public/files/old lost link"]
	assert not os.path.lexists(places.site / "public/files/old lost link")
	assert "1 symbolic link(s) missing" in observe(places).found


def test_a_planted_link_is_not_written_through(places, tmp_path):
	take(places)
	(tmp_path / "precious").write_text("precious")
	(places.site / LOGO).unlink()
	(places.site / "public/files/.press_deploy-part").symlink_to(tmp_path / "precious")
	restore(places)
	assert (tmp_path / "precious").read_text() == "precious" and observe(places).done


@pytest.mark.parametrize("linked", ["public", "private/files"])
def test_a_site_whose_files_are_behind_a_link_is_refused(places, linked):
	place = places.site / linked
	place.rename(places.site / "elsewhere")
	place.symlink_to(places.site / "elsewhere")
	with pytest.raises(StepFailed, match="symbolic link"):
		take(places)


def test_what_was_written_later_stays_unless_it_is_in_the_way(places):
	take(places)
	before = places.snapshot()
	places.write("public/files/released.txt", b"of the release")
	until = max(path.stat().st_ctime for path in places.site.rglob("*"))
	wait_for_later(places.quarantine, until)
	places.write("private/files/new/uploaded.txt", b"of a user")
	places.write(LOGO, b"drawn anew")
	(places.site / CONTRACT).unlink()
	quarantined = {"public/files/released.txt": b"of the release", **block(places)}

	assert not observe(places, until).done
	found = restore(places, until)

	stayed = {"private/files/new/uploaded.txt": b"of a user", LOGO: b"drawn anew"}
	after = places.snapshot()
	assert {path: after.pop(path)[1] for path in stayed} == stayed
	assert after == {path: row for path, row in before.items() if path != LOGO}
	assert places.quarantined() == quarantined
	assert found["later"] == 2 and sorted(found["names"]["later"]) == sorted(stayed)
	observed = observe(places, until)
	assert observed.done and "2 written later" in observed.found


def block(places):
	"""What is there in place of an original, or of its directory; returns it."""
	shutil.rmtree(places.site / "public/files/deep")
	(places.site / "public/files/empty.txt").unlink()
	blocking = {"public/files/deep": b"a file", "public/files/empty.txt/inside": b"in a directory"}
	for path, content in blocking.items():
		places.write(path, content)
	return blocking


def wait_for_later(probe, moment):
	"""Until the clock that files get their times from has gone on."""
	deadline = time.monotonic() + 10
	while time.monotonic() < deadline:
		probe.write_bytes(b"")
		status = probe.stat()
		probe.unlink()
		if status.st_ctime > moment:
			return
	raise AssertionError("files get no later times")


def test_what_is_only_begun_is_no_inventory(places, monkeypatch):
	def fail(*_):
		raise OSError(28, "No space left on device", "inventory.json")

	with monkeypatch.context() as full:
		full.setattr("press_deploy.engine.site_files.inventory.durable.write_text", fail)
		with pytest.raises(StepFailed):
			take(places)
	assert places.keep.is_dir() and not has_inventory(places.keep)
	take(places)
	assert has_inventory(places.keep)


def test_quarantine_never_replaces_anything(places):
	take(places)
	for content in (b"one", b"two", b"three"):
		places.write("public/files/later.txt", content)
		places.write(LOGO, content)
		restore(places)
	assert sorted(places.quarantined().values()) == sorted([b"one", b"two", b"three"] * 2)


@pytest.mark.parametrize("lost", ["archive", "copy", "altered copy", "inventory"])
def test_nothing_is_moved_when_an_original_is_not_at_hand(places, lost):
	new = places.write("public/files/new.txt", b"new")
	take(places)
	new.write_bytes(b"changed")
	(places.site / CONTRACT).unlink()
	(copy,) = (places.keep / "files").iterdir()
	if lost == "archive":
		places.archives[1].unlink()
	elif lost == "altered copy":
		copy.write_bytes(b"evil"[:3])
		(places.site / CONTRACT).write_bytes(FILES[CONTRACT])
	else:
		(copy if lost == "copy" else places.keep / "inventory.json").unlink()
	before = places.snapshot()
	with pytest.raises(StepFailed) as caught:
		restore(places)
	assert caught.value.remedy
	after = places.snapshot()
	after.pop("public/files/.press_deploy-part", None)
	assert after == before and not places.quarantine.exists()


def test_another_sites_inventory_is_refused(places):
	take(places)
	places.site.rename(places.site.with_name("other.example"))
	places.site = places.site.with_name("other.example")
	with pytest.raises(StepFailed, match="another site's"):
		restore(places)


def test_quarantine_on_another_disk(places, monkeypatch):
	"""A rename that can't cross disks becomes a copy; killed between copy and removal it is completed."""
	take(places)
	rename, refused = os.rename, []

	def cross(source, target):
		if str(target).startswith(str(places.quarantine)) and not str(source).startswith(
			str(places.quarantine)
		):
			refused.append(target)
			raise OSError(18, "Invalid cross-device link", str(source))
		rename(source, target)

	monkeypatch.setattr(os, "rename", cross)
	file = places.write("public/files/later.txt", b"later")
	os.utime(file, ns=(10**18 + 5, 10**18 + 5))
	restore(places)
	assert len(refused) == 1 and places.quarantined() == {"public/files/later.txt": b"later"}
	assert (places.quarantine / "public/files/later.txt").stat().st_mtime_ns == 10**18 + 5 and observe(
		places
	).done


def test_a_move_to_another_disk_that_was_interrupted_is_completed(tmp_path, monkeypatch):
	for name in ("source", "base/target"):
		(tmp_path / name).parent.mkdir(exist_ok=True)
		(tmp_path / name).write_bytes(b"same")
		os.utime(tmp_path / name, ns=(1, 1))
	monkeypatch.setattr(
		places_module, "_is_copied", lambda source, target: source.read_bytes() == target.read_bytes()
	)
	places_module.move_aside(tmp_path / "source", tmp_path / "base", "target")
	assert not (tmp_path / "source").exists() and [p.name for p in (tmp_path / "base").iterdir()] == [
		"target"
	]
