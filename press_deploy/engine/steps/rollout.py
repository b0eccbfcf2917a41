"""The whole rollout, as one list of named steps, each handed the ports that it needs, and nothing else."""

from press_deploy.engine.steps.backup import (
	Backup,
	CloudSnapshot,
	CopyToSafePlaces,
)
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.caches import ClearCaches
from press_deploy.engine.steps.deploy import (
	ChangeConfig,
	FormerErrors,
	Maintenance,
	MarkLogs,
	SwitchCode,
)
from press_deploy.engine.steps.error_log import ClearErrorLog
from press_deploy.engine.steps.final_backup import FinalBackup, FinalFiles
from press_deploy.engine.steps.foreign_statements import ForeignStatements
from press_deploy.engine.steps.imports import PresentImports, ReleaseImports
from press_deploy.engine.steps.install import Build, Restart, Stabilise
from press_deploy.engine.steps.jobs import PauseJobs, ResumeJobs
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.monitor import FinalVerdict, Monitor
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.preflight.step import Preflight
from press_deploy.engine.steps.prepare import Announce, Baseline, FetchCode
from press_deploy.engine.steps.proving import CheckProof, LoadStandby, ProveBootable, ProveRestorable
from press_deploy.engine.steps.release import (
	AnnounceSuccess,
	FollowUp,
	Open,
	PublicSmokeTests,
)
from press_deploy.engine.steps.removals import Inventory, Removals
from press_deploy.engine.steps.requirements import KeepEnvironment, Requirements
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
