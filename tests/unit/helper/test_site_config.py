import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from press_deploy.helper import site_config
from press_deploy.helper.errors import OperationFailed

from .support import SITES, wait_until, write_json

ABSENT = {"present": False}
PATIENCE = 10.0


def present(value):
	return {"present": True, "value": value}


@pytest.fixture
def paths(bench):
	return tuple(map(Path, site_config.site_config_paths(str(bench), SITES[0])))


def set_one(paths, key, value, seconds=PATIENCE):
	return site_config.set_values(str(paths[0]), str(paths[1]), {key: value}, seconds)


def test_values_and_absence_come_back_exactly(paths):
	before = paths[0].read_bytes()
	wanted = {"maintenance_mode": present(1), "db_name": ABSENT, "other": present({"a": [None, "é"]})}
	previous = site_config.set_values(*map(str, paths), wanted)
	assert previous == {"maintenance_mode": ABSENT, "db_name": present(SITES[0]), "other": ABSENT}
	assert site_config.get_value(str(paths[0]), "other") == present({"a": [None, "é"]})
	assert site_config.get_value(str(paths[0]), "db_name") == ABSENT
	assert site_config.set_values(*map(str, paths), previous) == wanted
	assert paths[0].read_bytes() == before


def test_the_text_is_as_frappe_writes_it(paths):
	set_one(paths, "b", present("é"))
	config = json.loads(paths[0].read_text())
	assert paths[0].read_text() == json.dumps(config, indent=1, sort_keys=True)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5)))
def test_any_change_can_be_reverted(tmp_path_factory, values):
	path = tmp_path_factory.mktemp("config") / "site_config.json"
	write_json(path, {"": 1, "a": True, "0": None})
	before = path.read_bytes()
	lock = str(path.parent / "lock")
	wanted = {key: present(value) for key, value in values.items()}
	previous = site_config.set_values(str(path), lock, wanted)
	site_config.set_values(str(path), lock, previous)
	assert path.read_bytes() == before


@pytest.mark.parametrize(("old", "new"), [(True, 1), (1, True), (0, False), (1.0, 1)])
def test_equal_to_python_is_not_equal_in_the_file(paths, old, new):
	set_one(paths, "key", present(old))
	set_one(paths, "key", present(new))
	assert type(json.loads(paths[0].read_text())["key"]) is type(new)


def test_a_file_that_is_as_wanted_is_not_touched(paths):
	set_one(paths, "key", present(1))
	inode = paths[0].stat().st_ino
	set_one(paths, "key", present(1))
	assert paths[0].stat().st_ino == inode
	set_one(paths, "key", present(2))
	assert paths[0].stat().st_ino != inode


def test_mode_and_owner_are_kept_and_nothing_is_left_beside(paths):
	paths[0].chmod(0o640)
	if os.geteuid() == 0:
		os.chown(paths[0], 65534, 65534)
	before = paths[0].stat()
	set_one(paths, "key", present(1))
	after = paths[0].stat()
	assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
	assert sorted(path.name for path in paths[0].parent.iterdir()) == ["locks", "site_config.json"]


def test_what_a_killed_process_left_is_cleared_away(paths):
	leftover = paths[0].with_name(f".site_config.json{site_config.NEW_SUFFIX}")
	leftover.write_text("half of it")
	set_one(paths, "key", present(1))
	assert not leftover.exists()
	assert json.loads(paths[0].read_text())["key"] == 1


def test_the_locks_directory_is_made_when_missing(paths):
	paths[1].parent.rmdir()
	set_one(paths, "key", present(1))
	assert paths[1].exists()


def test_frappes_lock_is_respected(paths):
	with open(paths[1], "w") as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		with pytest.raises(OperationFailed, match="keeps the lock"):
			set_one(paths, "key", present(1), seconds=0.1)
	assert "key" not in json.loads(paths[0].read_text())
	set_one(paths, "key", present(1))


def _count_up(config: str, lock: str, times: int) -> None:
	for number in range(times):
		site_config.set_values(config, lock, {f"{os.getpid()}-{number}": present(number)}, 60)


def test_concurrent_changes_are_not_lost(paths):
	context = multiprocessing.get_context("fork")
	arguments = (*map(str, paths), 15)
	processes = [context.Process(target=_count_up, args=arguments) for _ in range(4)]
	for process in processes:
		process.start()
	for process in processes:
		process.join(60)
		assert process.exitcode == 0
	assert len(json.loads(paths[0].read_text())) == 2 + 4 * 15


ENDLESS = """
import sys
from press_deploy.helper import site_config
number = 0
while True:
	number += 1
	wanted = {"number": {"present": True, "value": number}, "filler": {"present": True, "value": "x" * 50000}}
	site_config.set_values(sys.argv[1], sys.argv[2], wanted, 60)
	print(number, flush=True)
"""


def test_a_writer_killed_at_any_instant_leaves_a_whole_file(paths):
	root = str(Path(site_config.__file__).parents[2])
	for round_number in range(8):
		command = [sys.executable, "-c", ENDLESS, *map(str, paths)]
		process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
		for _ in range(round_number + 1):
			assert process.stdout.readline()
		process.send_signal(signal.SIGKILL)
		last = [int(line) for line in process.stdout.read().split()]
		process.wait()
		config = json.loads(paths[0].read_text())
		assert config["number"] >= max(last, default=1)
		assert config["db_password"] == "secret"
	set_one(paths, "filler", ABSENT)
	assert sorted(path.name for path in paths[0].parent.iterdir()) == ["locks", "site_config.json"]


@pytest.mark.parametrize(
	"content", ["", "[]", "{", "null", '{"a": "' + "x" * site_config.MAXIMUM_BYTES + '"}']
)
def test_files_that_hold_no_configuration_are_refused_and_kept(paths, content):
	paths[0].write_text(content)
	for act in (lambda: set_one(paths, "key", present(1)), lambda: site_config.read_config(str(paths[0]))):
		with pytest.raises(OperationFailed, match=str(paths[0])):
			act()
	assert paths[0].read_text() == content


def test_links_are_not_followed(bench, paths, directory):
	target = directory / "target.json"
	write_json(target, {"untouched": 1})
	paths[0].unlink()
	paths[0].symlink_to(target)
	with pytest.raises(OperationFailed, match="symbolic link"):
		set_one(paths, "key", present(1))
	elsewhere = directory / "elsewhere"
	elsewhere.mkdir()
	write_json(elsewhere / "site_config.json", {"untouched": 1})
	(bench / "sites" / "linked").symlink_to(elsewhere)
	linked = site_config.site_config_paths(str(bench), "linked")
	with pytest.raises(OperationFailed, match="symbolic link"):
		site_config.set_values(*linked, {"key": present(1)})
	assert list(elsewhere.iterdir()) == [elsewhere / "site_config.json"]
	assert json.loads(target.read_text()) == {"untouched": 1}


def test_a_link_in_place_of_the_lock_is_not_followed(paths, directory):
	paths[1].symlink_to(directory / "created by accident")
	with pytest.raises(OperationFailed):
		set_one(paths, "key", present(1))
	assert not (directory / "created by accident").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_other_kinds_of_file_are_refused_at_once(paths, make):
	paths[0].unlink()
	make(paths[0])
	with pytest.raises(OperationFailed):
		set_one(paths, "key", present(1))


def test_a_missing_site_is_not_created(bench):
	with pytest.raises(OperationFailed, match="No such file"):
		site_config.set_values(*site_config.site_config_paths(str(bench), "gone"), {"key": present(1)})
	assert not (bench / "sites" / "gone").exists()


def test_a_full_disk_changes_nothing(paths, monkeypatch):
	before = paths[0].read_bytes()

	def fail(_descriptor):
		raise OSError(28, "No space left on device")

	monkeypatch.setattr(os, "fsync", fail)
	with pytest.raises(OperationFailed, match="No space left"):
		set_one(paths, "key", present(1))
	assert paths[0].read_bytes() == before
	assert sorted(path.name for path in paths[0].parent.iterdir()) == ["locks", "site_config.json"]


def test_a_lock_that_was_deleted_while_waiting_is_taken_anew(paths):
	with open(paths[1], "w") as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		context = multiprocessing.get_context("fork")
		process = context.Process(target=_count_up, args=(*map(str, paths), 1))
		process.start()
		# The other one sees the old file, which from now on is no lock any more.
		paths[1].unlink()
		wait_until(lambda: process.exitcode is not None, "the change is made under the new lock")
	assert process.exitcode == 0


def test_the_common_configuration_has_its_own_lock(bench):
	config, lock = site_config.common_config_paths(str(bench))
	write_json(Path(config), {"a": 1})
	assert site_config.set_values(config, lock, {"b": present(2)}) == {"b": ABSENT}
	assert lock == str(bench / "config" / "site_config.lock")
	assert Path(lock).exists()
