"""The inventory, and files put back: wherever the call is killed, and whatever the files are."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .actions import disturb, observe, restore, take
from .conftest import SitePlaces, pack

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
