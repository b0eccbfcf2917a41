"""`press-deploy demo`: the whole way through the real engine, each release to the end that it deserves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.demo import processes
from press_deploy.demo.build import open_or_build
from press_deploy.demo.releases import DEMONSTRATED
from press_deploy.engine.journal.run_directory import list_runs
from press_deploy.engine.journal.state import State, load_state
from tests.support.practice_bench import git

LIMIT_SECONDS = 180


def demonstrate(*arguments, temporary):
	command = [sys.executable, "-m", "press_deploy.cli", "demo", "--monitor", "2", *map(str, arguments)]
	environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(temporary), "TMPDIR": str(temporary)}
	ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=environment)
	return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("release", DEMONSTRATED)
def test_each_release_ends_as_it_deserves(tmp_path, release):
	place = tmp_path / "practice"
	code, said = demonstrate("--release", release, "--directory", place, temporary=tmp_path)
	assert code == (0 if release == "good" else 3), said
	(name,) = re.findall(r"^run: (\S+)$", said, re.MULTILINE)
	bench = open_or_build(place)
	(run,) = list_runs(bench.path)
	assert run.name == name
	assert load_state(run).state is (State.SUCCEEDED if release == "good" else State.ROLLED_BACK)
	assert git(bench, "rev-parse", "HEAD") == git(
		bench, "rev-parse", f"upstream/{'good' if code == 0 else 'main'}"
	)
	assert f"serving {'2.0.0' if release == 'good' else '1.0.0'}\n" in said
	assert processes.find_all(bench.places) == []


def test_one_go_and_one_rollback(tmp_path):
	code, said = demonstrate(temporary=tmp_path)
	assert code == 0, said
	reports = [Path(found) for found in re.findall(r"^report: (.+)$", said, re.MULTILINE)]
	assert len(reports) == 2 and all(report.stat().st_size > 1000 for report in reports)
	# Nothing else is kept.
	assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"report.html", "report.json"}


@pytest.mark.parametrize(
	("arguments", "named"),
	[
		(("--release", "perfect"), "release"),
		(("--release", "migrating-bad"), "release"),
		(("--monitor", "-1"), "monitor"),
		(("--monitor", "nan"), "monitor"),
	],
)
def test_wrong_input_is_refused_before_anything_is_built(tmp_path, arguments, named):
	code, said = demonstrate(*arguments, temporary=tmp_path)
	assert (code, f"“{named}”" in said) == (2, True), said
	assert list(tmp_path.iterdir()) == []
