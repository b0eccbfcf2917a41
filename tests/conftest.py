"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from press_deploy.demo.build import build_bench
from press_deploy.demo.practice_bench import PracticeBench


@pytest.hookimpl(trylast=True)  # what is not selected is gone by then
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
	"""Deal the slow tests to all workers, each at the front of its part, so that none is left with them in the end.

	The faults one by one, as each worker has one bench for all of them; the others by their modules, which share a server.
	"""
	workers = getattr(config, "workerinput", {}).get("workercount", 1)
	parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
	hands = groupby(items, lambda item: item.nodeid if "/faults/" in item.nodeid else item.path)
	for number, (_key, hand) in enumerate(hands):
		parts[number % workers] += hand
	items[:] = [item for part in parts for item in part]


@pytest.fixture
def practice_bench(tmp_path: Path) -> Iterator[PracticeBench]:
	"""A practice bench whose services are not started; whatever runs on it in the end is ended."""
	bench = build_bench(tmp_path / "practice")
	try:
		yield bench
	finally:
		bench.kill()


@pytest.fixture
def running_bench(practice_bench: PracticeBench) -> PracticeBench:
	"""A practice bench with web server, worker and helper at work."""
	practice_bench.start()
	return practice_bench
