import json

import pytest

from press_deploy.helper import restarts
from press_deploy.helper.errors import NotFound, OperationFailed
from press_deploy.helper.operations import Operations

from .support import HANG_SECONDS, FakeServices, build_test_bench, wait_until

WEB, WORKER, SCHEDULE = "shop-web:web", "shop-workers:worker", "shop-workers:schedule"
SERVICES = {
	"kind": "supervisor",
	"socket": "/run/none.sock",
	"web": [WEB],
	"realtime": [],
	"workers": [WORKER, SCHEDULE],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
	monkeypatch.setattr(restarts, "POLL_SECONDS", 0.01)


@pytest.fixture
def services():
	return FakeServices(WEB, WORKER, SCHEDULE)


@pytest.fixture
def build(bench, directory, services):
	built = []

	def build_operations():
		built.append(Operations(build_test_bench(bench, SERVICES), str(directory / "state"), services))
		return built[-1]

	yield build_operations
	for operations in built:
		operations.close()


def describe(operations, name):
	return next(program for program in operations.status()["programs"] if program["name"] == name)


def test_a_restart_gives_a_new_process(build, services):
	operations = build()
	assert operations.restart("web") == {"restarting": [WEB]}
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert services.calls == [("stop", WEB), ("start", WEB)]
	status = describe(operations, WEB)
	assert (status["pid"], status["role"], status["restart_pending"]) == (1001, "web", False)


def test_what_takes_long_is_looked_at_less_often():
	pauses = [restarts._grow_poll(seconds) for seconds in (0, 1, 10, 1560)]
	assert pauses == sorted(pauses) and pauses[0] == restarts.POLL_SECONDS < pauses[1]
	assert restarts._grow_poll(1e6) == restarts.LONGEST_POLL_SECONDS


def test_a_busy_worker_keeps_nobody_waiting(build, services):
	services.stubborn.add(WORKER)
	operations = build()
	operations.restart("workers")
	operations.restart("web")
	wait_until(lambda: operations.wait_for_restarts(0) == [WORKER], "all others have been restarted")
	status = describe(operations, WORKER)
	assert (status["state"], status["restart_pending"]) == ("STOPPING", True)
	services.let_stop(WORKER)
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert describe(operations, WORKER)["state"] == "RUNNING"


def test_asking_again_while_it_stops_is_served_by_the_same_restart(build, services):
	services.stubborn.add(WORKER)
	operations = build()
	operations.restart("workers")
	wait_until(lambda: ("stop", WORKER) in services.calls, "the worker is asked to stop")
	operations.restart("workers")
	services.let_stop(WORKER)
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert services.calls.count(("start", WORKER)) == 1


def test_asking_again_once_it_starts_restarts_once_more(build, services, monkeypatch):
	operations = build()
	normal = services.start

	def start_slowly(name):
		normal(name)
		services.programs[name]["state"] = "STARTING"

	monkeypatch.setattr(services, "start", start_slowly)
	operations.restart("web")
	wait_until(lambda: services.programs[WEB]["state"] == "STARTING", "web is starting")
	stale = services.programs[WEB]["pid"]
	monkeypatch.setattr(services, "start", normal)
	operations.restart("web")
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert services.programs[WEB]["pid"] not in (stale, None)


@pytest.mark.parametrize(
	("phase", "state", "pid", "calls"),
	[
		("stop", "RUNNING", 100, [("stop", WEB), ("start", WEB)]),
		("stop", "STOPPED", None, [("start", WEB)]),
		("stop", "FAILED", None, [("start", WEB)]),
		("stop", "RUNNING", 999, []),
		("start", "STOPPED", None, [("start", WEB)]),
		("start", "RUNNING", 999, []),
	],
)
def test_what_a_dead_helper_left_is_finished(build, services, directory, phase, state, pid, calls):
	services.programs[WEB] = {"state": state, "pid": pid}
	(directory / "state").mkdir()
	left = {WEB: {"phase": phase, "pid": 100}, "foreign:program": {"phase": "stop", "pid": 1}}
	(directory / "state" / "restarts.json").write_text(json.dumps(left))
	operations = build()
	assert operations.continue_restarts() == [WEB]
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert services.calls == calls
	assert services.programs[WEB]["state"] == "RUNNING"


def test_a_restart_outlives_the_helper(build, services):
	services.stubborn.add(WEB)
	first = build()
	first.restart("web")
	wait_until(lambda: ("stop", WEB) in services.calls, "web is asked to stop")
	first.close()
	services.let_stop(WEB)
	assert ("start", WEB) not in services.calls
	second = build()
	second.continue_restarts()
	assert second.wait_for_restarts(HANG_SECONDS) == []
	assert services.programs[WEB]["state"] == "RUNNING"


def test_a_start_that_fails_is_repeated_and_shown(build, services, monkeypatch):
	monkeypatch.setattr(restarts, "LONGEST_PAUSE_SECONDS", 0.05)
	services.broken_starts[WEB] = 10**6
	operations = build()
	operations.restart("web")
	wait_until(lambda: "no such file" in describe(operations, WEB)["description"], "the failure is shown")
	wait_until(lambda: services.calls.count(("start", WEB)) >= 3, "the start is repeated")
	assert describe(operations, WEB)["restart_pending"] is True
	services.broken_starts[WEB] = 0
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert describe(operations, WEB)["description"] == "fake"


def test_a_program_that_dies_after_its_start_is_started_again(build, services, monkeypatch):
	monkeypatch.setattr(restarts, "LONGEST_PAUSE_SECONDS", 0.05)
	operations = build()
	normal = services.start

	def die_twice(name):
		normal(name)
		if services.calls.count(("start", name)) < 3:
			services.programs[name] = {"state": "FAILED", "pid": None}

	monkeypatch.setattr(services, "start", die_twice)
	operations.restart("web")
	assert operations.wait_for_restarts(HANG_SECONDS) == []
	assert services.calls.count(("start", WEB)) == 3


def test_pauses_grow_up_to_a_limit():
	pauses = [restarts._grow_pause(failures) for failures in range(1, 10)]
	assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_supervisor_that_does_not_answer_leaves_nothing_pending(build, services, monkeypatch):
	def fail(name):
		raise OperationFailed("no supervisor")

	operations = build()
	monkeypatch.setattr(services, "status", fail)
	with pytest.raises(OperationFailed, match="no supervisor"):
		operations.restart("web")
	assert operations.wait_for_restarts(0) == []


def test_a_role_without_services_is_no_success(build):
	operations = build()
	for act in (operations.restart, operations.reload):
		with pytest.raises(NotFound, match="No realtime service"):
			act("realtime")


def test_reload_signals_the_role_only(build, services):
	assert build().reload("workers") == {"signalled": [WORKER, SCHEDULE]}
	assert services.calls == [("reload", WORKER), ("reload", SCHEDULE)]


def test_an_unknown_program_is_shown_as_unknown(build, services):
	del services.programs[WEB]
	assert describe(build(), WEB)["state"] == "UNKNOWN"
