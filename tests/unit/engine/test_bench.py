"""The bench as people are told of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from press_deploy.cli.guard import find_own_bench
from press_deploy.engine.bench.bench import Bench


def test_a_command_for_a_bench_with_the_program_names_the_program(tmp_path: Path) -> None:
	program = tmp_path / "my bench" / "env" / "bin" / "press-deploy"
	program.parent.mkdir(parents=True)
	program.touch()
	typed = Bench(tmp_path / "my bench").command_to_type("decide", "run-1", "go")
	assert typed == f"'{program}' decide run-1 go"


def test_a_command_for_another_bench_names_the_bench(tmp_path: Path) -> None:
	assert Bench(tmp_path).command_to_type("status", "a") == f"press-deploy status a --bench {tmp_path}"


def test_the_program_knows_the_bench_that_it_is_installed_on(
	tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
	assert find_own_bench() == "."
	for name in ("apps", "sites"):
		(tmp_path / name).mkdir()
	assert find_own_bench() == str(tmp_path)
