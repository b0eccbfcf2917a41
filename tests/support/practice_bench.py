"""What tests do with a practice bench."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from typing import Any

from press_deploy.demo import processes
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses

LIMIT_SECONDS = 30.0
WEB, WORKERS = "web", "workers"


def wait_until(look: Callable[[], Any], what: str, seconds: float = LIMIT_SECONDS) -> Any:
	"""Look until there is something to see, and return it; fail when there is nothing in time."""
	return processes.wait_for(look, seconds, what)


def git(bench: PracticeBench, *arguments: str) -> str:
	"""Run git in the app's directory."""
	command = ["git", "-C", str(bench.places.app), *arguments]
	return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def switch(bench: PracticeBench, release: str) -> None:
	"""Put a release on the bench by hand: its code, a restart of web and workers, and nothing else."""
	git(bench, "fetch", "--quiet", "upstream", release)
	git(bench, "checkout", "--quiet", "--detach", "FETCH_HEAD")
	for role in (WEB, WORKERS):
		restart(bench, role)


def restart(bench: PracticeBench, role: str) -> None:
	"""Restart the programs of a role, and wait until new processes run and answer."""
	former = {program["pid"] for program in programs(bench, role)}
	bench.helper.restart(role)

	def is_new() -> bool:
		now = programs(bench, role)
		running = all(each["state"] == "RUNNING" and not each["restart_pending"] for each in now)
		return running and not former & {each["pid"] for each in now}

	wait_until(is_new, f"the restart of {role}")
	wait_until(lambda: bench.ask().status is not None, "an answer")


def programs(bench: PracticeBench, role: str) -> list[dict[str, Any]]:
	return [program for program in bench.helper.status()["programs"] if program["role"] == role]


def set_key(bench: PracticeBench, site: str, key: str, value: Any) -> None:
	"""Write a key into a site's configuration, as somebody with an editor would."""
	file = bench.path / "sites" / site / "site_config.json"
	file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))


def call(bench: PracticeBench, task: str, site: str, **arguments: Any) -> Any:
	"""Do a task in a site process, as a run does it."""
	ports = SiteProcesses(Bench.open(bench.path), Programs())
	return ports.call(task, site, timeout=LIMIT_SECONDS, **arguments)


def query(bench: PracticeBench, site: str, statement: str, *values: Any) -> list[tuple]:
	"""Execute a statement in a site's database, and commit it."""
	file = bench.path / "sites" / site / "db" / f"{site.partition('.')[0]}.db"
	with closing(sqlite3.connect(file, timeout=LIMIT_SECONDS)) as database, database:
		return database.execute(statement, values).fetchall()
