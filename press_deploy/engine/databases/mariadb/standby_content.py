"""Looking into the standby of a site on MariaDB, and letting somebody else do so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.mariadb.comparison import count_rows
from press_deploy.engine.databases.mariadb.losses import open_snapshot
from press_deploy.engine.databases.mariadb.proving import read_stored_passwords
from press_deploy.engine.databases.mariadb.standby_login import let_in
from press_deploy.engine.databases.mariadb.standby_own import OwnDatabases
from press_deploy.engine.databases.standby.base import Former
from press_deploy.engine.databases.stored_passwords import Stored


class StandbyContent(OwnDatabases):
	"""What is in it; nothing is changed."""

	def open_comparison(self) -> AbstractContextManager[Reader]:
		return open_snapshot(self.server)

	@contextmanager
	def open_former(self, backup: Path, final: Path) -> Iterator[Former]:
		# The backup is seen in a snapshot of the new live database.
		with open_snapshot(self.server) as reader:
			yield reader, self.live, self.quarantine

	def count_rows(self, tables: Iterable[str]) -> dict[str, int | None]:
		with self.ask("Proving", self.name) as cursor:
			return {table: count_rows(cursor, self.name, table) for table in tables}

	def read_stored_passwords(self) -> Stored:
		return read_stored_passwords(self.server, self.name)

	def let_in(self, config: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
		return let_in(self.server, config, self.name)
