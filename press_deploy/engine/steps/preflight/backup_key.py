"""Can the configuration in a backup be opened once the bench is gone?"""

from __future__ import annotations

from collections.abc import Iterator

from press_deploy.engine.backup.config_secrets import KEY_NAME, is_exported
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run

NAME = "Key of the backups"


def check_backup_key(run: Run, ports: Ports) -> Iterator[Check]:
	"""It can be read; and, as copies at safe places are there for the day when this disk is lost, it was copied."""
	settings = run.spec.backup
	if settings.config_secrets != "encrypt":
		return
	try:
		exported = is_exported(run.bench.deployments / KEY_NAME)
	except StepFailed as error:
		yield fail(NAME, error.why, error.remedy)
		return
	if not settings.places:
		return
	if exported:
		yield ok(NAME, "a copy of it was made")
		return
	remedy = f"{run.bench.command_to_type('backup-key', 'FILE')}, and keep FILE apart from bench and backups"
	yield warn(
		NAME, "it is on this bench alone: if that is lost, so are the passwords in its backups", remedy
	)
