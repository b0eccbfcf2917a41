"""What a release does to the environment reaches no runner: killed in the middle, resumed from its home, and back."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import press_deploy
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.demo.shop_source import BUILD, UNITS, require
from press_deploy.engine.bench.environment_files import Listing, find_differences, list_files
from press_deploy.engine.homes.home import START
from press_deploy.engine.journal.journal import read_journal
from press_deploy.engine.journal.lock import read_owner
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import EXIT_CODES, State, load_state
from tests.faults.bench_state import (
	HANG_SECONDS,
	Picture,
	assert_in_order,
	create_run,
	publish,
	quick_plan,
	take_picture,
)
from tests.faults.saboteur import Saboteur, run_sabotaged
from tests.support.practice_bench import wait_until

# Executed by pip while it installs the release, in the app's directory. It waits until its runner was killed.
HARM = """
import shutil, time
environment = Path.cwd().parents[1] / "env"
(own,) = environment.glob("lib/python*/site-packages")
reached = Path.cwd().parents[1] / "reached"
{harm}
is_first = not reached.exists()
reached.touch()
while is_first:
	time.sleep(0.1)
"""
HARMS = {
	# What `pydantic<2` means for whoever imports it from this environment.
	"pins pydantic<2": '(own / "pydantic.py").write_text("VERSION = \\"1.10\\"\\n")',
	"uninstalls requests": '(own / "requests.py").write_text("raise ModuleNotFoundError(\\"requests\\")\\n")',
	"deletes site-packages": "shutil.rmtree(own)",
	"is another press_deploy": 'shutil.copytree("release", own / "press_deploy", dirs_exist_ok=True)',
}


def publish_harm(bench: PracticeBench, harm: str) -> None:
	"""A release of the shop, `harmful`, that asks for requirements and does this to the environment meanwhile."""
	build = BUILD.replace(
		'\tname, about = "shop', f'\texec({HARM.format(harm=harm)!r}, globals())\n\tname, about = "shop', 1
	)
	assert build != BUILD
	files = {"build_shop.py": build, "pyproject.toml": require(f"{UNITS}==1.0") + "# another\n"}
	if "press_deploy" in harm:
		files |= other_press_deploy()
	publish(bench, "harmful", files)


def other_press_deploy() -> dict[str, str]:
	"""This app as a later version might be: a step has another name, and there is one more."""
	package = Path(press_deploy.__file__).parent
	files = {
		f"release/{file.relative_to(package)}": file.read_text()
		for part in ("engine", "cli", "helper", "demo")
		for file in (package / part).rglob("*")
		if file.is_file() and "__pycache__" not in file.parts
	}
	files["release/__init__.py"] = '__version__ = "99.0.0"\n'
	table, install = "release/engine/steps/__init__.py", "release/engine/steps/install.py"
	files[install] = files[install].replace('title, phase = "stabilise"', 'title, phase = "settle"')
	files[table] = files[table].replace(
		"\t\tFollowUp(),\n", "\t\tFollowUp(),\n\t\tMarkLogs(watched_logs, databases),\n"
	)
	return files


def command(bench: PracticeBench, run: RunDirectory, *words: str) -> list[str]:
	"""What a person types: with the environment as it is."""
	return [str(bench.places.python), "-m", "press_deploy.cli", *words, run.name, "--bench", str(bench.path)]


@dataclass(frozen=True)
class Killed:
	"""A run whose runner was killed while pip was at work on the release, and what was there before."""

	run: RunDirectory
	before: Picture
	environment: Listing


@pytest.fixture(params=HARMS)
def killed(request: pytest.FixtureRequest, bench: PracticeBench) -> Killed:
	before, environment = take_picture(bench), list_files(bench.path / "env")
	publish_harm(bench, HARMS[request.param])
	reached = bench.path / "reached"
	reached.unlink(missing_ok=True)
	run = create_run(bench, quick_plan(bench, "harmful", requirements="always"))
	with subprocess.Popen(command(bench, run, "resume"), cwd="/", stdout=subprocess.DEVNULL) as started:
		wait_until(lambda: reached.exists() or started.poll() is not None, "pip at work", HANG_SECONDS)
		os.kill(read_owner(bench.path / "deployments").pid, signal.SIGKILL)
		started.wait(HANG_SECONDS)
	return Killed(run, before, environment)


def is_over(bench: PracticeBench, run: RunDirectory) -> bool:
	"""Whether it ended, and its runner has left."""
	return not load_state(run).is_unfinished and read_owner(bench.path / "deployments") is None


def test_a_run_is_resumed_and_rolled_back_from_its_home(bench: PracticeBench, killed: Killed) -> None:
	run = killed.run
	home = load_state(run).home
	assert home and (run.path / START).resolve().parent.name == home

	wait_until(lambda: is_over(bench, run), "the helper to resume the run", HANG_SECONDS)
	if load_state(run).state is State.SUCCEEDED:
		back = [str(run.path / START), "rollback", run.name]
		ended = subprocess.run(back, cwd="/", capture_output=True, text=True, timeout=HANG_SECONDS)
		assert ended.returncode == EXIT_CODES[State.ROLLED_BACK], ended.stdout + ended.stderr

	assert assert_in_order(bench, run).state is State.ROLLED_BACK, load_state(run).reason
	assert take_picture(bench) == killed.before
	assert find_differences(killed.environment, list_files(bench.path / "env")) == []
	starts = [each.data for each in read_journal(run.journal) if each.event == "runner-started"]
	assert len(starts) >= 2 and {each["home"] for each in starts} == {home}


def test_what_a_release_replaced_comes_back_without_a_package_index(bench: PracticeBench) -> None:
	before, offered = take_picture(bench), bench.directory / "packages"
	run = create_run(bench, quick_plan(bench, "equipped-bad"))
	away = offered.with_name("away")
	try:
		gone = Saboteur("step-observed", "requirements", lambda: offered.rename(away))
		assert run_sabotaged(bench, run, gone) is State.ROLLED_BACK, load_state(run).reason
	finally:
		away.rename(offered)
	assert_in_order(bench, run)
	assert take_picture(bench) == before
