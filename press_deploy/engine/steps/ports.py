"""Through which a run touches the world, one family of steps at a time; a step is handed those that it needs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from press_deploy.engine.bench.services import Services
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.journal.projection import Projector
from press_deploy.engine.steps.code import Code
from press_deploy.engine.steps.copies import Copies
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.watched_logs import WatchedLogs


@dataclass
class Ports:
	"""Those of one run. Made by `open_ports`; `close` ends every thread and connection of this process."""

	doors: Doors
	code: Code
	copies: Copies
	databases: Databases
	site_processes: SiteProcesses
	watched_logs: WatchedLogs
	projector: Projector

	def close(self) -> None:
		"""The run itself may go on later."""
		self.doors.lease.close()
		self.doors.prober.close()
		self.projector.close()
		self.doors.services.close()
		self.databases.close()


def open_ports(run: Run) -> Ports:
	"""Nothing is asked of any of them yet, but of the helper whether it is there."""
	services, web = Services(run.bench), Web(run.bench, run.spec)
	site_processes = SiteProcesses(run.bench, run.programs)
	return Ports(
		Doors(run, services, web),
		Code(run),
		Copies(run, web, site_processes),
		Databases(run),
		site_processes,
		WatchedLogs(run.bench, run.spec.site_names, services, run.log),
		Projector(run.bench, run.directory, run.spec.control_site),
	)


# For whoever asks what steps there are, and executes none.
NOWHERE = Ports(*(None for _port in fields(Ports)))  # type: ignore[arg-type]
