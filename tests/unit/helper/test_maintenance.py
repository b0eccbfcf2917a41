import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import press_deploy.helper
from press_deploy.helper.errors import BadRequest, Conflict, NotFound, OperationFailed
from press_deploy.helper.leases import Clock
from press_deploy.helper.operations import Operations

from .support import RUN, SITES, FakeClock, FakeServices, build_test_bench, read_site, wait_until, write_json

A, B, C = SITES
ABSENT = {"present": False}
ON = {"present": True, "value": 1}


@pytest.fixture
def clock():
	return FakeClock()


@pytest.fixture
def operations(bench, directory, clock):
	return Operations(build_test_bench(bench), str(directory / "state"), FakeServices(), clock)


def set_mode(bench, site, value):
	write_json(
		bench / "sites" / site / "site_config.json", {**read_site(bench, site), "maintenance_mode": value}
	)


def get_mode(bench, site):
	return read_site(bench, site).get("maintenance_mode", "absent")


def break_site(bench, site):
	"""Make a site's configuration readable but impossible to change."""
	locks = bench / "sites" / site / "locks"
	locks.rmdir()
	locks.write_text("no directory")


@pytest.mark.parametrize("before", ["absent", 0, 1, None, True, False, "0", ""])
def test_on_and_off_restore_exactly(bench, operations, before):
	if before != "absent":
		set_mode(bench, A, before)
	content = (bench / "sites" / A / "site_config.json").read_bytes()
	answer = operations.maintenance_on(RUN, [A], 60)
	assert get_mode(bench, A) == 1 and type(get_mode(bench, A)) is int
	assert answer["previous"] == {A: ABSENT if before == "absent" else {"present": True, "value": before}}
	assert operations.maintenance_off(RUN, [A], answer["previous"]) == {}
	assert (bench / "sites" / A / "site_config.json").read_bytes() == content
	assert operations.status()["leases"] == []


def test_answers_have_the_promised_shape(operations, clock):
	lease = {"run": RUN, "sites": [A, B], "expires_at": clock.wall() + 60}
	answer = operations.maintenance_on(RUN, [A, B], 60)
	assert answer == {"previous": {A: ABSENT, B: ABSENT}, "lease": lease}
	assert operations.status()["leases"] == [{**lease, "expired": False}]
	clock.now += 50
	assert operations.maintenance_renew(RUN, 30) == {**lease, "expires_at": clock.wall() + 30}


def test_asking_again_returns_the_first_values_and_extends(bench, operations, clock):
	operations.maintenance_on(RUN, [A], 60)
	clock.now += 30
	answer = operations.maintenance_on(RUN, [A], 60)
	assert answer["previous"] == {A: ABSENT}
	assert answer["lease"]["expires_at"] == clock.wall() + 60


def test_sites_can_be_added_and_released_one_by_one(bench, operations):
	set_mode(bench, B, 0)
	operations.maintenance_on(RUN, [A], 60)
	answer = operations.maintenance_on(RUN, [B], 60)
	assert answer["previous"] == {A: ABSENT, B: {"present": True, "value": 0}}
	operations.maintenance_off(RUN, [A], {A: ABSENT})
	assert [lease["sites"] for lease in operations.status()["leases"]] == [[B]]
	assert (get_mode(bench, A), get_mode(bench, B)) == ("absent", 1)


def test_off_can_be_repeated_and_needs_no_lease(bench, operations):
	set_mode(bench, A, 1)
	for _ in range(2):
		assert operations.maintenance_off(RUN, [A], {A: ABSENT}) == {}
	assert get_mode(bench, A) == "absent"


@pytest.mark.parametrize("previous", [{}, {B: ABSENT}, {A: ABSENT, B: ABSENT}])
def test_off_needs_the_values_of_exactly_its_sites(operations, previous):
	with pytest.raises(BadRequest, match="exactly"):
		operations.maintenance_off(RUN, [A], previous)


def test_another_runs_live_lease_is_respected(bench, operations, clock):
	operations.maintenance_on(RUN, [A, B], 60)
	for act in (
		lambda: operations.maintenance_on("other", [B, C], 60),
		lambda: operations.maintenance_off("other", [B], {B: ABSENT}),
	):
		with pytest.raises(Conflict, match=rf"{B}: the run {RUN} holds maintenance for another 60 s"):
			act()
	assert get_mode(bench, C) == "absent"
	operations.maintenance_on("other", [C], 60)


def test_a_dead_runs_sites_are_taken_over_with_what_was_there_before_it(bench, operations, clock):
	operations.maintenance_on(RUN, [A, B], 60)
	clock.now += 61
	set_mode(bench, B, 0)  # an admin has opened this one by hand
	answer = operations.maintenance_on("other", [A, B], 60)
	assert answer["previous"] == {A: ABSENT, B: {"present": True, "value": 0}}
	assert [lease["run"] for lease in operations.status()["leases"]] == ["other"]
	with pytest.raises(NotFound, match=RUN):
		operations.maintenance_renew(RUN, 60)


def test_an_expired_lease_can_be_renewed(operations, clock):
	operations.maintenance_on(RUN, [A], 60)
	clock.now += 100
	assert operations.status()["leases"][0]["expired"] is True
	operations.maintenance_renew(RUN, 60)
	assert operations.status()["leases"][0]["expired"] is False


def test_renewing_nothing_is_refused(operations):
	with pytest.raises(NotFound, match="holds no maintenance lease"):
		operations.maintenance_renew(RUN, 60)


def test_a_lease_from_before_a_reboot_is_expired(operations, clock):
	operations.maintenance_on(RUN, [A], 3600)
	clock.boot_id, clock.now = "second boot", 5.0
	assert operations.status()["leases"][0]["expired"] is True


def test_when_one_site_fails_all_are_put_back(bench, operations):
	set_mode(bench, A, 0)
	break_site(bench, B)
	with pytest.raises(OperationFailed, match=rf"{B}.*put back"):
		operations.maintenance_on(RUN, [A, B, C], 60)
	assert [get_mode(bench, site) for site in SITES] == [0, "absent", "absent"]
	assert operations.status()["leases"] == []


def test_when_an_added_site_fails_the_first_stay(bench, operations):
	operations.maintenance_on(RUN, [A], 60)
	break_site(bench, B)
	with pytest.raises(OperationFailed, match=B):
		operations.maintenance_on(RUN, [A, B], 60)
	assert get_mode(bench, A) == 1
	assert [lease["sites"] for lease in operations.status()["leases"]] == [[A]]


def test_a_failed_takeover_leaves_the_dead_runs_lease(bench, operations, clock):
	operations.maintenance_on(RUN, [A], 60)
	clock.now += 61
	break_site(bench, B)
	with pytest.raises(OperationFailed, match=B):
		operations.maintenance_on("other", [A, B], 60)
	assert get_mode(bench, A) == 1
	assert [lease["run"] for lease in operations.status()["leases"]] == [RUN]


def test_when_putting_back_fails_too_the_lease_stays(bench, operations, monkeypatch):
	perform = operations._maintenance._bench_user.perform
	writes = []

	def fail_after_first_site(task, **arguments):
		if task != "write_maintenance":
			return perform(task, **arguments)
		writes.append(arguments)
		if len(writes) == 1:
			perform(task, values={A: ON}, keep_going=False)
		raise OperationFailed("the disk is gone")

	monkeypatch.setattr(operations._maintenance._bench_user, "perform", fail_after_first_site)
	with pytest.raises(OperationFailed, match="The lease is kept"):
		operations.maintenance_on(RUN, [A, B], 60)
	assert len(writes) == 2
	assert get_mode(bench, A) == 1
	assert operations.status()["leases"][0]["sites"] == [A, B]


def test_off_tries_every_site_and_keeps_the_lease_until_all_are_back(bench, operations):
	previous = operations.maintenance_on(RUN, [A, B], 60)["previous"]
	(bench / "sites" / A / "locks" / "site_config.lock").unlink()
	break_site(bench, A)
	with pytest.raises(OperationFailed, match=A):
		operations.maintenance_off(RUN, [A, B], previous)
	assert (get_mode(bench, A), get_mode(bench, B)) == (1, "absent")
	assert operations.status()["leases"]
	(bench / "sites" / A / "locks").unlink()
	operations.maintenance_off(RUN, [A, B], previous)
	assert get_mode(bench, A) == "absent"
	assert operations.status()["leases"] == []


@pytest.mark.parametrize("value", [[1], {"a": 1}, 1.5, "x" * 17])
def test_a_value_that_could_not_be_restored_is_not_overwritten(bench, operations, value):
	set_mode(bench, A, value)
	with pytest.raises(OperationFailed, match="set-maintenance-mode off"):
		operations.maintenance_on(RUN, [A], 60)
	assert get_mode(bench, A) == value
	assert operations.status()["leases"] == []


def test_state_that_makes_no_sense_is_not_guessed_at(bench, operations, directory):
	operations.maintenance_on(RUN, [A], 60)
	for content in ("{", "[]", '{"release-1": {}}', '{"release-1": {"sites": []}}'):
		(directory / "state" / "leases.json").write_text(content)
		with pytest.raises(OperationFailed, match=str(directory / "state")):
			operations.maintenance_on(RUN, [A], 60)


KILLED_BEFORE_WRITE = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.unit.helper.support import *
from press_deploy.helper.operations import Operations
operations = Operations(build_test_bench(Path(sys.argv[2])), sys.argv[3])
perform = operations._maintenance._bench_user.perform
def die(task, values=None, **arguments):
	if task == "write_maintenance":
		first = dict(list(values.items())[:int(sys.argv[4])])
		perform(task, values=first, **arguments)
		os.kill(os.getpid(), signal.SIGKILL)
	return perform(task, **arguments)
operations._maintenance._bench_user.perform = die
operations.maintenance_on(RUN, list(SITES), 60)
"""


@pytest.mark.parametrize("written", [0, 1, 3])
def test_killed_between_lease_and_files_it_converges(bench, directory, written):
	set_mode(bench, A, 0)
	before = [read_site(bench, site) for site in SITES]
	root = str(Path(press_deploy.helper.__file__).parents[2])
	command = [
		sys.executable,
		"-c",
		KILLED_BEFORE_WRITE,
		root,
		str(bench),
		str(directory / "state"),
		str(written),
	]
	killed = subprocess.run(command, cwd=root, timeout=60)
	assert killed.returncode == -signal.SIGKILL
	leases = json.loads((directory / "state" / "leases.json").read_text())
	assert sorted(leases[RUN]["sites"]) == list(SITES)
	assert [get_mode(bench, site) for site in SITES].count(1) == written

	operations = Operations(build_test_bench(bench), str(directory / "state"), FakeServices(), Clock())
	answer = operations.maintenance_on(RUN, list(SITES), 60)
	assert answer["previous"] == {A: {"present": True, "value": 0}, B: ABSENT, C: ABSENT}
	assert [get_mode(bench, site) for site in SITES] == [1, 1, 1]
	operations.maintenance_off(RUN, list(SITES), answer["previous"])
	assert [read_site(bench, site) for site in SITES] == before


def test_the_watcher_resumes_expired_runs_with_growing_pauses(operations, clock):
	resumed = []
	watcher = operations.build_watcher(resumed.append)
	operations.maintenance_on(RUN, [A], 60)
	assert watcher.check() == []
	clock.now += 60
	times = []
	for _ in range(3000):
		times += [clock.now] * len(watcher.check())
		clock.now += 1
	pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
	assert pauses == [30, 60, 120, 240, 480, 600, 600, 600]
	assert set(resumed) == {RUN}


def test_a_renewed_lease_is_left_alone_and_starts_over(operations, clock):
	watcher = operations.build_watcher(lambda run: None)
	operations.maintenance_on(RUN, [A], 60)
	clock.now += 61
	assert watcher.check() == [RUN]
	operations.maintenance_renew(RUN, 60)
	clock.now += 59
	assert watcher.check() == []
	clock.now += 2
	assert watcher.check() == [RUN]


def test_a_failing_resume_is_tried_again_and_never_opens_the_site(bench, operations, clock):
	attempts = []

	def fail(run):
		attempts.append(clock.now)
		raise NotFound("no plan")

	watcher = operations.build_watcher(fail)
	operations.maintenance_on(RUN, [A], 10)
	clock.now += 11
	for _ in range(100):
		assert watcher.check() == []
		clock.now += 1
	assert len(attempts) == 3
	assert get_mode(bench, A) == 1


def test_the_watcher_starts_a_real_runner(bench, operations, clock):
	operations.maintenance_on(RUN, [A], 10)
	clock.now += 11
	try:
		assert operations.build_watcher().check() == [RUN]
		wait_until(lambda: (bench / "runner.json").exists(), "the runner runs")
	finally:
		(bench / "release").touch()
	assert json.loads((bench / "runner.json").read_text())["argv"] == ["resume", RUN, "--bench", str(bench)]


def test_the_real_clock_makes_sense():
	clock = Clock()
	assert clock.elapsed() > 0
	assert len(clock.boot()) == 36
	assert os.path.exists("/proc/sys/kernel/random/boot_id")
