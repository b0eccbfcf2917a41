"""Preflight: everything that is looked at before anything is changed. Each check is a line of its own.

A new check is a function `(run, ports) -> Iterator[Check]` in the module of its subject and a line in CHECKS.
"""

from press_deploy.engine.ground.checks import FAILED, OK, WARNING, Check
from press_deploy.engine.steps.preflight.backup_key import check_backup_key
from press_deploy.engine.steps.preflight.backups import check_proof, check_safe_places, check_snapshot
from press_deploy.engine.steps.preflight.code import check_copy_sources, check_repositories
from press_deploy.engine.steps.preflight.engines import check_engines
from press_deploy.engine.steps.preflight.file_rights import check_file_rights
from press_deploy.engine.steps.preflight.machine import (
	check_disk,
	check_helper,
	check_other_runs,
	check_recent_log_errors,
	check_services,
	check_watched_logs,
)
from press_deploy.engine.steps.preflight.plan import (
	check_allowances,
	check_approval,
	check_checklist,
	check_window,
)
from press_deploy.engine.steps.preflight.sites import (
	check_databases,
	check_neighbours,
	check_site_files,
	check_site_processes,
	check_sites,
	check_test_targets,
	check_web,
)

CHECKS = [
	check_approval,
	check_allowances,
	check_checklist,
	check_window,
	check_other_runs,
	check_sites,
	check_engines,
	check_site_files,
	check_neighbours,
	check_file_rights,
	check_disk,
	check_safe_places,
	check_backup_key,
	check_proof,
	check_snapshot,
	check_helper,
	check_services,
	check_web,
	check_databases,
	check_site_processes,
	check_repositories,
	check_copy_sources,
	check_test_targets,
	check_watched_logs,
	check_recent_log_errors,
]

__all__ = ["CHECKS", "FAILED", "OK", "WARNING", "Check"]
