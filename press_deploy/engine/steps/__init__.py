"""The whole rollout, and the whole rollback, as two lists of named steps.

Everything that must hold for every step (crash tests, progress, report) reads these lists. A step is handed the ports
that it needs, and nothing else.
"""

from press_deploy.engine.steps.backup import (
	Backup,
	CloudSnapshot,
	CopyToSafePlaces,
)
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.before_migrate import FormerErrors, Inventory
from press_deploy.engine.steps.caches import ClearCaches
from press_deploy.engine.steps.deploy import (
	ChangeConfig,
	Maintenance,
	MarkLogs,
	SwitchCode,
)
from press_deploy.engine.steps.error_log import ClearErrorLog, RollbackClearErrorLog
from press_deploy.engine.steps.final_backup import FinalBackup, FinalFiles
from press_deploy.engine.steps.foreign_statements import ForeignStatements
from press_deploy.engine.steps.imports import PresentImports, ReleaseImports
from press_deploy.engine.steps.install import Build, Restart, Stabilise
from press_deploy.engine.steps.jobs import PauseJobs, ResumeJobs, RollbackResumeJobs
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.monitor import FinalVerdict, Monitor
from press_deploy.engine.steps.ports import NOWHERE, Ports
from press_deploy.engine.steps.preflight.step import Preflight
from press_deploy.engine.steps.prepare import Announce, Baseline, FetchCode
from press_deploy.engine.steps.proving import CheckProof, LoadStandby, ProveBootable, ProveRestorable
from press_deploy.engine.steps.release import (
	AnnounceSuccess,
	FollowUp,
	Open,
	PublicSmokeTests,
)
from press_deploy.engine.steps.removals import Removals
from press_deploy.engine.steps.requirements import KeepEnvironment, Requirements
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
from press_deploy.engine.steps.rollback_losses import ExportLosses, LostDocuments
from press_deploy.engine.steps.validate import CriticalTests, LogCheck, SmokeTests, Verdict


def forward(ports: Ports) -> list[Step]:
	"""The rollout, and what each step of it is handed."""
	doors, code, copies, databases = ports.doors, ports.code, ports.copies, ports.databases
	site_processes, watched_logs = ports.site_processes, ports.watched_logs
	return [
		Preflight(ports),
		# prepare
		Announce(site_processes),
		Baseline(doors),
		FetchCode(code),
		KeepEnvironment(),
		PresentImports(site_processes),
		Backup(copies, databases),
		CopyToSafePlaces(copies),
		CloudSnapshot(copies),
		LoadStandby(databases),
		ProveRestorable(databases),
		ProveBootable(copies, databases),
		CheckProof(),
		# (rehearsal)
		# deploy
		Maintenance(doors),
		PauseJobs(site_processes, ports.projector),
		ForeignStatements(databases),
		FinalBackup(copies, databases),
		FinalFiles(),
		MarkLogs(watched_logs, databases),
		SwitchCode(code),
		ChangeConfig(),
		Requirements(),
		ReleaseImports(site_processes),
		Build(site_processes),
		FormerErrors(watched_logs),
		Inventory(),
		Migrate(site_processes, databases),
		Removals(),
		ClearCaches(site_processes),
		Restart(doors),
		Stabilise(doors, watched_logs),
		# validate
		CriticalTests(site_processes, watched_logs, databases),
		SmokeTests(doors, site_processes),
		LogCheck(watched_logs, databases),
		Verdict(doors),
		# open
		Open(doors),
		ResumeJobs(site_processes),
		ClearErrorLog(site_processes),
		PublicSmokeTests(doors),
		# monitor
		Monitor(doors, watched_logs, databases),
		FinalVerdict(watched_logs, databases),
		# close
		AnnounceSuccess(site_processes),
		FollowUp(),
	]


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


# The same steps with nothing in their hands: to be read, by whoever wants to know which there are.
FORWARD, ROLLBACK = forward(NOWHERE), rollback(NOWHERE)
