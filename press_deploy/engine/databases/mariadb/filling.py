"""How an empty database gets a backup's content, by the way that belongs to how the backup was made.

Invariant: a private place that was needed for it is gone afterwards, whatever happened.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.backup_files import database_file
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.progress import Progress

# Fills an empty database that was made for it; returns what is worth recording. Events are asleep from the
# first moment (see `sleeping_events`).
Fill = Callable[[Server, str], dict[str, Any]]


def fill_from(directory: Path, live: str, workplace: Path, progress: Progress | None = None) -> Fill:
	"""What loads the verified backup in `directory`; `workplace` is private, and emptied."""
	file = database_file(directory)
	if file.suffix != physical.SUFFIX:
		return fill_from_dump(file, progress)

	def fill(server: Server, database: str) -> dict[str, Any]:
		shutil.rmtree(workplace, ignore_errors=True)
		workplace.mkdir(mode=0o700, parents=True)
		try:
			return physical.load(file, server, live, database, workplace, progress)
		finally:
			shutil.rmtree(workplace, ignore_errors=True)

	return fill


def fill_from_dump(file: Path, progress: Progress | None = None) -> Fill:
	"""What loads this dump, verified or not."""
	return lambda server, database: load_dump(file, server, database, progress=progress, events_asleep=True)
