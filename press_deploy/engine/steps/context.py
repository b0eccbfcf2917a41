"""What a step is handed: the run, its plan, and the ports through which it may touch the world."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.booting import Booting
from press_deploy.engine.backup.making import Maker
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.file_copy import FileCopy
from press_deploy.engine.bench.git import Repository
from press_deploy.engine.bench.maintenance import LEASE_SECONDS, Lease, MaintenanceObserver
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.services import Services
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.ground.errors import DeployError, ServiceError, StepFailed, Stopped
from press_deploy.engine.ground.progress import ProgressMeter
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lifecycle import CLOSING, FIRST_CHANGE
from press_deploy.engine.journal.projection import Projector
from press_deploy.engine.journal.requests import Request, find_stop, read_requests
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.plan.spec import App, PlanSpec
from press_deploy.engine.report.writing import write_report
from press_deploy.engine.steps.interrupts import RollbackNeeded
from press_deploy.engine.watching.prober import Prober
from press_deploy.engine.watching.watched_logs import WatchedLogs
from press_deploy.helper.errors import HelperError
from press_deploy.helper.site_config import get_value


@dataclass
class Context:
	"""One run, opened for execution."""

	bench: Bench
	run: RunDirectory
	spec: PlanSpec
	journal: Journal
	state: RunState
	programs: Programs
	services: Services
	web: Web
	site_processes: SiteProcesses
	# Told how far a long step is; unlike the journal it is nothing to keep.
	on_progress: Callable[[str], None] = field(default=lambda line: None)
	# After a database rollback, per site: a reader, the backup, and what it replaced. Open until the run ends.
	former: dict[str, tuple[Reader, str, str]] = field(default_factory=dict)
	# Sites for which this preflight chose to have none; later `RunState.sites_without_standby` tells.
	without_standby: set[str] = field(default_factory=set)
	# The commits that the remotes named in this preflight.
	resolved: dict[str, str] = field(default_factory=dict)
	open_resources: ExitStack = field(default_factory=ExitStack)
	lease: Lease = field(init=False)
	prober: Prober = field(init=False)
	projector: Projector = field(init=False)

	@classmethod
	def build(
		cls, bench: Bench, run: RunDirectory, spec: PlanSpec, journal: Journal, state: RunState
	) -> Context:
		programs = Programs(run.name)
		return cls(
			bench,
			run,
			spec,
			journal,
			state,
			programs,
			Services(bench),
			Web(bench, spec),
			SiteProcesses(bench, programs),
		)

	def __post_init__(self) -> None:
		self.lease = Lease(self.services, self.run.name, self.log)
		self.projector = Projector(self.bench, self.run, self.spec.control_site)
		self.prober = Prober(self.web, self.spec.site_names, self.spec.monitor.path, self.run.probes)

	# --- what is where -------------------------------------------------------------------------

	@cached_property
	def databases(self) -> dict[str, Database]:
		return {site: Database(self.bench, site) for site in self.spec.site_names}

	def repository(self, app: App | str) -> Repository:
		return Repository(self.bench.app(app if isinstance(app, str) else app.name), self.programs)

	def file_copy(self, app: App) -> FileCopy:
		return FileCopy(app, self.bench.app(app.name), self.run.private, self.programs)

	@property
	def watched_logs(self) -> WatchedLogs:
		return WatchedLogs(self.bench, self.spec.site_names, self.services, self.log)

	def git_apps(self) -> list[App]:
		return [app for app in self.spec.apps if app.method == "git"]

	def copied_apps(self) -> list[App]:
		return [app for app in self.spec.apps if app.method == "copy"]

	# --- backups -------------------------------------------------------------------------------

	def backup_of(self, site: str) -> Path:
		return self.run.backup / site

	def final_backup_of(self, site: str) -> Path:
		return self.run.final_backup_of(site)

	@cached_property
	def standbys(self) -> dict[str, StandbyDatabase | None]:
		"""Where each site's backup is kept loaded; None where preflight found that there can be none."""
		return find_standbys(self.bench, self.run, self.spec.site_names, self.state.sites_without_standby)

	def go_without_standby(self, site: str) -> None:
		"""Preflight's choice for a site, which its result keeps: a resumed run is bound by it."""
		self.standbys[site] = None
		self.without_standby.add(site)

	@cached_property
	def backup_maker(self) -> Maker:
		return Maker(self.bench, self.site_processes, self.spec.backup, self.measure)

	@property
	def booting(self) -> Booting:
		return Booting(self.bench, self.run.path, self.programs, self.web, self.site_processes)

	def required_rung(self) -> int:
		"""How well proven every backup must be; known when the release was fetched."""
		return self.spec.backup.rung_before_window(self.state.needs("migrate")["needed"])

	def wants_standby(self, site: str) -> bool:
		"""Whether the site's backup is to be kept loaded as its standby database."""
		return self.required_rung() >= Rung.RESTORABLE and self.standbys[site] is not None

	@cached_property
	def secrets(self) -> dict[str, dict[str, str]]:
		"""Credentials that Deployment Settings hold, for those places and snapshots that want them from there."""
		backup = self.spec.backup
		wanted = [*backup.places, *([backup.snapshot] if backup.snapshot else [])]
		if not any(getattr(each, "credentials", "") == "settings" for each in wanted):
			return {}
		return self.site_processes.call("settings_secrets", self.spec.control_site, timeout=SECRETS_SECONDS)

	def measure(self, what: str) -> ProgressMeter:
		"""Progress in bytes of something that takes long, for its step's log and whoever watches."""

		def tell(line: str) -> None:
			self.log(f"{what}: {line}")
			self.on_progress(f"{what}: {line}")

		return ProgressMeter(tell)

	# --- maintenance ---------------------------------------------------------------------------

	@property
	def maintenance(self) -> MaintenanceObserver:
		return MaintenanceObserver(self.bench, self.services, self.web)

	def hold_maintenance(self) -> None:
		"""Close the sites, or go on holding them closed. Safe to repeat."""
		self.services.maintenance_on(self.run.name, self.spec.site_names, LEASE_SECONDS)
		self.lease.keep()

	def keep_what_is_held(self) -> None:
		"""After a resume: the lease and the prober belong to the process, and it is a new one."""
		if self.has_closed_sites():
			self.hold_maintenance()
			self.prober.ensure_started()

	def has_closed_sites(self) -> bool:
		"""Whether sites are closed by this run. What was announced but not observed is looked at, not believed."""
		if not self.state.is_closed:
			return False
		closing = [self.state.step(name) for name in CLOSING if self.state.was_announced(name)]
		before = next(step.before["previous"] for step in closing)
		try:
			return any(step.status == "done" for step in closing) or self._maintenance_keys() != before
		except DeployError as error:
			self.log(str(error))
			return True

	def may_have_changed_something(self) -> bool:
		"""Whether there is anything to go back from: more than the closing was announced, or it had an effect."""
		if not self.state.was_announced(FIRST_CHANGE):
			return False
		return self.state.is_done(FIRST_CHANGE) or bool(self.state.rollback) or self.has_closed_sites()

	def _maintenance_keys(self) -> dict[str, dict[str, Any]]:
		"""What each site's configuration says of maintenance now, absence included. Raises `ServiceError`."""
		paths = {site: str(self.bench.site_config(site)) for site in self.spec.site_names}
		try:
			return {site: get_value(path, "maintenance_mode") for site, path in paths.items()}
		except HelperError as error:
			remedy = f"mend it by hand: {', '.join(paths.values())}"
			raise ServiceError("Reading", "the configuration of the sites", str(error), remedy) from error

	def hand_maintenance_over(self, seconds: float) -> None:
		"""Nobody renews any more: the helper resumes the run when these seconds are over, or earlier."""
		if self.state.is_closed:
			self.lease.hand_over(int(min(max(seconds, SHORTEST_LEASE_SECONDS), LONGEST_LEASE_SECONDS)))

	def leave_maintenance_to_a_person(self) -> None:
		"""The run ends Fatal: nothing is to resume it by itself. What is closed stays closed, what is open open."""
		self.lease.close()
		self.release_lease()
		try:
			if self.bench.sites_in_maintenance(self.spec.site_names):
				self.note("The sites stay in maintenance mode until a person opens them or rolls back again.")
			if self.state.has_held_workers:
				self.note("Background jobs of the whole bench wait as well, for an hour at most.")
		except DeployError as error:
			self.note(f"Whether the sites are in maintenance mode can't be told: {error}")

	def release_lease(self) -> None:
		"""End the lease of a run that is over, and change nothing; also one that a helper kept which was away."""
		try:
			if self.services.has_lease(self.run.name):
				self.services.maintenance_off(self.run.name, self._maintenance_keys())
		except DeployError as error:
			# The run is over in any case; the helper asks again later.
			self.log(str(error))

	def check_maintenance_holds(self) -> None:
		"""Raise when a visitor got through while the sites were meant to be closed."""
		step = self.state.step("maintenance")
		if not (step and step.status == "done" and self.state.is_closed):
			return
		since = self.state.moment_of("maintenance")
		leaks = [probe for probe in self.prober.take() if probe.kind == GOOD and probe.time > since]
		if leaks:
			raise StepFailed(
				"Watching",
				leaks[0].site,
				f"{len(leaks)} visitor(s) were served while the site was meant to be in maintenance mode",
				"see whether another web server or a cache answers for this site besides the bench's own: "
				f"curl -sI -H 'Host: {leaks[0].site}' {self.bench.web_address}",
			)

	# --- people --------------------------------------------------------------------------------

	def take_request(self) -> Request | None:
		"""The next thing somebody asks of this run, noted in the journal as taken."""
		for request in read_requests(self.run, self.state.taken_requests):
			self.journal.append(
				"request-taken",
				{
					"name": request.name,
					"action": request.action,
					"by": request.by,
					"reason": request.reason,
					"asked": request.time,
					"database": request.database,
					"approves": request.approves,
					"answers": request.answers,
				},
			)
			return request
		return None

	def has_requests(self) -> bool:
		"""Whether somebody asks for something that nobody took yet."""
		return bool(read_requests(self.run, self.state.taken_requests))

	def stop_if_asked(self) -> None:
		"""Between two steps, and in those that take long: does somebody want the run to stop?

		Asked of the journal, where it survives a kill. Raises `RollbackNeeded`, or `Stopped` while there is nothing
		to undo yet.
		"""
		while self.take_request():
			pass
		request = find_stop(self.state)
		if request and self.may_have_changed_something():
			raise RollbackNeeded.asked_by(request)
		if request:
			raise Stopped("Stopping", f"run {self.run.name}", f"{request['by']}: {request['reason']}")

	# --- words ---------------------------------------------------------------------------------

	def note(self, text: str) -> None:
		"""Something an admin should read in the report."""
		self.journal.append("note", {"text": text})
		self.log(text)

	def log(self, text: str) -> None:
		"""A line in the log of the step at work."""
		self.programs.log.write(f"{time.strftime('%H:%M:%S')} {text}\n")

	def log_exception(self) -> None:
		self.log(traceback.format_exc())

	@contextmanager
	def log_of(self, step: str) -> Iterator[None]:
		"""Everything that is said within goes to the log of this step."""
		with self.programs.logging_to(self.run.step_log(step)):
			yield

	# --- the end -------------------------------------------------------------------------------

	def finish(self) -> None:
		"""Write the report, and let the records in the site follow. Neither may change how the run ended."""
		self.prober.close()
		try:
			write_report(self.bench, self.run)
		except Exception:
			with self.log_of("report"):
				self.log_exception()
		self.projector.finish()

	def close(self) -> None:
		"""End every thread and connection of this process. The run itself may go on later."""
		self.lease.close()
		self.prober.close()
		self.projector.close()
		self.services.close()
		self.open_resources.close()
		for database in self.databases.values():
			database.close()


SECRETS_SECONDS = 60
# What the helper grants at the least and at the most.
SHORTEST_LEASE_SECONDS, LONGEST_LEASE_SECONDS = 10, 3600
