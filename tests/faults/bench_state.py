"""What a practice bench looks like from outside, to be compared before and after a fault."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.processes import end_processes_of
from press_deploy.engine.bench.programs import RUN_VARIABLE
from press_deploy.engine.execution.execution import execute
from press_deploy.engine.homes.home import HOMES
from press_deploy.engine.journal.lock import is_alive, read_owner
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.plan.spec import PlanSpec
from tests.faults.killed_runner import kill_at
from tests.support.practice_bench import git, query, restart, wait_until

ROOT = Path(__file__).parents[2]
HANG_SECONDS = 120
SITE = "shop.localhost"
QUICK = {
	"stabilise": {"seconds": 5.0, "healthy_probes": 2},
	"drain": {"seconds": 5.0},
	"smoke_tests": [{"kind": "http", "name": "Home page", "path": "/", "expected_text": "Anchor"}],
}


@dataclass(frozen=True)
class Picture:
	"""Everything about a bench that a rollback must bring back."""

	head: str
	changes: str
	version: str | None
	configuration: dict[str, Any]
	columns: list[str]
	doctypes: list[str]
	packages: list[str]
	assets: dict[str, str]


def take_picture(bench: PracticeBench) -> Picture:
	files = sorted((bench.path / "sites").glob("**/*site_config.json"))
	with closing(sqlite3.connect(bench.path / "sites" / SITE / "db" / "shop.db")) as database:
		columns = [row[1] for row in database.execute("PRAGMA table_info(items)")]
		doctypes = [row[0] for row in database.execute("SELECT name FROM `tabDocType` ORDER BY name")]
	return Picture(
		git(bench, "rev-parse", "HEAD") + " " + git(bench, "symbolic-ref", "-q", "--short", "HEAD"),
		git(bench, "status", "--porcelain"),
		bench.served_version(),
		{str(file): json.loads(file.read_text()) for file in files},
		columns,
		doctypes,
		list_packages(bench),
		read_assets(bench),
	)


def list_packages(bench: PracticeBench) -> list[str]:
	"""What is installed in the bench's own environment, with versions; asked of the directory, not of pip."""
	return sorted(path.name for path in (bench.path / "env").glob("lib/python*/site-packages/*.dist-info"))


def read_assets(bench: PracticeBench) -> dict[str, str]:
	"""The list of bundles, and every built file, with their contents."""
	built = [file for file in (bench.places.app / "shop" / "public" / "dist").rglob("*") if file.is_file()]
	files = [*built, bench.path / "sites" / "assets" / "assets.json"]
	return {str(file.relative_to(bench.path)): file.read_text() for file in files}


def quick_plan(bench: PracticeBench, release: str, **overrides: Any) -> PlanSpec:
	"""A plan that runs through in seconds, for the many runs of the crash matrix."""
	overrides = {**QUICK, **overrides}
	monitor = {"seconds": 0.4, "interval_seconds": 0.2, "baseline_seconds": 1.0, "minimum_samples": 1}
	return bench.plan(release, 1.0, **{"monitor": monitor, **overrides})


def backup_settings(bench: PracticeBench) -> dict[str, Any]:
	"""What a plan of this bench says about backups, to be changed."""
	return {"safe_directory": str(bench.places.safe), "minimum_free_percent": 1.0}


def write(bench: PracticeBench, name: str) -> None:
	"""What a user does: one more item of this name."""
	query(bench, SITE, "INSERT INTO items (name, price) VALUES (?, 1)", name)


def names(bench: PracticeBench) -> list[str]:
	"""The names of all items on the site."""
	return [row[0] for row in query(bench, SITE, "SELECT name FROM items ORDER BY name")]


def names_in(path: Path) -> list[str]:
	"""The names of all items in this file."""
	with closing(sqlite3.connect(path)) as database:
		return [row[0] for row in database.execute("SELECT name FROM items ORDER BY name")]


def quarantine_of(state: RunState) -> Path:
	"""The file that was live before the rollback."""
	return Path(state.before("rollback-database")["sites"][SITE]["quarantine"])


def create_run(bench: PracticeBench, spec: PlanSpec) -> RunDirectory:
	return RunDirectory.create(bench.path, spec)


def kill_runner_at(
	bench: PracticeBench,
	run: RunDirectory,
	event: str,
	step: str = "",
	lease_seconds: int = 30,
	watched: bool = False,
) -> None:
	"""Execute a run in a process that dies at this point; fail when it didn't die there.

	`watched`: the helper was asked to resume the run when that happens.
	"""
	said = "see its standard error"
	if watched:
		command = [sys.executable, "-m", "tests.faults.killed_runner", str(bench.path), run.name, event, step]
		ended = subprocess.run(
			[*command, str(lease_seconds)], cwd=ROOT, timeout=HANG_SECONDS, capture_output=True, text=True
		)
		status, said = ended.returncode, ended.stderr
	else:
		status = kill_at(bench.path, run.name, event, step, lease_seconds)
	assert status == -signal.SIGKILL, f"the fault never fired at {event} of {step}: {said}"


def resume(bench: PracticeBench, run: RunDirectory) -> State:
	return execute(Bench.open(bench.path), run)


def assert_in_order(bench: PracticeBench, run: RunDirectory) -> RunState:
	"""Nothing of a run is left lying about, and its journal agrees with reality."""
	state = load_state(run)
	assert not state.is_unfinished, state.state
	assert all(step.is_over or step.status == "failed" for step in state.steps.values())
	assert read_owner(bench.path / "deployments") is None
	assert not is_alive(bench.path / "deployments")
	assert bench.helper.status()["leases"] == []
	assert bench.ask().status == 200, "the site is not open"
	assert not held_workers(bench).exists(), "no job is done any more"
	assert not (run.path / "preview").exists()
	left = [process.pid for process in psutil.process_iter(["environ"]) if _belongs_to(process, run)]
	assert not left, f"processes of the run are left: {left}"
	return state


def reset(bench: PracticeBench, pristine: Path) -> None:
	"""The bench as it was built: no run, no lease; code, configuration, database and services of before."""
	for run in list_runs(bench.path):
		end_processes_of(run.name)
	for lease in bench.helper.status()["leases"]:
		opened = {site: {"present": False} for site in lease["sites"]}
		bench.helper.maintenance_off(lease["run"], lease["sites"], opened)
	for run in bench.helper.status()["watched"]:
		# A helper that was gone when a run ended was not told that nobody need be missed.
		bench.helper.unwatch_runner(run)
	# A run is over before its runner is, which then writes the report: one that the helper resumed is waited for.
	wait_until(lambda: not is_alive(bench.path / "deployments"), "the end of every runner")
	for left in (bench.path / "deployments").glob("*"):
		# Homes are made once for all tests, as on any bench.
		if left.name != HOMES:
			shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
	held_workers(bench).unlink(missing_ok=True)
	for left in (bench.path / "sites").glob("*/db/*_[sq][tu]a*"):
		left.unlink()
	for name in (
		"sites/common_site_config.json",
		f"sites/{SITE}/site_config.json",
		f"sites/{SITE}/db/shop.db",
	):
		shutil.copy2(pristine / name, bench.path / name)
	reset_environment(bench, pristine)
	if any(each["state"] != "RUNNING" for each in bench.helper.status()["programs"]):
		bench.start()
	built = (pristine / "commit").read_text()
	moved = git(bench, "rev-parse", "HEAD") != built
	# Whatever a test committed on the bench goes, too: the next one would be told of it by its run.
	git(bench, "checkout", "--quiet", "--force", "-B", "main", built)
	if moved or bench.served_version() != "1.0.0":
		with ThreadPoolExecutor() as both:
			list(both.map(lambda role: restart(bench, role), ("web", "workers")))
	else:
		# The code is that of before, the configuration may be another one.
		bench.helper.reload("web")
	wait_until(lambda: bench.served_version() == "1.0.0", "the bench as it was built")


def held_workers(bench: PracticeBench) -> Path:
	"""Says for which run the worker takes no other job."""
	return bench.path / "config" / "held-workers"


def reset_environment(bench: PracticeBench, pristine: Path) -> None:
	"""Packages and assets as they were built."""
	(library,) = (bench.path / "env").glob("lib/python*")
	own = library / "site-packages"
	shutil.rmtree(own, ignore_errors=True)
	shutil.copytree(pristine / "site-packages", own)
	for name in ("assets", "dist"):
		place = bench.path / "sites" / "assets" if name == "assets" else bench.places.app / "shop/public/dist"
		shutil.rmtree(place, ignore_errors=True)
		shutil.copytree(pristine / name, place)


def publish(bench: PracticeBench, branch: str, files: dict[str, str]) -> str:
	"""Push a release of these files to the origin; return its commit."""
	work = bench.directory / f"work-{branch}"
	shutil.rmtree(work, ignore_errors=True)
	subprocess.run(
		["git", "clone", "-q", "-b", "v1", str(bench.places.origin), str(work)],
		check=True,
		capture_output=True,
	)
	for file, content in files.items():
		(work / file).parent.mkdir(parents=True, exist_ok=True)
		(work / file).write_text(content)
	identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
	for command in (
		["checkout", "-qb", branch],
		["add", "--all"],
		[*identity, "commit", "-qm", branch],
		["push", "-qf", "origin", branch],
	):
		subprocess.run(["git", "-C", str(work), *command], check=True, capture_output=True)
	return subprocess.check_output(["git", "-C", str(work), "rev-parse", "HEAD"], text=True).strip()


def _belongs_to(process: psutil.Process, run: RunDirectory) -> bool:
	return (process.info["environ"] or {}).get(RUN_VARIABLE) == run.name
