"""A directory as safe place, on real disks that are full, lost, read-only or not ours."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.checks import FAILED, OK, WARNING
from press_deploy.engine.ground.errors import InputError, StepFailed
from press_deploy.engine.plan.safe_places import DirectoryPlace
from press_deploy.engine.safe_places import directory, open_place

BELOW = "bench/run-1/shop.example"


@pytest.fixture
def there(tmp_path) -> Path:
	path = tmp_path / "there"
	path.mkdir()
	return path


@pytest.fixture
def bench_path(tmp_path) -> Path:
	path = tmp_path / "bench"
	(path / "sites").mkdir(parents=True)
	return path


def open_directory(path: Path, bench_path: Path = Path("/")):
	return open_place(DirectoryPlace(path=str(path)), bench_path, Programs())


def failure(path, files) -> StepFailed:
	with pytest.raises(StepFailed) as caught:
		open_directory(path).store(files, BELOW)
	assert caught.value.remedy
	return caught.value


def test_files_arrive_private_and_compared(there, make_file):
	files = [make_file("a", 0), make_file("b", 3_000_000)]
	told: list[int] = []
	place = open_directory(there)
	assert not place.holds(files, BELOW).done
	stored = place.store(files, BELOW, told.append)
	assert [(entry["sha256"], entry["sent"]) for entry in stored] == [(file.sha256, True) for file in files]
	assert told == sorted(told) and told[-1] == 3_000_000
	assert place.holds(files, BELOW).done and not place.holds([], BELOW).done
	for file in files:
		copy = there / BELOW / file.name
		assert copy.read_bytes() == file.path.read_bytes()
		assert stat.S_IMODE(copy.stat().st_mode) == 0o600
	assert stat.S_IMODE((there / "bench").stat().st_mode) == 0o700
	assert sorted(os.listdir(there / BELOW)) == ["a", "b"]


def test_what_is_there_is_kept_and_what_differs_is_replaced(there, make_file):
	files = [make_file("a"), make_file("b")]
	place = open_directory(there)
	place.store(files, BELOW)
	kept = (there / BELOW / "a").stat().st_ino
	(there / BELOW / "b").write_bytes(b"x" * 1000)
	assert [entry["sent"] for entry in place.store(files, BELOW)] == [False, True]
	assert (there / BELOW / "a").stat().st_ino == kept
	assert (there / BELOW / "b").read_bytes() == files[1].path.read_bytes()
	(there / BELOW / "b").write_bytes(b"x")
	assert "1 bytes instead of 1000" in place.holds(files, BELOW).found


def test_a_full_disk(there, bench_path, make_file, full_disk):
	disk = full_disk(there, 1 << 20)
	small, large = make_file("small"), make_file("large", 3 << 20)
	error = failure(disk, [small, large])
	assert "no space left" in error.why and "large" in error.what
	assert os.listdir(disk / BELOW) == ["small"] and large.path.stat().st_size == large.size
	(check,) = open_directory(disk, bench_path).check(needed_bytes=3 << 20)
	assert check.outcome == FAILED and " 3.1 MB are needed" in check.found and "1.0 MB free" in check.found


def test_a_limit_of_the_file_size(there, make_file):
	file = make_file(size=3 << 20)
	before = resource.getrlimit(resource.RLIMIT_FSIZE)
	resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
	try:
		assert "larger than" in failure(there, [file]).why
	finally:
		resource.setrlimit(resource.RLIMIT_FSIZE, before)
	assert os.listdir(there / BELOW) == []


def test_a_place_that_is_not_mounted_is_not_made(there, make_file):
	missing = there / "missing"
	assert "does not exist" in failure(missing, [make_file()]).why
	(check,) = open_directory(missing).check()
	assert check.outcome == FAILED and "does not exist" in check.found and check.remedy
	assert not missing.exists()


def test_nothing_is_written_through_a_link(there, make_file, tmp_path):
	elsewhere = tmp_path / "elsewhere"
	(elsewhere / "run-1").mkdir(parents=True)
	(there / "bench").symlink_to(elsewhere)
	assert "symbolic link" in failure(there, [make_file()]).why
	assert os.listdir(elsewhere) == ["run-1"] and os.listdir(elsewhere / "run-1") == []
	(there / "bench").unlink()
	(there / "bench").write_text("a file")
	assert "no directory" in failure(there, [make_file()]).why


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(there, make_file, tmp_path):
	file, target = make_file(), tmp_path / "target"
	target.write_bytes(file.path.read_bytes())
	(there / BELOW).mkdir(parents=True)
	for name in (file.name, f".{file.name}.press_deploy"):
		(there / BELOW / name).symlink_to(target)
	assert not open_directory(there).holds([file], BELOW).done
	assert open_directory(there).store([file], BELOW)[0]["sent"]
	assert not (there / BELOW / file.name).is_symlink() and os.listdir(there / BELOW) == [file.name]


def test_a_copy_that_differs_is_found_and_never_has_its_name(there, make_file, monkeypatch):
	"""The disk keeps other bytes than it was given; the copy that was there before stays."""
	file, fired = make_file(), []
	(there / BELOW).mkdir(parents=True)
	(there / BELOW / file.name).write_bytes(b"the former copy")
	copy = directory._copy

	def spoil(source, target, report):
		done = copy(source, target, report)
		with target.open("r+b") as output:
			output.write(bytes([source.read_bytes()[0] ^ 1]))
		fired.append(target)
		return done

	monkeypatch.setattr(directory, "_copy", spoil)
	assert "differs from the backup" in failure(there, [file]).why
	assert fired and os.listdir(there / BELOW) == [file.name]
	assert (there / BELOW / file.name).read_bytes() == b"the former copy"


def test_a_file_that_is_not_the_manifests_is_not_kept(there, make_file):
	file = make_file()
	file.path.write_bytes(b"y" * file.size)
	assert "not the one of the manifest" in failure(there, [file]).why
	assert os.listdir(there / BELOW) == []
	file.path.unlink()
	assert "does not exist" in failure(there, [file]).why


COPIER = """
import os, signal, sys
from pathlib import Path
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.plan.safe_places import DirectoryPlace
from press_deploy.engine.safe_places import open_place
from press_deploy.engine.safe_places.base import StoredFile
file = StoredFile(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
open_place(DirectoryPlace(path=sys.argv[5]), Path("/"), Programs()).store(
	[file], sys.argv[6], lambda done: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_kill_9_while_copying_and_once_more(there, make_file):
	file = make_file(size=3 << 20)
	fields = [str(file.path), file.name, str(file.size), file.sha256, str(there), BELOW]
	assert subprocess.run([sys.executable, "-c", COPIER, *fields]).returncode == -signal.SIGKILL
	assert os.listdir(there / BELOW) == [f".{file.name}.press_deploy"]
	assert not open_directory(there).holds([file], BELOW).done
	assert open_directory(there).store([file], BELOW)[0]["sent"]
	assert os.listdir(there / BELOW) == [file.name]


@pytest.mark.parametrize("inside", ["", "sites", "link"])
def test_a_directory_inside_the_bench_is_no_safe_place(bench_path, tmp_path, inside):
	(tmp_path / "link").symlink_to(bench_path / "sites")
	place = tmp_path / "link" if inside == "link" else bench_path / inside
	(check,) = open_directory(place, bench_path).check()
	assert check.outcome == FAILED and "inside the bench" in check.found and check.remedy


def test_check_warns_of_the_benchs_own_disk(there, bench_path):
	(check,) = open_directory(there, bench_path).check()
	assert check.outcome == WARNING and "own disk" in check.found and check.remedy
	assert os.listdir(there) == []


def test_another_disk_is_fine(there, bench_path, full_disk):
	(check,) = open_directory(full_disk(there, 1 << 20), bench_path).check()
	assert check.outcome == OK and "1.0 MB free" in check.found


@pytest.mark.parametrize(
	"below", ["", "bench/", "/etc/x", "../x", "bench/..", "bench//x", "bench/./x", "-x/y", "a/b\n"]
)
def test_what_is_not_below_is_refused(there, make_file, below):
	with pytest.raises(InputError, match="below"):
		open_directory(there).store([make_file()], below)
	assert os.listdir(there) == []


def test_a_name_that_stands_twice_is_refused(there, make_file):
	with pytest.raises(InputError, match="name"):
		open_directory(there).store([make_file(), make_file()], BELOW)
	assert os.listdir(there) == []
