"""Loading a backup into a standby, by the way that belongs to how the backup was made.

Invariant: whatever the way, the standby counts as loaded only when all of it is there.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from press_deploy.engine.backup.manifest import database_file
from press_deploy.engine.mariadb import physical
from press_deploy.engine.mariadb.server import Server
from press_deploy.engine.progress import Progress
from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.mariadb import MariaDBStandby


def load_backup(
	standby: StandbyDatabase, directory: Path, workplace: Path, progress: Progress | None = None
) -> dict[str, Any]:
	"""Load the verified backup in `directory`; `workplace` is private, and emptied. Raises `StepFailed`."""
	file = database_file(directory)
	if file.suffix != physical.SUFFIX or not isinstance(standby, MariaDBStandby):
		return standby.load(file, progress)

	def fill(server: Server, database: str) -> dict[str, Any]:
		return physical.load(file, server, standby.live, database, workplace, progress)

	shutil.rmtree(workplace, ignore_errors=True)
	workplace.mkdir(mode=0o700, parents=True)
	try:
		return standby.load_by(fill)
	finally:
		shutil.rmtree(workplace, ignore_errors=True)
