"""Who else is at work on a site's database, and keeps a run waiting that has closed the site.

Ours are the connections that this run's processes have opened since it began to look. A connection is foreign
when that is certain: it was there before, it is another account's, or it comes from another port than all our
processes have open. Over a unix socket the server names no process; then a later one of the site's own account
may be ours.

Invariant: nobody is ended who may be one of ours, and a connection that itself waits for a lock holds up nobody
who is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.holders import NO_SUCH_CONNECTION, find_transactions
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.server_errors import number_of
from press_deploy.engine.ground.errors import DeployError

NOT_ALLOWED = {1095, 1227}
READ_LENGTH, SHOWN_LENGTH = 2000, 160
# The server's own threads; a replica's appliers among them.
_SERVERS_OWN = ("system user", "event_scheduler")
_WAITS = re.compile(r"waiting for .*(metadata lock|read lock|table level lock|backup lock|table flush)", re.I)
_LOCKS = "SELECT DISTINCT THREAD_ID FROM information_schema.METADATA_LOCK_INFO WHERE BINARY TABLE_SCHEMA = %s"
_ROW_LOCKS = (
	"SELECT DISTINCT waiting.trx_mysql_thread_id, holding.trx_mysql_thread_id "
	"FROM information_schema.INNODB_LOCK_WAITS pair "
	"JOIN information_schema.INNODB_TRX waiting ON waiting.trx_id = pair.requesting_trx_id "
	"JOIN information_schema.INNODB_TRX holding ON holding.trx_id = pair.blocking_trx_id"
)


@dataclass(frozen=True)
class Connection:
	"""One connection as the server lists it; `transaction` is the age of the one it has open, None without."""

	number: int
	user: str
	host: str
	seconds: float
	command: str
	state: str
	statement: str
	transaction: int | None = None

	@property
	def is_at_work(self) -> bool:
		return self.command != "Sleep"

	@property
	def waits(self) -> bool:
		"""Whether it waits for a lock on a table or the like."""
		return bool(_WAITS.match(self.state))

	@property
	def age(self) -> float:
		"""For how many seconds it has been doing this, or has kept its transaction open."""
		return max(self.seconds, float(self.transaction or 0))

	@property
	def port(self) -> int | None:
		"""From which port it comes; None over a unix socket."""
		port = self.host.rpartition(":")[2]
		return int(port) if ":" in self.host and port.isdigit() else None

	def __str__(self) -> str:
		doing = self.statement or ("idle" if not self.is_at_work else self.command)
		kept = ", in a transaction" if self.transaction is not None and not self.is_at_work else ""
		return f"connection {self.number} of {self.user}@{self.host} for {self.age:.0f} s: {doing}{kept}"


def choose_observer(config: dict[str, Any]) -> Server:
	"""Who sees and may end the most: the administrator, where one is named and let in, else the site's own user."""
	try:
		if administrator := find_administrator(config):
			administrator.connect().close()
			return administrator
	except (DeployError, pymysql.Error, OSError):
		# His credentials are checked where nothing can be done without them.
		pass
	return Server.of_site(config)


def list_connections(cursor: Any, database: str, more: Collection[int] = ()) -> list[Connection]:
	"""Those that use a database, and `more` by their numbers; not this cursor's own. Raises `pymysql.Error`.

	Without the right PROCESS the server shows those of the same user alone, and no transactions.
	"""
	transactions = find_transactions(cursor, 0)
	numbers = f" OR ID IN ({', '.join(map(str, more))})" if more else ""
	cursor.execute(
		"SELECT ID, USER, HOST, COALESCE(TIME_MS, 0) / 1000, COMMAND, COALESCE(STATE, ''), COALESCE(LEFT(INFO, %s), '') "
		"FROM information_schema.PROCESSLIST "
		f"WHERE ((DB = %s AND (@@lower_case_table_names <> 0 OR BINARY DB = %s)){numbers}) "
		"AND ID <> CONNECTION_ID() AND USER NOT IN %s "
		"AND COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Killed') ORDER BY ID",
		(READ_LENGTH, database, database, _SERVERS_OWN),
	)
	return [
		Connection(
			int(number), user, host, float(seconds), command, state, cut(text), transactions.get(int(number))
		)
		for number, user, host, seconds, command, state, text in cursor.fetchall()
	]


def list_busy(cursor: Any, database: str) -> list[Connection]:
	"""Those of `list_connections` with a statement at work or a transaction open."""
	found = list_connections(cursor, database)
	return [each for each in found if each.is_at_work or each.transaction is not None]


def cut(statement: str) -> str:
	"""A statement on one line, of a length that somebody reads."""
	line = " ".join(statement.split())
	return line if len(line) <= SHOWN_LENGTH else f"{line[: SHOWN_LENGTH - 1]}…"


@dataclass(frozen=True)
class Wait:
	"""A connection of ours that waits, and those that may hold what it waits for."""

	waiting: Connection
	holders: list[Connection]


@dataclass(frozen=True)
class Ourselves:
	"""What tells this run's connections from others: its account, and the first number that can be one of them."""

	account: str
	first: int

	def may_be_ours(self, each: Connection) -> bool:
		return each.number >= self.first and each.user == self.account

	def find_foreign(self, listed: Iterable[Connection], ports: Collection[int]) -> list[Connection]:
		"""Those of which it is certain. `ports` are those that our processes had open after `listed` was read."""
		listed = list(listed)
		# A translated address shows a port that is nobody's here; then ports tell nothing.
		tells = any(each.port in ports for each in listed if self.may_be_ours(each))
		return [
			each
			for each in listed
			if not self.may_be_ours(each) or (tells and each.port is not None and each.port not in ports)
		]


def find_wait(cursor: Any, database: str, ourselves: Ourselves) -> tuple[Wait | None, list[Connection]]:
	"""The longest wait of ours for a lock, None without one; and everybody who is listed. Raises `pymysql.Error`."""
	row_locks = _find_row_locks(cursor)
	holding = {holder for holders in row_locks.values() for holder in holders} | _find_lock_owners(
		cursor, database
	)
	listed = list_connections(cursor, database, holding)
	ours = [
		each for each in listed if ourselves.may_be_ours(each) and (each.waits or each.number in row_locks)
	]
	if not ours:
		return None, listed
	waiting = max(ours, key=lambda each: each.seconds)
	others = [each for each in listed if each.number != waiting.number and not each.waits]
	known = row_locks.get(waiting.number) or holding
	holders = [each for each in others if each.number in known]
	return Wait(waiting, holders or _suspect(others, waiting)), listed


def _suspect(others: list[Connection], waiting: Connection) -> list[Connection]:
	"""Who may hold the lock where the server doesn't tell: those who had begun before the wait did.

	Idle ones only where there is no other: what they read in a transaction may not be shown to us.
	"""
	earlier = [each for each in others if each.age + 1 >= waiting.seconds]
	busy = [each for each in earlier if each.is_at_work or each.transaction is not None]
	return busy or earlier


def _find_row_locks(cursor: Any) -> dict[int, set[int]]:
	"""{who waits for rows: who holds them}; {} where we may not know."""
	found: dict[int, set[int]] = {}
	try:
		cursor.execute(_ROW_LOCKS)
	except pymysql.OperationalError:
		return found
	for waiting, holding in cursor.fetchall():
		found.setdefault(int(waiting), set()).add(int(holding))
	return found


def _find_lock_owners(cursor: Any, database: str) -> set[int]:
	"""Who has a lock on one of its tables; the server tells only with its plugin METADATA_LOCK_INFO."""
	try:
		cursor.execute(_LOCKS, (database,))
	except pymysql.Error:
		return set()
	return {int(number) for (number,) in cursor.fetchall()}


def end_connection(cursor: Any, number: int) -> bool:
	"""End a connection; False where this account may not. One that is gone by itself is ended, too."""
	try:
		cursor.execute(f"KILL CONNECTION {number}")
	except pymysql.Error as error:
		if number_of(error) in NOT_ALLOWED:
			return False
		if number_of(error) != NO_SUCH_CONNECTION:
			raise
	return True


def tell_how_to_end(each: Connection) -> str:
	"""What the database's administrator types."""
	return f"sudo mariadb -e 'KILL {each.number}'"
