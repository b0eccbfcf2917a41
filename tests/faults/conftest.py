"""One practice bench for many faults: each test finds it as it was built, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from press_deploy.demo.build import build_bench
from press_deploy.demo.practice_bench import PracticeBench
from tests.faults.bench_state import reset


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PracticeBench, Path]]:
	directory = tmp_path_factory.mktemp("faults")
	bench = build_bench(directory / "practice")
	try:
		bench.start()
		pristine = directory / "pristine"
		shutil.copytree(bench.path / "sites", pristine / "sites", symlinks=True)
		yield bench, pristine
	finally:
		bench.kill()


@pytest.fixture
def bench(shared_bench: tuple[PracticeBench, Path]) -> PracticeBench:
	practice, pristine = shared_bench
	reset(practice, pristine)
	return practice
