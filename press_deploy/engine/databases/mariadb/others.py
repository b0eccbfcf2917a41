"""Others at work on a site's database on MariaDB, as seen by whoever sees and may end the most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from press_deploy.engine.databases.engine import Company, Watch
from press_deploy.engine.databases.mariadb.foreigners import (
	Connection,
	choose_observer,
	end_connection,
	list_busy,
	tell_how_to_end,
)
from press_deploy.engine.databases.mariadb.lock_watch import LockWatch
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import translate_server_errors

DOING = "Looking for others' statements on"


class ServerCompany:
	"""Over one connection: `cursor`."""

	def __init__(self, cursor: Any, database: str, account: str):
		self._cursor, self.database, self.account = cursor, database, account

	def list_busy(self) -> list[Connection]:
		return list_busy(self._cursor, self.database)

	def end(self, visitor: Connection) -> bool:
		return end_connection(self._cursor, visitor.number)

	def tell_how_to_end(self, visitor: Connection) -> str:
		return tell_how_to_end(visitor)


@contextmanager
def look_at(config: dict[str, Any], site: str) -> Iterator[Company | None]:
	if not config.get("db_name"):
		yield None
		return
	with translate_server_errors(DOING, site):
		server = choose_observer(config)
		with server.session() as cursor:
			yield ServerCompany(cursor, config["db_name"], server.user)


def watch_locks(config: dict[str, Any], watch: Watch) -> AbstractContextManager[Any]:
	if not config.get("db_name"):
		return nullcontext()
	return LockWatch(
		choose_observer(config),
		config["db_name"],
		Server.of_site(config).user,
		watch.limit,
		watch.tell,
		watch.note,
		watch.list_ports,
	)
