"""The lease lives as long as the runner; maintenance is what the web server says."""

import json
import os
import subprocess
import time

import pytest

from press_deploy.engine.bench import maintenance
from press_deploy.engine.bench.answer import GOOD, MAINTENANCE, REFUSED, SERVER_ERROR, TIMEOUT, Answer
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.maintenance import (
	CLOSED,
	CLOSED_OR_BROKEN,
	LEASE_SECONDS,
	OPEN,
	Lease,
	MaintenanceObserver,
)
from press_deploy.engine.bench.programs import end_group
from press_deploy.engine.bench.services import WEB
from press_deploy.engine.ground.errors import ServiceError

from .support import SITE, make_bench, wait_until


class FakeServices:
	"""Remembers what was renewed and reloaded; refuses while `refuses` is set."""

	def __init__(self, master: int | None = None):
		self.renewed, self.reloaded, self.refuses, self.master = [], [], False, master

	def maintenance_renew(self, run, seconds):
		if self.refuses:
			raise ServiceError("Renewing", run, "the helper is gone", "start it")
		self.renewed.append((run, seconds))

	def reload(self, role):
		self.reloaded.append(role)

	def programs(self, role):
		return [{"pid": self.master, "state": "RUNNING"}] if self.master else []


class FakeWeb:
	"""Gives the answers of a list, the last one for ever."""

	def __init__(self, *kinds):
		self.kinds, self.asked = list(kinds), 0

	def ask(self, site):
		self.asked += 1
		kind = self.kinds.pop(0) if len(self.kinds) > 1 else self.kinds[0]
		return Answer(time.time(), 503 if kind == MAINTENANCE else None, kind, 1.0)


@pytest.fixture
def lease(monkeypatch):
	monkeypatch.setattr(maintenance, "RENEW_SECONDS", 0.01)
	notes, services = [], FakeServices()
	made = Lease(services, "run-1", notes.append)
	made.services, made.notes = services, notes
	yield made
	made.close()


def test_a_lease_is_renewed_until_it_is_closed(lease):
	lease.keep()
	lease.keep()
	wait_until(lambda: len(lease.services.renewed) > 3, "renewals")
	lease.close()
	count = len(lease.services.renewed)
	assert set(lease.services.renewed) == {("run-1", LEASE_SECONDS)}
	time.sleep(0.05)
	assert len(lease.services.renewed) == count
	lease.keep()
	wait_until(lambda: len(lease.services.renewed) > count, "renewals after it was kept again")


def test_a_helper_that_is_gone_for_a_while_is_noted_and_asked_again(lease):
	lease.services.refuses = True
	lease.keep()
	wait_until(lambda: lease.notes, "a note")
	lease.services.refuses = False
	wait_until(lambda: lease.services.renewed, "a renewal")
	assert "helper is gone" in lease.notes[0]


def test_what_is_handed_over_is_renewed_once_for_long_and_no_more(lease):
	lease.keep()
	lease.hand_over(600)
	assert lease.services.renewed[-1] == ("run-1", 600)
	count = len(lease.services.renewed)
	time.sleep(0.05)
	assert len(lease.services.renewed) == count


def test_a_hand_over_that_fails_is_noted(lease):
	lease.services.refuses = True
	lease.hand_over(600)
	assert "could not be extended" in lease.notes[0]


@pytest.fixture
def bench(tmp_path):
	bench = Bench(make_bench(tmp_path / "bench"))
	os.utime(bench.site_config(SITE), (1, 1))
	return bench


def observe(bench, *kinds, wanted=CLOSED, master=None):
	web = FakeWeb(*kinds)
	observation = MaintenanceObserver(bench, FakeServices(master), web).observe([SITE], wanted)
	return observation, web.asked


@pytest.mark.parametrize(
	"wanted,kinds,done",
	[
		(CLOSED, [MAINTENANCE], True),
		(CLOSED, [MAINTENANCE] * 9 + [GOOD], False),
		(CLOSED, [SERVER_ERROR], False),
		(CLOSED, [REFUSED], False),
		(CLOSED_OR_BROKEN, [SERVER_ERROR, REFUSED, MAINTENANCE], True),
		(CLOSED_OR_BROKEN, [SERVER_ERROR] * 9 + [GOOD], False),
		(CLOSED_OR_BROKEN, [TIMEOUT], True),
		(OPEN, [GOOD], True),
		(OPEN, [GOOD] * 9 + [MAINTENANCE], False),
		(OPEN, [GOOD] * 5 + [REFUSED, GOOD], False),
	],
)
def test_every_answer_has_to_be_a_wanted_one(bench, wanted, kinds, done):
	observation, asked = observe(bench, *kinds, wanted=wanted)
	assert observation.done is done and observation.found
	assert not done or asked >= maintenance.MINIMUM_ANSWERS


def test_reading_the_file_proves_nothing(bench):
	bench.site_config(SITE).write_text(json.dumps({"maintenance_mode": 1}))
	os.utime(bench.site_config(SITE), (1, 1))
	assert not observe(bench, GOOD)[0].done


def test_a_worker_older_than_the_configuration_counts_against_it(bench):
	with subprocess.Popen(
		["sh", "-c", "sleep 600 & sleep 600 & echo; wait"],
		stdout=subprocess.PIPE,
		start_new_session=True,
	) as master:
		try:
			master.stdout.readline()
			observation, asked = observe(bench, MAINTENANCE, master=master.pid)
			assert observation.done and observation.evidence["workers"] == 2 and asked >= 8
			os.utime(bench.site_config(SITE), (time.time() + 60, time.time() + 60))
			observation, asked = observe(bench, MAINTENANCE, master=master.pid)
			assert not observation.done and "older" in observation.found and not asked
		finally:
			end_group(master)


def test_it_reloads_and_looks_until_it_is_so(bench):
	services, web = FakeServices(), FakeWeb(GOOD, REFUSED, MAINTENANCE)
	MaintenanceObserver(bench, services, web).wait_until([SITE], CLOSED)
	assert services.reloaded == [WEB] and web.asked >= 2 + maintenance.MINIMUM_ANSWERS
	web = FakeWeb(GOOD)
	MaintenanceObserver(bench, services, web).wait_until([SITE], CLOSED, seconds=0.2)
	assert web.asked > 1


def test_what_is_so_already_is_not_reloaded(bench):
	services = FakeServices()
	MaintenanceObserver(bench, services, FakeWeb(MAINTENANCE)).wait_until([SITE], CLOSED)
	assert services.reloaded == []
