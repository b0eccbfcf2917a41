"""Loading a backup into a standby, by the way that belongs to how the backup was made.

Invariant: whatever the way, the standby counts as loaded only when all of it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.filling import fill_from
from press_deploy.engine.databases.standby.mariadb import MariaDBStandby
from press_deploy.engine.ground.progress import Progress


def load_backup(
	standby: StandbyDatabase, directory: Path, workplace: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Load the verified backup in `directory`; `workplace` is private, and emptied. Raises `StepFailed`."""
	if isinstance(standby, MariaDBStandby):
		return standby.load_by(fill_from(directory, standby.live, workplace, progress))
	return standby.load(database_file(directory), progress)
