"""The part of a run that proves backups, with the steps that a run takes, on a real site.

Nothing of it is in the bench: its directory is the test's own, and its standby database is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from press_deploy.engine.backup.rungs import Proof
from press_deploy.engine.bench import Bench
from press_deploy.engine.context import Context
from press_deploy.engine.journal import Journal
from press_deploy.engine.mariadb.administrator import find_administrator
from press_deploy.engine.mariadb.comparison import read_tables
from press_deploy.engine.mariadb.server import Server
from press_deploy.engine.plan import read_plan
from press_deploy.engine.programs import RUN_VARIABLE
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.state import RunState, StepState
from press_deploy.engine.steps.backup import Backup, CheckProof, CopyToSafePlaces, LoadStandby
from tests.site.real_site import Site

# What a bench at work writes by itself, whatever a test does.
WRITTEN_BY_SCHEDULER = {
	"tabScheduled Job Log",
	"tabScheduled Job Type",
	"tabRQ Job",
	"tabError Log",
	"tabSingles",
}
GONE_SECONDS = 10


class PreparedRun:
	"""A run whose release is fetched and doesn't migrate; it stops before the window."""

	def __init__(self, site: Site, directory: Path, **backup: Any):
		self.site, self.directory = site.name, directory
		# Without the passwords: to encrypt them takes a key that is kept in the bench.
		settings = {"with_files": False, "required_rung": 5, "config_secrets": "leave_out", **backup}
		settings["safe_directory"] = str(directory / "safe")
		spec = read_plan(
			{
				"title": "Proof of a real site",
				"sites": [{"name": site.name}],
				"config": [{"key": "press_deploy_test", "value": 0, "scope": "site"}],
				"backup": settings,
			}
		)
		(directory / "safe").mkdir(mode=0o700)
		run = RunDirectory.create(directory, spec)
		state = RunState(run.name)
		found = {"decisions": {"migrate": {"needed": False, "why": "a test"}}}
		state.steps["fetch-code"] = StepState(
			"fetch-code", "prepare", "Fetch", "done", run.name, result=found
		)
		self.context = Context.build(Bench.open(site.bench), run, spec, Journal(run.journal), state)

	@property
	def backup(self) -> Path:
		return self.context.backup_of(self.site)

	@property
	def standby(self) -> Any:
		return self.context.standbys[self.site]

	@property
	def _log(self) -> Path:
		return self.context.run.step_log(LoadStandby.name)

	@property
	def proof(self) -> Proof:
		"""As it is on the disk."""
		return Proof.load(self.backup)

	def back_up(self) -> None:
		Backup().apply(self.context, {})
		CopyToSafePlaces().apply(self.context, {})

	def change_backup(self, **settings: Any) -> None:
		"""Of what the plan says of backups, let this be otherwise from now on."""
		spec = self.context.spec
		changed = spec.backup.model_copy(update=settings)
		self.context.spec = spec.model_copy(update={"backup": changed})

	def load_standby(self, **settings: Any) -> dict[str, Any]:
		"""Load it, prove it, and start the site on it, with the plan's settings or these."""
		self.change_backup(**settings)
		self._log.unlink(missing_ok=True)
		with self.context.log_of(LoadStandby.name):
			return LoadStandby().apply(self.context, {})

	def read_log(self) -> str:
		"""What stands in the step's log since it was last taken."""
		return self._log.read_text()

	def check_proof(self) -> dict[str, Any]:
		return CheckProof().apply(self.context, {})

	def find_processes(self) -> list[str]:
		"""The command lines of what this run has running."""
		found = []
		for process in psutil.process_iter():
			try:
				if process.environ().get(RUN_VARIABLE) == self.context.run.name:
					found.append(" ".join(process.cmdline()))
			except psutil.Error:
				continue
		return found

	def close(self) -> None:
		try:
			self.standby.drop_standby()
		finally:
			self.context.close()
			self.context.journal.close()


def require_administrator(site: Site) -> Server:
	"""Who may make databases on the site's server. Skips, and says what is missing."""
	if site.is_sqlite:
		pytest.skip("for MariaDB: SQLite has no server to prove a backup on")
	administrator = find_administrator(Bench.open(site.bench).read_config(site.name))
	if administrator is None:
		pytest.skip(
			"no administrator of the database is known here: set root_login and root_password in "
			"common_site_config.json, or write /etc/press_deploy/database.cnf"
		)
	return administrator


@contextmanager
def prepare_run(site: Site, directory: Path, **backup: Any) -> Iterator[PreparedRun]:
	"""A run with its backup made and copied off; in the end the site must be what it was, and nothing left."""
	administrator, live = require_administrator(site), site.config["db_name"]
	before = read_tables(administrator, live)
	run = PreparedRun(site, directory, **backup)
	try:
		run.back_up()
		yield run
	finally:
		run.close()
	assert not find_changes(before, read_tables(administrator, live)), "the site's own database was changed"
	assert count_databases(administrator, run.standby.name) == 0
	assert not wait_until_gone(run)


def find_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
	"""Tables whose definition or rows are not what they were."""
	return [
		name
		for name in sorted(before.keys() | now.keys())
		if name not in WRITTEN_BY_SCHEDULER and before.get(name) != now.get(name)
	]


def wait_until_gone(run: PreparedRun) -> list[str]:
	"""What is still running of it, when what was ended had time to end."""
	deadline = time.monotonic() + GONE_SECONDS
	while (found := run.find_processes()) and time.monotonic() < deadline:
		time.sleep(0.1)
	return found


def count_databases(server: Server, like: str) -> int:
	with server.session() as cursor:
		return cursor.execute("SHOW DATABASES LIKE %s", (like.replace("_", "\\_"),))
