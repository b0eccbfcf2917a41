"""The lock: one run per bench, and an owner who died is known by name."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from press_deploy.engine.ground.errors import LockHeld, Refused
from press_deploy.engine.journal.lock import BenchLock, is_alive, keep_idle, read_owner
from press_deploy.engine.journal.run_directory import RunDirectory
from tests.support.small_disk import fill_disk, small_disk

from .support import make_spec, wait_until

HOLD = (
	"import sys, time; from pathlib import Path; from press_deploy.engine.journal.lock import BenchLock\n"
	"with BenchLock(Path(sys.argv[1]), 'first', 'deployment', lambda run: True):\n"
	"\tprint('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path):
	"""Another process that holds the lock until its standard input ends."""
	process = subprocess.Popen(
		[sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
	)
	assert process.stdout.readline() == b"held\n"
	yield process
	process.kill()
	process.wait()


def make_bench_run(bench):
	"""The name of a run on a bench."""
	return RunDirectory.create(bench, make_spec()).name


def lock(path, run="second", unfinished=()):
	return BenchLock(path, run, "deployment", lambda name: name in unfinished)


def test_a_living_owner_is_named_and_watched(tmp_path, holder):
	with pytest.raises(LockHeld) as caught:
		lock(tmp_path, unfinished={"first"}).__enter__()
	said = str(caught.value)
	assert "first" in said and str(holder.pid) in said and "since" in said and "at work" in said
	assert is_alive(tmp_path) and read_owner(tmp_path).run == "first"


def test_the_same_run_cannot_be_executed_twice_at_once(tmp_path, holder):
	with pytest.raises(LockHeld):
		lock(tmp_path, "first", unfinished={"first"}).__enter__()


def test_an_owner_whose_run_is_over_is_waited_for(tmp_path, holder):
	threading.Timer(1.0, holder.stdin.close).start()
	with lock(tmp_path):
		assert read_owner(tmp_path).run == "second"


def test_a_killed_owner_keeps_the_bench_for_its_run(tmp_path, holder):
	os.kill(holder.pid, signal.SIGKILL)
	wait_until(lambda: not is_alive(tmp_path), "the end of the lock")
	with pytest.raises(LockHeld, match="nobody is at work") as caught:
		lock(tmp_path, unfinished={"first"}).__enter__()
	assert "press-deploy resume first" in caught.value.remedy
	with lock(tmp_path, "first", unfinished={"first"}):
		assert read_owner(tmp_path).pid == os.getpid()


def test_a_dead_owner_whose_run_is_over_is_nobody(tmp_path, holder):
	os.kill(holder.pid, signal.SIGKILL)
	wait_until(lambda: not is_alive(tmp_path), "the end of the lock")
	with lock(tmp_path):
		assert is_alive(tmp_path) and read_owner(tmp_path).run == "second"
	assert not is_alive(tmp_path)


def test_a_refused_lock_is_not_held(tmp_path, holder):
	os.kill(holder.pid, signal.SIGKILL)
	wait_until(lambda: not is_alive(tmp_path), "the end of the lock")
	with pytest.raises(LockHeld):
		lock(tmp_path, unfinished={"first"}).__enter__()
	assert not is_alive(tmp_path) and read_owner(tmp_path).run == "first"


def test_a_run_that_is_over_leaves_no_owner(tmp_path):
	with lock(tmp_path) as held:
		held.forget()
	assert read_owner(tmp_path) is None and not is_alive(tmp_path)


def test_a_shorter_owner_replaces_a_longer_one_whole(tmp_path):
	with lock(tmp_path, "a-very-long-name-of-a-run"):
		pass
	with lock(tmp_path, "b"):
		assert json.loads((tmp_path / "lock.json").read_text())["run"] == "b"


def test_it_is_free_again_after_an_error_inside(tmp_path):
	with pytest.raises(RuntimeError), lock(tmp_path):
		raise RuntimeError
	assert not is_alive(tmp_path)


@pytest.mark.parametrize("content", ["", "  \n", "rubbish", "[]", "{}", '{"run": 1}', "null", "\0\0"])
def test_what_is_no_owner_holds_nothing_while_no_run_is_unfinished(tmp_path, content):
	make_bench_run(tmp_path)
	(tmp_path / "lock.json").write_text(content)
	assert read_owner(tmp_path) is None
	with lock(tmp_path):
		pass


@pytest.mark.parametrize("content", ["rubbish", "[]", "{}", '{"run": 1}', "null", "\0\0", '{"run": "20'])
def test_an_owner_that_cannot_be_read_is_the_run_that_is_unfinished(tmp_path, content):
	name = make_bench_run(tmp_path)
	deployments = tmp_path / "deployments"
	(deployments / "lock.json").write_text(content)
	with (
		pytest.raises(LockHeld, match=f"run {name} .* is not finished"),
		lock(deployments, unfinished={name}),
	):
		pass
	with lock(deployments, name, unfinished={name}):
		assert read_owner(deployments).run == name


def test_a_full_disk_forgets_no_owner(tmp_path):
	deployments = tmp_path / "deployments"
	with small_disk(deployments, "64k"):
		with lock(deployments, "first"):
			fill_disk(deployments / "filler")
			assert read_owner(deployments).run == "first"
		with pytest.raises(LockHeld, match="run first"), lock(deployments, unfinished={"first"}):
			pass
		with lock(deployments, "first", unfinished={"first"}) as held:
			assert read_owner(deployments).run == "first"
			held.forget()
		assert read_owner(deployments) is None


def test_a_new_lock_on_a_full_disk_is_refused_with_a_word(tmp_path):
	deployments = tmp_path / "deployments"
	with small_disk(deployments, "64k"):
		fill_disk(deployments / "filler")
		with pytest.raises(Refused, match="No space left") as caught, lock(deployments):
			pass
		assert "free space" in caught.value.remedy and not is_alive(deployments)


def test_a_lock_that_is_refused_leaves_no_descriptor_open(tmp_path, holder):
	def asked(_name):
		raise RuntimeError("the journal can't be read")

	before = os.listdir("/proc/self/fd")
	os.kill(holder.pid, signal.SIGKILL)
	wait_until(lambda: not is_alive(tmp_path), "the end of the lock")
	with pytest.raises(RuntimeError):
		BenchLock(tmp_path, "second", "deployment", asked).__enter__()
	assert len(os.listdir("/proc/self/fd")) == len(before)
	assert not is_alive(tmp_path)


def test_asking_whether_it_is_held_does_not_take_it(tmp_path, holder):
	for _time in range(50):
		assert is_alive(tmp_path)
	holder.communicate(b"")
	assert not is_alive(tmp_path) and not is_alive(tmp_path / "elsewhere")


def test_a_program_started_meanwhile_does_not_inherit_it(tmp_path):
	with lock(tmp_path):
		child = subprocess.Popen(["sleep", "60"], close_fds=False)
	try:
		assert not is_alive(tmp_path)
	finally:
		child.kill()
		child.wait()


def test_a_bench_that_is_kept_idle_has_no_run_at_work(tmp_path):
	with keep_idle(tmp_path) as first, keep_idle(tmp_path) as second:
		assert first and second and not is_alive(tmp_path)
		with pytest.raises(LockHeld, match="are being worked on"), lock(tmp_path):
			pass
	with lock(tmp_path), keep_idle(tmp_path) as is_idle:
		assert not is_idle and is_alive(tmp_path)
