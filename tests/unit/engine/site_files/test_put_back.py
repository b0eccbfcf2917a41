"""The inventory, and files put back: whatever happened to them, and wherever the call is killed."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.site_files import observe_put_back, put_back, take_inventory
from press_deploy.engine.site_files import places as places_module

from .conftest import FILES, SitePlaces, pack, settle, snapshot

LOGO, CONTRACT, PICTURE = (
	"public/files/logo.png",
	"private/files/contract.pdf",
	"public/files/deep/er/picture.jpg",
)


def take(places):
	return take_inventory(places.site, places.archives, places.keep)


def restore(places):
	return put_back(places.site, places.archives, places.keep, places.quarantine)


def observe(places):
	return observe_put_back(places.site, places.archives, places.keep)


def disturb(places):
	"""One of everything that can happen to files."""
	places.write(LOGO, b"another logo")
	(places.site / CONTRACT).unlink()
	shutil.rmtree(places.site / "public/files/deep")
	places.write("public/files/deep", b"a file in a directory's place")
	places.write("public/files/later.txt", b"later")
	places.write("private/files/new/deep.txt", b"deep")
	(places.site / "public/files/empty.txt").unlink()
	places.write("public/files/empty.txt/inside", b"a directory in a file's place")
	return {
		LOGO: b"another logo",
		"public/files/deep": b"a file in a directory's place",
		"public/files/later.txt": b"later",
		"private/files/new/deep.txt": b"deep",
		"public/files/empty.txt/inside": b"a directory in a file's place",
	}


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


KILLED = """
import os, signal, sys
from pathlib import Path
from press_deploy.engine.site_files import put_back, take_inventory

left = int(sys.argv[1])

def count(function):
	def counted(*arguments, **named):
		global left
		if left == 0:
			os.kill(os.getpid(), signal.SIGKILL)
		left -= 1
		return function(*arguments, **named)
	return counted

for name in ("rename", "replace", "unlink", "open", "write", "fsync", "utime", "chmod", "rmdir", "mkdir"):
	setattr(os, name, count(getattr(os, name)))
call, site, keep, quarantine, *archives = sys.argv[2:]
arguments = (Path(site), [Path(path) for path in archives], Path(keep))
if call == "put_back":
	put_back(*arguments, Path(quarantine))
else:
	take_inventory(*arguments)
print(left)
"""
ENOUGH = 100_000
PARTS = 23


def run_killed(places, call, steps):
	command = [sys.executable, "-c", KILLED, str(steps), call, places.site, places.keep, places.quarantine]
	done = subprocess.run([*command, *places.archives], capture_output=True, text=True)
	assert done.returncode in (0, -signal.SIGKILL), done.stderr
	return done


@pytest.mark.parametrize("part", range(PARTS))
def test_put_back_killed_anywhere_is_completed(places, part, tmp_path):
	"""Killed at points spread over all its calls of the system, once or twice in a row, then called again."""
	places.write("private/files/since the backup.txt", b"kept")
	take(places)
	before = places.snapshot()
	quarantined = disturb(places)
	shutil.copytree(places.site, tmp_path / "trial/shop.example", symlinks=True)
	trial = type(places)(
		tmp_path / "trial/shop.example", places.archives, tmp_path / "trial keep", tmp_path / "away"
	)
	shutil.copytree(places.keep, trial.keep)
	calls = ENOUGH - int(run_killed(trial, "put_back", ENOUGH).stdout)
	assert calls > 30
	assert run_killed(places, "put_back", calls * part // PARTS).returncode == -signal.SIGKILL
	# The next call may be killed as well, early or late, or have less to do than that.
	run_killed(places, "put_back", 5 + calls * (PARTS - 1 - part) // PARTS)
	restore(places)
	assert observe(places).done and places.snapshot() == before
	# Nothing that users wrote is lost, and nothing of it is there twice.
	assert places.quarantined() == quarantined


@pytest.mark.parametrize("step", range(0, 13, 2))
def test_an_inventory_killed_anywhere_can_be_taken_again(places, step):
	take(places)
	places.write("private/files/since the backup.txt", b"kept")
	assert run_killed(places, "take_inventory", step).returncode == -signal.SIGKILL
	take(places)
	before = places.snapshot()
	disturb(places)
	places.write("private/files/since the backup.txt", b"overwritten")
	restore(places)
	assert places.snapshot() == before


PATHS = st.sampled_from(
	[f"{root}/files/{name}" for root in ("public", "private") for name in ("a", "b", "d", "d/x", "d/e/y")]
)
EDITS = st.lists(
	st.tuples(st.sampled_from(["write", "remove", "touch", "mode", "link"]), PATHS, st.binary(max_size=3)),
	max_size=8,
)


def edit(places, edits):
	for action, path, content in edits:
		file = places.site / path
		try:
			if action == "write":
				file.parent.mkdir(parents=True, exist_ok=True)
				file.write_bytes(content)
			elif action == "remove":
				shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
			elif action == "touch":
				os.utime(file, ns=(len(content), len(content)))
			elif action == "mode":
				os.chmod(file, 0o600 + len(content))
			else:
				file.symlink_to("/nonexistent")
		except OSError:
			continue  # a directory in a file's place and the like: as little happens as to a user


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=EDITS, second=EDITS, third=EDITS)
def test_any_files_come_back(tmp_path_factory, first, second, third):
	tmp_path = tmp_path_factory.mktemp("files")
	places = SitePlaces(tmp_path / "sites/shop", [], tmp_path / "keep", tmp_path / "quarantine")
	for kind in ("public", "private"):
		(places.site / kind / "files").mkdir(parents=True)
	edit(places, [entry for entry in first if entry[0] != "link"])
	for kind in ("public", "private"):
		places.archives.append(pack(tmp_path / "sites", "shop", tmp_path / f"{kind}.tar", kind))
	edit(places, second)
	take(places)
	before = {path: row for path, row in places.snapshot().items() if row[0] == "file"}
	edit(places, third)
	written = [
		row[1]
		for path, row in places.snapshot().items()
		if row[0] == "file" and before.get(path, row)[1] != row[1]
	]
	restore(places)
	after = {path: row for path, row in places.snapshot().items() if row[0] == "file"}
	assert after == before and observe(places).done
	kept = [
		path.read_bytes() for path in places.quarantine.rglob("*") if path.is_file() and not path.is_symlink()
	]
	assert all(content in kept for content in written)
