import json
import os
import shutil
import sys

import pytest

from press_deploy.helper.bench_user import BenchUser
from press_deploy.helper.configuration import build_bench
from press_deploy.helper.errors import ConfigurationRefused, NotFound, OperationFailed
from press_deploy.helper.operations import Operations

from .support import RUN, FakeServices, build_test_bench, make_entry, wait_until


@pytest.fixture
def operations(bench, directory):
	operations = Operations(build_test_bench(bench), str(directory / "state"), FakeServices())
	yield operations
	(bench / "release").touch()
	wait_until(lambda: not operations._runners._children, "all runners have ended")


def await_runner(bench):
	wait_until(lambda: (bench / "runner.json").exists(), "the runner runs")
	return json.loads((bench / "runner.json").read_text())


def test_a_runner_is_detached_and_has_a_clean_surrounding(bench, operations, monkeypatch):
	monkeypatch.setenv("PYTHONPATH", "/tmp/evil")
	monkeypatch.setenv("SECRET", "1")
	answer = operations.start_runner(RUN)
	seen = await_runner(bench)
	assert answer == {"pid": seen["pid"]}
	assert seen["argv"] == ["resume", RUN, "--bench", str(bench)]
	assert seen["cwd"] == "/"
	assert seen["session"] == seen["pid"]
	assert seen["descriptors"] == [0, 1, 2]
	# LC_CTYPE is set by Python itself, in the runner.
	assert set(seen["environment"]) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME", "USER", "LOGNAME"}
	assert "runner says hello" in (bench / "logs" / "press_deploy.runner.log").read_text()


def test_a_living_runner_is_not_started_twice(bench, operations):
	first = operations.start_runner(RUN)
	await_runner(bench)
	assert operations.resume_runner(RUN) == first
	(bench / "release").touch()
	wait_until(lambda: not operations._runners._children, "the runner has ended and was reaped")
	assert not os.path.exists(f"/proc/{first['pid']}")
	(bench / "runner.json").unlink()
	assert operations.resume_runner(RUN) != first
	await_runner(bench)


def test_without_a_plan_nothing_is_started(bench, operations):
	with pytest.raises(NotFound, match=r"plan\.json"):
		operations.start_runner("unknown")
	(bench / "deployments" / "empty" / "plan.json").mkdir(parents=True)
	with pytest.raises(NotFound, match=r"plan\.json"):
		operations.start_runner("empty")
	assert not (bench / "logs" / "press_deploy.runner.log").exists()


def test_a_link_in_place_of_the_log_is_not_followed(bench, directory, operations):
	(bench / "logs" / "press_deploy.runner.log").symlink_to(directory / "elsewhere")
	with pytest.raises(OperationFailed, match="log"):
		operations.start_runner(RUN)
	assert not (directory / "elsewhere").exists()


def test_a_missing_interpreter_is_named(bench, directory):
	entry = {**make_entry(bench), "runner": [str(bench / "env/bin/python"), "-m", "press_deploy.cli"]}
	operations = Operations(build_bench("shop", entry), str(directory / "state"), FakeServices())
	with pytest.raises(NotFound, match="env/bin/python"):
		operations.start_runner(RUN)


def put_home(bench, python, run=RUN):
	"""A home whose `press-deploy` is the runner of these tests, and the run's link to it."""
	home = bench / "deployments" / "homes" / "1.0-a"
	home.mkdir(parents=True)
	(home / "home.json").write_text(json.dumps({"python": python}))
	(home / "press-deploy").write_text((bench / "runner.py").read_text())
	(bench / "deployments" / run / "press-deploy").symlink_to("../homes/1.0-a/press-deploy")
	return home


def test_a_run_is_resumed_from_its_home_whatever_became_of_the_environment(bench, directory):
	put_home(bench, os.path.realpath(sys.executable))
	entry = {**make_entry(bench), "runner": [str(bench / "env/bin/python"), "-m", "press_deploy.cli"]}
	operations = Operations(build_bench("shop", entry), str(directory / "state"), FakeServices())
	operations.start_runner(RUN)
	assert await_runner(bench)["argv"] == ["resume", RUN, "--bench", str(bench)]
	(bench / "release").touch()
	wait_until(lambda: not operations._runners._children, "the runner has ended and was reaped")


@pytest.mark.parametrize(
	"harm",
	[
		lambda home: shutil.rmtree(home),
		lambda home: (home / "home.json").write_text("{"),
		lambda home: (home / "home.json").write_text('{"python": "/usr/bin/python3.2"}'),
		lambda home: (home / "home.json").write_text('{"python": null}'),
		lambda home: (home / "press-deploy").unlink(),
	],
	ids=["gone", "no JSON", "no interpreter", "no path", "nothing to start"],
)
def test_a_home_that_cannot_be_started_is_left_to_the_environment(bench, operations, harm):
	"""That makes it again, or says in the log why not."""
	harm(put_home(bench, sys.executable))
	operations.start_runner(RUN)
	assert await_runner(bench)["argv"] == ["resume", RUN, "--bench", str(bench)]


def test_another_users_bench_is_refused_without_root(bench, monkeypatch):
	foreign = build_test_bench(bench)
	monkeypatch.setattr(os, "geteuid", lambda: 12345)
	with pytest.raises(ConfigurationRefused, match="this process is user id 12345"):
		BenchUser(foreign)


def test_a_child_that_answers_nothing_is_ended(bench, monkeypatch):
	monkeypatch.setattr("press_deploy.helper.bench_user.CHILD_SECONDS", 0.3)
	monkeypatch.setattr("press_deploy.helper.bench_user.PROGRAM", "import time; time.sleep(60)")
	with pytest.raises(OperationFailed, match="gave no answer"):
		BenchUser(build_test_bench(bench)).launch(RUN)


@pytest.mark.parametrize(
	"program",
	[
		"pass",
		"import os; os.write(0, b'x' * 100)",
		"import os; os.write(0, b'\\xff\\xff\\xff\\xff' + b'x' * 100)",
		"import os; os.write(0, b'\\0\\0\\0\\2[]')",
	],
)
def test_a_child_is_not_believed(bench, monkeypatch, program):
	monkeypatch.setattr("press_deploy.helper.bench_user.PROGRAM", program)
	with pytest.raises(OperationFailed, match="gave no answer"):
		BenchUser(build_test_bench(bench)).launch(RUN)
