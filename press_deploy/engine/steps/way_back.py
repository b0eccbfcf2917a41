"""The whole way back, as one list of named steps, each handed the ports that it needs, and nothing else."""

from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.deploy import (
	ChangeConfig,
	SwitchCode,
)
from press_deploy.engine.steps.error_log import RollbackClearErrorLog
from press_deploy.engine.steps.export_losses import ExportLosses
from press_deploy.engine.steps.install import Build
from press_deploy.engine.steps.jobs import RollbackResumeJobs
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.requirements import Requirements
from press_deploy.engine.steps.rollback import (
	AnnounceRollback,
	HealthCheck,
	RollbackClearCaches,
	RollbackMaintenance,
	RollbackOpen,
	RollbackPauseJobs,
	RollbackRestart,
	Undo,
)
from press_deploy.engine.steps.rollback_database import RollbackDatabase
from press_deploy.engine.steps.rollback_files import RollbackFiles
from press_deploy.engine.steps.rollback_losses import LostDocuments
from press_deploy.engine.steps.validate import CriticalTests


def rollback(ports: Ports) -> list[Step]:
	"""The way back, from wherever the run is."""
	doors, databases = ports.doors, ports.databases
	site_processes, watched_logs = ports.site_processes, ports.watched_logs
	return [
		RollbackMaintenance(doors),
		RollbackPauseJobs(site_processes, ports.projector),
		LostDocuments(databases),
		Undo(ChangeConfig(), "Put the configuration back"),
		Undo(SwitchCode(ports.code), "Put the code back"),
		Undo(Requirements(), "Put the requirements back"),
		Undo(Build(site_processes), "Put the assets back"),
		RollbackDatabase(databases, site_processes),
		RollbackFiles(),
		Undo(CriticalTests(site_processes, watched_logs, databases), "Put the test settings back"),
		RollbackClearCaches(site_processes),
		RollbackRestart(doors),
		HealthCheck(doors, watched_logs),
		*abandoned_rollback(ports),
		ExportLosses(databases),
		AnnounceRollback(site_processes),
	]


def abandoned_rollback(ports: Ports) -> list[Step]:
	"""A rollback that nobody approved: nothing was undone yet, so the sites are only opened again."""
	return [
		RollbackOpen(ports.doors, ports.databases),
		RollbackResumeJobs(ports.site_processes),
		RollbackClearErrorLog(ports.site_processes),
	]
