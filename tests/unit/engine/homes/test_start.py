"""A home is started only while it is what it was when it was made, and by nothing but its own interpreter."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.engine.homes import start
from press_deploy.engine.homes.making import find_base_interpreter
from press_deploy.engine.homes.start import START

SAYS = (
	"import sys\nprint(sys.argv[1:], sys.flags.isolated, sys.flags.no_site, int(sys.dont_write_bytecode))\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
	"""One whose `press_deploy.cli` says how it was started."""
	contents = {
		"press_deploy/__init__.py": "",
		"press_deploy/cli/__init__.py": "",
		"press_deploy/cli/__main__.py": SAYS,
		"other/data.json": "{}",
	}
	files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()}
	python = find_base_interpreter()
	home = tmp_path / "bench/deployments/homes" / start.name_of("1.0", python, files)
	for name, text in contents.items():
		(home / start.PACKAGES / name).parent.mkdir(parents=True, exist_ok=True)
		(home / start.PACKAGES / name).write_text(text)
	(home / START).write_text(start.write_start(python, Path(start.__file__).read_text()))
	(home / START).chmod(0o700)
	facts = {"version": "1.0", "python": python, "cache_tag": sys.implementation.cache_tag, "files": files}
	write_facts(home, {**facts, "compiled": {}, "start": start.digest(str(home / START))})
	return home


def put_environment(home: Path) -> Path:
	"""The bench's environment, whose `press-deploy` says what it was told."""
	command = home.parents[2] / "env/bin/press-deploy"
	command.parent.mkdir(parents=True)
	command.write_text('#!/bin/sh\necho "environment: $*"\n')
	command.chmod(0o700)
	return command


def write_facts(home: Path, facts: dict) -> None:
	(home / start.FACTS).write_text(json.dumps(facts))


def change_facts(home: Path, **changed: object) -> None:
	write_facts(home, {**json.loads((home / start.FACTS).read_text()), **changed})


def call(*command: str, **environment: str) -> subprocess.CompletedProcess:
	return subprocess.run(
		[*command, "status", "a run"],
		env={"PATH": os.environ["PATH"], **environment},
		capture_output=True,
		text=True,
		timeout=60,
	)


def test_a_whole_home_has_no_damage(home: Path) -> None:
	assert start.find_damage(str(home)) is None


@pytest.mark.parametrize(
	("harm", "said"),
	[
		(lambda home: (home / "lib/other/data.json").write_text("{ }"), "other/data.json was changed"),
		(lambda home: (home / "lib/other/data.json").unlink(), "1 file(s) are gone, as "),
		(lambda home: (home / "lib/click.py").write_text(""), "1 file(s) were put there, as "),
		(lambda home: (home / "lib/click").symlink_to("/tmp"), "1 file(s) were put there, as "),
		(lambda home: (home / START).open("a").write("\n"), "press-deploy was changed"),
		(lambda home: (home / start.FACTS).unlink(), "home.json can't be read: No such file"),
		(lambda home: (home / start.FACTS).write_text("{"), "home.json is not what it was"),
		(lambda home: change_facts(home, files={}), "home.json is not what it was"),
		(lambda home: change_facts(home, version="2.0"), "home.json is not what it was"),
		(lambda home: change_facts(home, compiled=None), "home.json is not what it was"),
	],
)
def test_damage_is_named_and_nothing_is_started(home: Path, harm, said: str) -> None:
	harm(home)
	assert said in start.find_damage(str(home))

	ended = call(str(home / START))

	assert ended.returncode == start.REFUSED and said in ended.stderr and not ended.stdout
	assert f"{home.parents[2]}/env/bin/press-deploy status 'a run' --installed" in ended.stderr


def test_damage_is_left_to_the_environment_once(home: Path) -> None:
	"""It can make the home again. If it sends back here all the same, that is told."""
	command = put_environment(home)
	(home / "lib/other/data.json").unlink()
	ended = call(str(home / START))
	assert ended.stdout == "environment: status a run\n" and "are gone" in ended.stderr
	command.write_text(f'#!/bin/sh\nexec {home / START} "$@"\n')
	ended = call(str(home / START))
	assert ended.returncode == start.REFUSED and ended.stderr.count("are gone") == 2


def test_an_interpreter_that_is_gone_is_named(home: Path) -> None:
	facts = json.loads((home / start.FACTS).read_text())
	gone = "/usr/bin/python3.2"
	there = home.with_name(start.name_of("1.0", gone, facts["files"]))
	home.rename(there)
	change_facts(there, python=gone)
	assert start.find_damage(str(there)) == f"it needs the interpreter {gone}, which is gone"
	(there / START).write_text(start.write_start(gone, ""))
	ended = call(str(there / START))
	assert (
		ended.returncode == start.REFUSED
		and f"it needs the interpreter {gone}, which is gone" in ended.stderr
	)
	assert "env/bin/press-deploy status a run --installed" in ended.stderr


def test_an_interpreter_that_was_replaced_is_refused(home: Path) -> None:
	change_facts(home, cache_tag="cpython-32")
	ended = call(str(home / START))
	assert ended.returncode == start.REFUSED
	assert "is another version by now; the home needs cpython-32" in ended.stderr


def test_its_path_may_be_any(home: Path, tmp_path: Path) -> None:
	elsewhere = tmp_path / "a bench, é"
	shutil.move(home, elsewhere / home.name)
	assert call(str(elsewhere / home.name / START)).stdout == "['status', 'a run'] 1 1 1\n"


@pytest.mark.parametrize("python", [None, sys.executable, find_base_interpreter()])
def test_however_it_is_started_it_sees_nothing_else(home: Path, tmp_path: Path, python: str | None) -> None:
	(tmp_path / "press_deploy.py").write_text("raise SystemExit('not mine')")
	ended = call(*([python] if python else []), str(home / START), PYTHONPATH=str(tmp_path))
	assert ended.stdout == "['status', 'a run'] 1 1 1\n", ended.stderr


def test_a_link_leads_to_it(home: Path, tmp_path: Path) -> None:
	(tmp_path / "press-deploy").symlink_to(home / START)
	assert call(str(tmp_path / "press-deploy")).stdout == "['status', 'a run'] 1 1 1\n"
