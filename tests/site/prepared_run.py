"""Runs on a real site, with the steps that a run takes: as far as the backups are proven, or there and back.

Nothing of it is in the bench: its directory is the test's own, and its databases are dropped. Neither a web server
nor a supervisor need run: see `ServicesAway` and `WebAway`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import psutil
import pytest

from press_deploy.engine import steps
from press_deploy.engine.backup.rungs import Proof
from press_deploy.engine.bench import processes
from press_deploy.engine.bench.answer import GOOD, MAINTENANCE, Answer
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import RUN_VARIABLE, Programs
from press_deploy.engine.bench.services import WEB
from press_deploy.engine.bench.web import Web
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.comparison import read_tables
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.execution.listening import Listener
from press_deploy.engine.execution.runner import Runner
from press_deploy.engine.journal.journal import Journal, Record
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import Phase, RunState, State
from press_deploy.engine.plan.spec import read_plan
from press_deploy.engine.steps import ports
from press_deploy.engine.steps.backup import Backup, CopyToSafePlaces
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.ports import Ports, open_ports
from press_deploy.engine.steps.proving import CheckProof, LoadStandby, ProveBootable, ProveRestorable
from press_deploy.engine.steps.run import Run
from press_deploy.helper.site_config import set_values, site_config_paths
from tests.site.keep_site import keep, put_back
from tests.site.real_site import Site
from tests.support.steps import hand

# What a bench at work writes by itself, whatever a test does.
WRITTEN_BY_SCHEDULER = {
	"tabScheduled Job Log",
	"tabScheduled Job Type",
	"tabRQ Job",
	"tabError Log",
	"tabSingles",
}
GONE_SECONDS = 10
AnyRun = TypeVar("AnyRun", bound="PreparedRun")


class PreparedRun:
	"""A run whose release is fetched and doesn't migrate; it stops before the window."""

	migrates = False

	def __init__(self, site: Site, directory: Path, **backup: Any):
		self.site, self.directory, self.bench = site.name, directory, Bench.open(site.bench)
		# Without the passwords: to encrypt them takes a key that is kept in the bench.
		settings = {"with_files": False, "required_rung": 5, "config_secrets": "leave_out", **backup}
		settings["safe_directory"] = str(directory / "safe")
		spec = read_plan(self.describe_plan(settings))
		(directory / "safe").mkdir(mode=0o700)
		self.on_disk = RunDirectory.create(directory, spec)
		self._begin(spec.sha256)
		self.opened, self.ports = self.open()

	def describe_plan(self, backup: dict[str, Any]) -> dict[str, Any]:
		return {
			"title": "Proof of a real site",
			"sites": [{"name": self.site}],
			"config": [{"key": "press_deploy_test", "value": 0, "scope": "site"}],
			"backup": backup,
		}

	def _begin(self, sha256: str) -> None:
		"""The journal of a run that has fetched its release."""
		decisions = {
			"requirements": {"needed": False, "why": "a test"},
			"build": {"needed": False, "why": "a test"},
			"migrate": {"needed": self.migrates, "why": "a test"},
		}
		fetched = {"step": "fetch-code", "phase": "prepare", "title": "Fetch"}
		journal = Journal(self.on_disk.journal)
		journal.append("run-created", {"plan_sha256": sha256, "run": self.on_disk.name, "dry_run": False})
		journal.append("step-announced", {**fetched, "before": {}})
		journal.append("step-observed", {**fetched, "result": {"decisions": decisions}, "found": "fetched"})
		journal.close()

	def open(self) -> tuple[Run, Ports]:
		"""The run as its journal tells it."""
		journal, state = Journal(self.on_disk.journal), RunState(self.on_disk.name)
		for record in journal.records:
			state.follow(record)
		journal.on_append = state.follow
		opened = self._build(journal, state)
		return opened, open_ports(opened)

	def _build(self, journal: Journal, state: RunState) -> Run:
		spec, programs = self.on_disk.read_plan(), Programs(self.on_disk.name)
		return Run(self.bench, self.on_disk, spec, journal, state, programs)

	@property
	def backup(self) -> Path:
		return self.on_disk.backup_of(self.site)

	@property
	def standby(self) -> Any:
		return self.ports.databases.standbys[self.site]

	@property
	def _log(self) -> Path:
		return self.on_disk.step_log(LoadStandby.name)

	@property
	def proof(self) -> Proof:
		"""As it is on the disk."""
		return Proof.load(self.backup)

	def back_up(self) -> None:
		for kind in (Backup, CopyToSafePlaces):
			hand(kind, self.ports).apply(self.opened, {})

	def change_backup(self, **settings: Any) -> None:
		"""Of what the plan says of backups, let this be otherwise from now on."""
		spec = self.opened.spec
		changed = spec.backup.model_copy(update=settings)
		self.opened.spec = spec.model_copy(update={"backup": changed})

	def load_standby(self, **settings: Any) -> dict[str, str]:
		"""Load it, prove it, and start the site on it, as the plan or these settings ask: {step: what was found}."""
		self.change_backup(**settings)
		self._log.unlink(missing_ok=True)
		found: dict[str, Any] = {}
		with self.opened.log_of(LoadStandby.name):
			for kind in (LoadStandby, ProveRestorable, ProveBootable):
				step = hand(kind, self.ports)
				if not step.skip_reason(self.opened):
					result = step.apply(self.opened, {})
					found[kind.name] = step.observe(self.opened, {}, result).found
		return found

	def read_log(self) -> str:
		"""What stands in the step's log since it was last taken."""
		return self._log.read_text()

	def check_proof(self) -> dict[str, Any]:
		return CheckProof().apply(self.opened, {})

	def find_processes(self) -> list[str]:
		"""The command lines of what this run has running."""
		found = []
		for process in psutil.process_iter():
			try:
				if process.environ().get(RUN_VARIABLE) == self.on_disk.name:
					found.append(" ".join(process.cmdline()))
			except psutil.Error:
				continue
		return found

	def close(self) -> None:
		try:
			self.standby.drop_standby()
			self.standby.drop_quarantine()
		finally:
			self.ports.close()
			self.opened.journal.close()


@dataclass
class When:
	"""A listener that does something once, right after a record of the journal."""

	event: str
	step: str
	act: Callable[[], Any]
	fired: int = 0

	def journal_appended(self, record: Record, state: RunState) -> None:
		if not self.fired and (record.event, record.data.get("step")) == (self.event, self.step):
			self.fired += 1
			self.act()

	def progress_made(self, line: str) -> None:
		"""Only what is in the journal counts here."""

	def effect_made(self, step: Any) -> None:
		"""Only what is in the journal counts here."""


class ServicesAway:
	"""Where no supervisor runs: maintenance is what stands in the configuration, and restarts restart nothing.

	Left out are the helper with its leases, and programs that run the release.
	"""

	has_helper = lost_helper = False

	def __init__(self, bench: Bench):
		self._bench, self._restarted = bench, time.time()

	def programs(self, role: str | None = None) -> list[dict[str, Any]]:
		# Process 0 is nobody's, so that what counts is when it was started.
		web = {"name": "web", "role": WEB, "state": "RUNNING", "pid": 0, "started_at": self._restarted}
		return [web] if role in (None, WEB) else []

	def maintenance_on(self, run: str, sites: list[str], lease_seconds: int) -> None:
		self._set({site: {"present": True, "value": 1} for site in sites})

	def maintenance_off(self, run: str, previous: dict[str, dict[str, Any]]) -> None:
		self._set(previous)

	def maintenance_renew(self, run: str, lease_seconds: int) -> None:
		"""Without a helper nobody asks for it."""

	def watch_runner(self, run: str) -> None:
		"""Nobody is there to watch it."""

	unwatch_runner = watch_runner

	def reload(self, role: str) -> None:
		"""`WebAway` reads the configuration each time."""

	def restart(self, role: str) -> None:
		self._restarted = time.time()

	def close(self) -> None:
		"""Nothing was begun."""

	def _set(self, values: dict[str, dict[str, Any]]) -> None:
		for site, value in values.items():
			set_values(*site_config_paths(str(self._bench.path), site), {"maintenance_mode": value})


class WebAway(Web):
	"""Where no web server runs: it would answer as the configuration says. Previews are asked for real."""

	def ask(self, site: str, path: str = "/api/method/ping", **options: Any) -> Answer:
		if options.get("address"):
			return super().ask(site, path, **options)
		closed = bool(self._bench.read_config(site).get("maintenance_mode"))
		return Answer(time.time(), *((503, MAINTENANCE) if closed else (200, GOOD)), 1.0)


class Migration(Migrate):
	"""Instead of what a release would do to the database: what the test does to it."""

	act: Callable[[], Any]

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		self.act()
		return {"found": "migrated by the test"}


class WalkedRun(PreparedRun):
	"""A run that migrates, walked by the engine's own runner, which projects its records into the site.

	Of the way there, the restart and what judges a release are left out. The way back is walked whole; see
	`ServicesAway`. Its records follow when it waits and when it ends, and not in between.
	"""

	migrates = True
	left_out = frozenset(
		("preflight", "baseline", "fetch-code", "clear-caches", "restart", "stabilise", "final-verdict")
	)

	def __init__(self, site: Site, directory: Path, migrate: Callable[[], Any], **backup: Any):
		self._migrate = migrate
		super().__init__(site, directory, **{"with_files": True, "required_rung": 4, **backup})

	def describe_plan(self, backup: dict[str, Any]) -> dict[str, Any]:
		return {
			**super().describe_plan(backup),
			"control_site": self.site,
			"monitor": {"seconds": 0},
			# Without workers, jobs of other tests wait for ever.
			"drain": {"seconds": 1, "when_exceeded": "go_on"},
		}

	def open(self) -> tuple[Run, Ports]:
		with (
			mock.patch.object(ports, "Services", ServicesAway),
			mock.patch.object(ports, "Web", WebAway),
		):
			return super().open()

	def walk(self, *listeners: Listener) -> State:
		"""Go on with it, as a runner does that was started anew."""
		self.opened.journal.close()
		processes.end_processes_of(self.on_disk.name)
		self.opened, self.ports = self.open()
		every = steps.forward

		def forward(ports: Ports) -> list[Step]:
			migration = hand(Migration, ports)
			migration.act = self._migrate
			return [
				migration if step.name == Migrate.name else step
				for step in every(ports)
				if step.name not in self.left_out and step.phase is not Phase.VALIDATE
			]

		with mock.patch.object(steps, "forward", forward):
			runner = Runner(self.opened, self.ports, list(listeners))
			self.opened.journal.on_append = runner.tell_record
			with mock.patch.object(self.ports.projector, "follow"):
				return runner.run()

	def close(self) -> None:
		if self.standby.is_swap_under_way():
			# Of a test that failed; the site's database was put back since, so that nothing in these two is missed.
			with self.standby.server.session() as cursor:
				for name in (self.standby.name, self.standby.quarantine):
					cursor.execute(f"DROP DATABASE IF EXISTS {quote(name)}")
			self.standby.swap_note.remove()
		super().close()


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
	require_administrator(site)
	with leave_nothing(site, PreparedRun(site, directory, **backup)) as run:
		run.back_up()
		yield run


@contextmanager
def leave_nothing(site: Site, run: AnyRun) -> Iterator[AnyRun]:
	"""In the end the site must be what it was, and nothing of the run left."""
	administrator, live = require_administrator(site), site.config["db_name"]
	before = read_tables(administrator, live)
	try:
		yield run
	finally:
		run.close()
	changed = find_changes(before, read_tables(administrator, live))
	assert not changed, f"the site's own database was changed: {', '.join(changed)}"
	assert count_databases(administrator, run.standby.name) == 0
	assert count_databases(administrator, run.standby.quarantine) == 0
	assert not wait_until_gone(run)


@contextmanager
def keep_as_it_is(site: Site, directory: Path) -> Iterator[None]:
	"""Whatever is done to the site's database and configuration is undone in the end."""
	config, common = site.path / "site_config.json", Bench.open(site.bench).read_common_config()
	kept = config.read_text()
	keep(site.path, common, directory)
	try:
		yield
	finally:
		config.write_text(kept)
		put_back(site.path, common, directory)
		site.call("clear_cache")


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
