"""Services without a helper: one set of operations for the whole process, whoever asks first."""

import threading

import pytest

from press_deploy.engine.bench import services
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.services import Services

from .support import HANG_SECONDS, make_bench


class FakeOperations:
	"""Counts itself, and takes its time to be made: until a second one is being made, or nobody comes."""

	made: list["FakeOperations"] = []
	second = threading.Event()

	def __init__(self, *_arguments, **_options):
		self.made.append(self)
		if len(self.made) > 1:
			self.second.set()
		self.second.wait(0.5)
		self.continued, self.closed = 0, 0

	def continue_restarts(self):
		self.continued += 1

	def status(self):
		return {"programs": [], "leases": []}

	def maintenance_renew(self, run, lease_seconds):
		return {}

	def wait_for_restarts(self, seconds):
		return []

	def close(self):
		self.closed += 1


@pytest.fixture
def made(monkeypatch):
	monkeypatch.setattr(FakeOperations, "made", [])
	monkeypatch.setattr(FakeOperations, "second", threading.Event())
	monkeypatch.setattr(services, "open_local", FakeOperations)
	return FakeOperations.made


def test_the_lease_and_the_runner_get_the_same_operations(made, tmp_path, monkeypatch):
	monkeypatch.setenv("PRESS_DEPLOY_HELPER_SOCKET", str(tmp_path / "nobody"))
	opened = Services(Bench.open(make_bench(tmp_path / "bench")))
	assert not opened.has_helper
	start = threading.Barrier(2)

	def ask(verb):
		start.wait(HANG_SECONDS)
		verb()

	threads = [
		threading.Thread(target=ask, args=(verb,))
		for verb in (opened.programs, lambda: opened.maintenance_renew("run-1", 30))
	]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join(HANG_SECONDS)
	opened.close()
	assert [(each.continued, each.closed) for each in made] == [(1, 1)]
