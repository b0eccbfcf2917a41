"""What a home holds, that it is made once and mended, and which one a run is executed from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from press_deploy import __version__
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.homes import making
from press_deploy.engine.homes.home import HOMES, START, Home, home_of, running_home
from press_deploy.engine.homes.installed import find_distributions, list_installed
from press_deploy.engine.homes.making import make_home, remove_unused
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory

from ..support import make_bench, make_spec

TOMORROW = datetime.now(timezone.utc) + timedelta(days=2)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
	"""A bench with a home, which takes seconds."""
	bench = Bench.open(make_bench(tmp_path_factory.mktemp("home") / "bench"))
	bench.deployments.mkdir()
	make_home(bench, __version__)
	yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	bench = Bench.open(make_bench(tmp_path / "bench"))
	bench.deployments.mkdir()
	return bench


def put_home(bench: Bench, name: str) -> Home:
	home = Home(bench.deployments / HOMES / name)
	home.path.mkdir(parents=True)
	(home.path / START).touch()
	return home


def begin_run(bench: Bench, *homes: str | None) -> RunDirectory:
	"""A run whose runner was started from these homes, one after the other."""
	run = RunDirectory.create(bench.path, make_spec())
	journal = Journal(run.journal)
	journal.append("run-created", {"plan_sha256": run.read_plan().sha256, "run": run.name, "dry_run": False})
	for home in homes:
		journal.append("runner-started", {"pid": 1, "resumed": False, **({"home": home} if home else {})})
	journal.close()
	return run


def only_home(bench: Bench) -> Home:
	(path,) = (path for path in (bench.deployments / HOMES).iterdir() if path.is_dir())
	return Home(path)


class TestContent:
	def test_it_is_the_engine_and_what_that_asks_for(self) -> None:
		names = {name.partition("/")[0] for name in list_installed()}
		assert {"press_deploy", "click", "pydantic", "boto3", "requests", "urllib3"} <= names
		assert not names & {"frappe", "pytest", "supervisor", "gunicorn", "pip"}
		parts = {name.split("/")[1] for name in list_installed() if name.startswith("press_deploy/")}
		assert parts == {"__init__.py", "engine", "cli", "helper"}

	def test_what_is_not_installed_is_named(self) -> None:
		with pytest.raises(Refused, match="no-such-distribution: it is not installed"):
			find_distributions("no-such-distribution")


class TestMaking:
	def test_it_needs_nothing_else(self, shared: Bench) -> None:
		command = only_home(shared).command("--version")
		ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": "/"})
		assert ended.stdout == f"press-deploy, version {__version__}\n", ended.stderr

	def test_it_is_made_once(self, shared: Bench) -> None:
		home = only_home(shared)
		made, said = home.path.stat().st_ino, []
		assert make_home(shared, __version__, said.append) == home
		assert home.path.stat().st_ino == made and not said

	def test_nobody_may_write_into_it(self, shared: Bench) -> None:
		for place, directories, names in os.walk(only_home(shared).path):
			for name in [*directories, *names]:
				assert not os.lstat(os.path.join(place, name)).st_mode & 0o222

	def test_its_files_are_no_links_to_the_environment(self, shared: Bench) -> None:
		name, source = next(
			(name, path) for name, path in list_installed().items() if name.startswith("click/")
		)
		assert not (only_home(shared).path / "lib" / name).samefile(source)

	def test_one_that_was_damaged_is_made_again(self, shared: Bench) -> None:
		home = only_home(shared)
		harmed = home.path / "lib/press_deploy/__init__.py"
		harmed.chmod(0o600)
		harmed.write_text("")
		assert home.find_damage() == f"{harmed} was changed"
		assert make_home(shared, __version__) == home == only_home(shared)
		assert home.find_damage() is None

	def test_what_is_not_enough_is_refused_and_nothing_is_left(
		self, bench: Bench, monkeypatch: pytest.MonkeyPatch
	) -> None:
		files = {name: path for name, path in list_installed().items() if not name.startswith("click/")}
		monkeypatch.setattr(making, "list_installed", lambda: files)
		with pytest.raises(Refused, match="No module named 'click'"):
			make_home(bench, __version__)
		assert [path.name for path in (bench.deployments / HOMES).iterdir()] == [making.LOCK]

	def test_a_full_disk_is_told_and_nothing_is_left(
		self, bench: Bench, monkeypatch: pytest.MonkeyPatch
	) -> None:
		def fill(source, target):
			raise OSError(28, "No space left on device", str(target))

		monkeypatch.setattr(shutil, "copyfile", fill)
		with pytest.raises(Refused, match="No space left on device"):
			make_home(bench, __version__)
		assert [path.name for path in (bench.deployments / HOMES).iterdir()] == [making.LOCK]

	def test_somebody_elses_bench_is_left_alone(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
		"""What root made there would lock its own user out."""
		monkeypatch.setattr(os, "geteuid", lambda: bench.path.stat().st_uid + 1)
		with pytest.raises(Refused, match="the bench belongs to") as refused:
			make_home(bench, __version__)
		assert "sudo -u" in refused.value.remedy and not (bench.deployments / HOMES).exists()

	def test_another_attempt_that_was_killed_is_in_nobodys_way(self, bench: Bench, monkeypatch) -> None:
		left = bench.deployments / HOMES / ".making-1.0-a-123"
		(left / "lib").mkdir(parents=True)
		left.chmod(0o500)
		monkeypatch.setattr(making, "_import_all", lambda python, library: {})
		assert make_home(bench, __version__).find_damage() is None and not left.exists()

	def test_homes_that_differ_in_their_interpreter_alone(self, bench: Bench, monkeypatch) -> None:
		monkeypatch.setattr(making, "_import_all", lambda python, library: {})
		first = make_home(bench, __version__)
		monkeypatch.setattr(making, "find_base_interpreter", lambda: "/bin/sh")
		second, third = make_home(bench, __version__), make_home(bench, "2.0")
		assert first.name != second.name and second.has_the_same_files(first)
		assert not third.has_the_same_files(second) and not first.has_the_same_files(Home(bench.path))

	def test_this_process_is_in_no_home(self) -> None:
		assert running_home() is None


class TestOfRun:
	def test_a_run_that_has_not_begun_has_none(self, bench: Bench) -> None:
		assert home_of(bench, RunDirectory.create(bench.path, make_spec())) is None
		assert home_of(bench, begin_run(bench, None)) is None

	def test_it_keeps_its_own_until_somebody_goes_on_with_another(self, bench: Bench) -> None:
		assert home_of(bench, begin_run(bench, "1.0-a", None)).name == "1.0-a"
		assert home_of(bench, begin_run(bench, "1.0-a", "2.0-b", None)).name == "2.0-b"

	def test_the_journal_knows_better_than_the_link(self, bench: Bench) -> None:
		run = begin_run(bench, "1.0-a")
		put_home(bench, "2.0-b").give_to(run)
		assert home_of(bench, run).name == "1.0-a"

	def test_a_link_is_enough_where_the_runner_died_before_its_first_word(self, bench: Bench) -> None:
		run = begin_run(bench)
		put_home(bench, "1.0-a").give_to(run)
		assert home_of(bench, run).name == "1.0-a"
		assert (run.path / START).samefile(bench.deployments / HOMES / "1.0-a" / START)

	def test_a_link_to_another_one_is_replaced(self, bench: Bench) -> None:
		run = begin_run(bench)
		for name in ("1.0-a", "2.0-b", "2.0-b"):
			home = Home(bench.deployments / HOMES / name)
			home.give_to(run)
		assert (run.path / START).readlink() == Path("../homes/2.0-b/press-deploy")


class TestRetention:
	def test_those_of_runs_and_young_ones_stay(self, bench: Bench) -> None:
		used, unused = put_home(bench, "1.0-a"), put_home(bench, "2.0-b")
		begin_run(bench, used.name)
		assert list(remove_unused(bench, datetime.now(timezone.utc))) == []
		assert list(remove_unused(bench, TOMORROW)) == [f"home {unused.name}, which no run is executed from"]
		assert only_home(bench) == used

	def test_what_an_attempt_left_goes(self, bench: Bench) -> None:
		left = put_home(bench, ".making-1.0-a").path
		left.chmod(0o500)
		assert len(list(remove_unused(bench, TOMORROW))) == 1 and not left.exists()

	def test_what_is_no_home_goes_too_and_what_cannot_go_stops_nothing(
		self, bench: Bench, monkeypatch
	) -> None:
		home = put_home(bench, "1.0-a")
		(home.path.parent / "lost").symlink_to("/nowhere")
		stubborn = put_home(bench, "0.9-a").path
		remove = shutil.rmtree
		monkeypatch.setattr(shutil, "rmtree", lambda path, **how: path == stubborn or remove(path, **how))
		monkeypatch.setattr(making, "UNUSED_SECONDS", -1)
		assert len(list(remove_unused(bench, datetime.now(timezone.utc)))) == 2
		assert [path.name for path in home.path.parent.iterdir() if path.name != making.LOCK] == ["0.9-a"]

	def test_while_a_run_cannot_be_read_all_stay(self, bench: Bench) -> None:
		home = put_home(bench, "1.0-a")
		begin_run(bench, "2.0-b").journal.write_text("{}\n{}\n")
		assert list(remove_unused(bench, TOMORROW)) == [] and home.path.is_dir()

	def test_a_bench_without_homes_has_none_to_remove(self, bench: Bench) -> None:
		assert list(remove_unused(bench, TOMORROW)) == []
