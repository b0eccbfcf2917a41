"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from press_deploy.demo.build import build_bench
from press_deploy.demo.practice_bench import PracticeBench


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
