"""The whole rollout, and the whole rollback, as two lists of named steps.

Everything that must hold for every step (crash tests, progress, report) reads these lists.
"""

from press_deploy.engine.steps.backup import (
	Backup,
	CheckProof,
	CloudSnapshot,
	CopyToSafePlaces,
	FinalBackup,
	LoadStandby,
)
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.deploy import (
	ChangeConfig,
	Maintenance,
	MarkLogs,
	SwitchCode,
)
from press_deploy.engine.steps.error_log import ClearErrorLog, RollbackClearErrorLog
from press_deploy.engine.steps.foreign_statements import ForeignStatements
from press_deploy.engine.steps.imports import PresentImports, ReleaseImports
from press_deploy.engine.steps.install import Build, Requirements, Restart, Stabilise
from press_deploy.engine.steps.jobs import PauseJobs, ResumeJobs, RollbackResumeJobs
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.preflight.step import Preflight
from press_deploy.engine.steps.prepare import Announce, Baseline, FetchCode
from press_deploy.engine.steps.release import (
	AnnounceSuccess,
	FinalVerdict,
	FollowUp,
	Monitor,
	Open,
	PublicSmokeTests,
)
from press_deploy.engine.steps.removals import Removals
from press_deploy.engine.steps.rollback import (
	AnnounceRollback,
	HealthCheck,
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

FORWARD: list[Step] = [
	Preflight(),
	# prepare
	Announce(),
	Baseline(),
	FetchCode(),
	PresentImports(),
	Backup(),
	CopyToSafePlaces(),
	CloudSnapshot(),
	LoadStandby(),
	CheckProof(),
	# (rehearsal)
	# deploy
	Maintenance(),
	PauseJobs(),
	ForeignStatements(),
	FinalBackup(),
	MarkLogs(),
	SwitchCode(),
	ChangeConfig(),
	Requirements(),
	ReleaseImports(),
	Build(),
	Migrate(),
	Removals(),
	Restart(),
	Stabilise(),
	# validate
	CriticalTests(),
	SmokeTests(),
	LogCheck(),
	Verdict(),
	# open
	Open(),
	ResumeJobs(),
	ClearErrorLog(),
	PublicSmokeTests(),
	# monitor
	Monitor(),
	FinalVerdict(),
	# close
	AnnounceSuccess(),
	FollowUp(),
]

ROLLBACK: list[Step] = [
	RollbackMaintenance(),
	RollbackPauseJobs(),
	LostDocuments(),
	Undo(ChangeConfig(), "Put the configuration back"),
	Undo(SwitchCode(), "Put the code back"),
	Undo(Requirements(), "Put the requirements back"),
	Undo(Build(), "Put the assets back"),
	RollbackDatabase(),
	RollbackFiles(),
	Undo(CriticalTests(), "Put the test settings back"),
	RollbackRestart(),
	HealthCheck(),
	RollbackOpen(),
	RollbackResumeJobs(),
	RollbackClearErrorLog(),
	ExportLosses(),
	AnnounceRollback(),
]

# A rollback that nobody approved: nothing was undone yet, so the sites are only opened again.
ABANDONED_ROLLBACK: list[Step] = [RollbackOpen(), RollbackResumeJobs(), RollbackClearErrorLog()]

__all__ = ["ABANDONED_ROLLBACK", "FORWARD", "ROLLBACK", "LostDocuments", "RollbackOpen"]
