"""A directory of an SSH host as safe place, with a real sshd, rsync and sha256sum."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.checks import FAILED, OK
from press_deploy.engine.ground.errors import InputError, StepFailed
from press_deploy.engine.plan.safe_places import SshPlace
from press_deploy.engine.safe_places import open_place
from press_deploy.engine.safe_places.ssh import PARTIAL_DIRECTORY
from tests.support.practice_bench import wait_until
from tests.support.ssh_server import SshServer, running_sshd

BELOW = "bench/run-1/shop.example"
# A client that is killed when it has sent so much of a file; it notes how much it sent.
CUTTING_CLIENT = """#!PYTHON
import os, subprocess, sys, threading
real, fired = "REAL", "FIRED"
if "rsync" not in sys.argv:
	os.execv(real, [real, *sys.argv[1:]])
limit, sent = int(os.environ["LIMIT"]), 0
process = subprocess.Popen([real, *sys.argv[1:]], stdin=subprocess.PIPE, bufsize=0)

def forward():
	global sent
	while sent < limit and (data := os.read(0, min(65536, limit - sent))):
		process.stdin.write(data)
		sent += len(data)
	process.kill() if sent == limit else process.stdin.close()

threading.Thread(target=forward, daemon=True).start()
status = process.wait()
open(fired, "w").write(str(sent))
os._exit(status if status >= 0 else 255)
"""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
	with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
		yield server


@pytest.fixture
def there(tmp_path) -> Path:
	"""The directory on the other host."""
	directory = tmp_path / "there"
	directory.mkdir()
	return directory


@pytest.fixture
def spec(sshd: SshServer, there: Path, monkeypatch) -> SshPlace:
	monkeypatch.setenv("PATH", f"{sshd.programs}:{os.environ['PATH']}")
	return SshPlace(host=sshd.host, port=sshd.port, path=str(there), identity_file=str(sshd.identity))


def open_ssh(spec):
	return open_place(spec, Path("/"), Programs())


def changed(spec, **fields):
	return SshPlace.model_validate({**spec.model_dump(), **fields})


def failure(spec, files) -> StepFailed:
	with pytest.raises(StepFailed) as caught:
		open_ssh(spec).store(files, BELOW)
	assert caught.value.remedy
	return caught.value


def put_before(monkeypatch, tmp_path: Path, program: str, script: str) -> Path:
	"""Let a script of ours be found instead of a program; return the file in which it notes that it ran."""
	fired, directory = tmp_path / "fired", tmp_path / "sabotage"
	directory.mkdir()
	for word, meant in (("PYTHON", sys.executable), ("REAL", shutil.which(program)), ("FIRED", fired)):
		script = script.replace(word, str(meant), 1)
	(directory / program).write_text(script)
	(directory / program).chmod(0o755)
	monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
	return fired


def test_files_arrive_private_and_are_compared_there(spec, there, make_file):
	files = [make_file("a", 0), make_file("b", 300_000)]
	told: list[int] = []
	place = open_ssh(spec)
	assert not place.holds(files, BELOW).done
	stored = place.store(files, BELOW, told.append)
	assert [(entry["sha256"], entry["sent"]) for entry in stored] == [(file.sha256, True) for file in files]
	assert told == [0, 300_000]
	assert place.holds(files, BELOW).done
	for file in files:
		copy = there / BELOW / file.name
		assert copy.read_bytes() == file.path.read_bytes()
		assert stat.S_IMODE(copy.stat().st_mode) == 0o600
	assert stat.S_IMODE((there / "bench").stat().st_mode) == 0o700
	assert sorted(os.listdir(there / BELOW)) == ["a", "b"]


def test_what_is_there_is_not_sent_again_and_what_differs_is(spec, there, make_file):
	files = [make_file("a"), make_file("b")]
	place = open_ssh(spec)
	place.store(files, BELOW)
	(there / BELOW / "b").write_bytes(b"x" * 1000)
	assert "b has another content" in place.holds(files, BELOW).found
	assert [entry["sent"] for entry in place.store(files, BELOW)] == [False, True]
	(there / BELOW / "a").unlink()
	assert "a is not there" in place.holds(files, BELOW).found


def test_check_leaves_nothing(spec, there):
	(check,) = open_ssh(spec).check()
	assert check.outcome == OK, check
	assert list(there.iterdir()) == []
	(check,) = open_ssh(spec).check(needed_bytes=1 << 60)
	assert check.outcome == FAILED and "are needed" in check.found


def test_check_says_what_is_wrong(spec, there, sshd, tmp_path):
	def found(**fields):
		(check,) = open_ssh(changed(spec, **fields)).check()
		assert check.outcome == FAILED and check.remedy
		return check.found

	assert "directory is not there" in found(path=f"{there}/missing")
	assert "nothing listens" in found(port=9)
	other_key = tmp_path / "other_key"
	shutil.copyfile(sshd.programs.parent / "host_key", other_key)
	other_key.chmod(0o600)
	assert "none of our keys" in found(identity_file=str(other_key))
	known = sshd.known_hosts.read_text()
	try:
		sshd.known_hosts.write_text("")
		assert "host key is unknown" in found()
	finally:
		sshd.known_hosts.write_text(known)


def test_names_that_mean_something_to_a_shell_are_refused(spec, there, make_file):
	for name in ("$(touch x)", "a;b", "../x", "-e", ".hidden", "a b", "é", ""):
		file = make_file()
		with pytest.raises(InputError):
			open_ssh(spec).store([type(file)(file.path, name, file.size, file.sha256)], BELOW)
	assert list(there.iterdir()) == []


def test_a_connection_that_is_cut_in_the_middle_goes_on_where_it_stopped(
	spec, there, make_file, monkeypatch, tmp_path
):
	file = make_file(size=4_000_000)
	fired = put_before(monkeypatch, tmp_path, "ssh", CUTTING_CLIENT)
	monkeypatch.setenv("LIMIT", "1000000")
	assert "connection was cut" in failure(spec, [file]).why
	assert fired.read_text() == "1000000"
	partial = there / BELOW / PARTIAL_DIRECTORY / file.name
	wait_until(partial.exists, "what had arrived")
	kept = partial.stat().st_size
	assert 0 < kept < file.size and not (there / BELOW / file.name).exists()
	monkeypatch.setenv("LIMIT", "100000000")
	assert open_ssh(spec).store([file], BELOW)[0]["sent"]
	assert (there / BELOW / file.name).read_bytes() == file.path.read_bytes()
	assert os.listdir(there / BELOW) == [file.name]
	# The second time only the rest travelled, and some checksums.
	assert int(fired.read_text()) < file.size - kept / 2


def test_a_copy_that_differs_or_is_lost_is_found(spec, there, make_file, monkeypatch, tmp_path):
	file = make_file()
	copy = shlex.quote(str(there / BELOW / file.name))
	script = '#!/bin/sh\nREAL "$@"; status=$?; touch FIRED; eval "$SPOIL"; exit $status\n'
	fired = put_before(monkeypatch, tmp_path, "rsync", script)
	monkeypatch.setenv("SPOIL", f"printf x | dd of={copy} conv=notrunc status=none")
	assert "differs from the backup" in failure(spec, [file]).why
	assert fired.exists()
	fired.unlink()
	monkeypatch.setenv("SPOIL", f"rm {copy}")
	assert "not there, though" in failure(spec, [file]).why
	assert fired.exists() and file.path.stat().st_size == file.size


def test_a_disk_that_is_full_there(spec, there, make_file, full_disk):
	disk = full_disk(there, 1 << 20)
	error = failure(changed(spec, path=str(disk)), [make_file(size=3 << 20)])
	assert "space" in error.why
	assert not (disk / BELOW / "database.sql.gz").exists()


def test_a_file_that_is_not_the_manifests_is_not_sent(spec, there, make_file):
	file = make_file()
	file.path.write_bytes(b"y" * file.size)
	assert "not the one of the manifest" in failure(spec, [file]).why
	assert not (there / BELOW / file.name).exists()
