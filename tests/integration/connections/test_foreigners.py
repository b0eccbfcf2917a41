"""Somebody else's long query on the tables that a migration alters: told, given its time, ended; ours are spared."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.processes import list_ports_of
from press_deploy.engine.databases.mariadb.foreigners import (
	SHOWN_LENGTH,
	Connection,
	Ourselves,
	choose_observer,
	cut,
	list_busy,
	list_connections,
)
from press_deploy.engine.databases.mariadb.lock_watch import LockWatch
from press_deploy.engine.databases.mariadb.server import Server
from tests.support.databases import SITE, execute, make_user
from tests.unit.engine.support import wait_until

from .visitors import ALTER, AT_ALTER, AT_REPORT, HANG_SECONDS, IDLE, LIVE, NEVER, REPORT, Visitors

# Another program, which is told through its input where to log in and what to ask.
STRANGER = (
	"import json, sys, pymysql; login, query = json.load(sys.stdin); "
	"pymysql.connect(**login).cursor().execute(query)"
)


class Watched:
	"""A migration over a connection of the site's own, with a watch over it."""

	def __init__(self, server: Server, limit: float, list_ports: Callable[[], set[int]] = set):
		self.told: list[str] = []
		self.notes: list[str] = []
		self.watch = LockWatch(
			server, LIVE, "site_user", limit, self.told.append, self.notes.append, list_ports
		)

	def migrate(self, site_user: Server) -> None:
		with self.watch, site_user.session(LIVE) as cursor:
			cursor.execute(ALTER)


@pytest.mark.parametrize("observer", ["administrator", "the site's own user"])
def test_a_report_that_holds_a_migration_up_is_shown_and_ended(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any, observer: str
) -> None:
	report = visitors.begin(site_user, REPORT)
	wait_for(AT_REPORT)
	watched = Watched(server if observer == "administrator" else site_user, limit=1.5)
	watched.migrate(site_user)
	assert report.was_ended
	assert any(
		"waiting for a lock for" in line
		and ALTER in line
		and f"connection {report.number} of site_user" in line
		for line in watched.told
	)
	(note,) = watched.notes
	assert note.startswith(f"Ending connection {report.number} of site_user@localhost for ")
	assert "SELECT SLEEP(0.05) FROM tabItem" in note and ALTER in note


def test_an_open_transaction_that_does_nothing_is_found(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	for observer in (server, site_user):
		execute(server, LIVE, "ALTER TABLE tabItem DROP COLUMN IF EXISTS colour")
		idle = visitors.begin(site_user, "BEGIN", "SELECT COUNT(*) FROM tabItem")
		assert idle.future.exception(HANG_SECONDS) is None
		wait_for(IDLE)
		watched = Watched(observer, limit=1)
		watched.migrate(site_user)
		assert f"Ending connection {idle.number} of site_user" in watched.notes[0]


def test_a_row_that_somebody_holds_is_told_by_the_administrator(
	server: Server, site_user: Server, visitors: Visitors
) -> None:
	# From another database, so that only the server's own list of locks can tell.
	holder = visitors.begin(
		server, "BEGIN", f"UPDATE `{LIVE}`.tabItem SET price = 0 WHERE name = 'I-7'", database="mysql"
	)
	assert holder.future.exception(HANG_SECONDS) is None
	watched = Watched(server, limit=1)
	with watched.watch, site_user.session(LIVE) as cursor:
		cursor.execute("UPDATE tabItem SET price = 1 WHERE name = 'I-7'")
	assert f"Ending connection {holder.number} of {server.user}" in watched.notes[0]


def test_who_reads_the_table_from_another_database_is_told_by_the_servers_plugin(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	report = visitors.begin(server, f"SELECT SLEEP(0.05) FROM `{LIVE}`.tabItem", database="mysql")
	wait_for("STATE = 'User sleep'")
	execute(server, None, "INSTALL SONAME 'metadata_lock_info'")
	try:
		Watched(server, limit=1).migrate(site_user)
	finally:
		execute(server, None, "UNINSTALL SONAME 'metadata_lock_info'")
	assert report.was_ended


def test_who_is_younger_than_the_limit_is_shown_and_left_to_finish(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	report = visitors.begin(site_user, "SELECT SLEEP(4) FROM tabItem LIMIT 1")
	wait_for("STATE = 'User sleep'")
	watched = Watched(server, limit=NEVER)
	watched.migrate(site_user)
	assert report.future.exception(HANG_SECONDS) is None and watched.told and not watched.notes


def test_another_connection_of_the_migration_is_spared(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	"""Over a unix socket nobody can tell it from a stranger's, so it is named and stays."""
	watched = Watched(server, limit=1)
	with watched.watch:
		own = visitors.begin(site_user, REPORT)
		wait_for(AT_REPORT)
		migration = visitors.begin(site_user, ALTER)
		wait_for(AT_ALTER)
		wait_until(lambda: watched.notes, "a note")
		assert not own.future.done() and not migration.future.done()
	(note,) = watched.notes
	assert note.startswith("Not ended, since it may be one of this run's own: connection")
	assert note.endswith(f"sudo mariadb -e 'KILL {own.number}'")


def test_another_account_that_comes_later_is_foreign(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	reporter = make_user(server, "reporter", f"SELECT ON `{LIVE}`.*")
	watched = Watched(server, limit=1)
	with watched.watch:
		report = visitors.begin(reporter, REPORT)
		wait_for(AT_REPORT)
		migration = visitors.begin(site_user, ALTER)
		assert migration.future.exception(HANG_SECONDS) is None
	assert report.was_ended and "of reporter@localhost" in watched.notes[0]


def test_a_right_that_is_missing_is_said_with_the_command(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	onlooker = make_user(server, "onlooker", "PROCESS ON *.*")
	report = visitors.begin(site_user, REPORT)
	wait_for(AT_REPORT)
	watched = Watched(onlooker, limit=1)
	with watched.watch:
		migration = visitors.begin(site_user, ALTER)
		wait_until(lambda: len(watched.notes) == 2, "the second note")
		assert not report.future.done() and not migration.future.done()
	assert watched.notes[1].startswith(f"onlooker may not end connection {report.number}")
	assert f"sudo mariadb -e 'KILL {report.number}'" in watched.notes[1]


def test_who_cannot_be_seen_is_said_so(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	reporter = make_user(server, "reporter", f"SELECT ON `{LIVE}`.*")
	report = visitors.begin(reporter, REPORT)
	wait_for(AT_REPORT)
	watched = Watched(site_user, limit=1)
	with watched.watch:
		visitors.begin(site_user, ALTER)
		wait_until(lambda: watched.told, "a line")
	assert "held by nobody whom site_user may see" in watched.told[0] and not report.future.done()


def test_a_watch_whose_own_connection_is_ended_looks_again(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	observer = make_user(server, "observer", "PROCESS, CONNECTION ADMIN ON *.*")
	report = visitors.begin(site_user, REPORT)
	wait_for(AT_REPORT)
	watched = Watched(observer, limit=2)
	with watched.watch:
		migration = visitors.begin(site_user, ALTER)
		wait_for(AT_ALTER)
		for (number,) in execute(
			server, None, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'observer'"
		):
			execute(server, None, f"KILL CONNECTION {number}")
		assert migration.future.exception(HANG_SECONDS) is None
	assert any("could not be seen" in line for line in watched.told), "the fault never fired"
	assert report.was_ended


def test_no_server_for_the_watch_leaves_the_work_alone(server: Server, site_user: Server) -> None:
	watched = Watched(server.as_user("nobody", "wrong"), limit=1)
	watched.migrate(site_user)
	assert "will not be seen" in watched.told[0] and not watched.notes


def seen(number: int, user: str = "site_user", host: str = "localhost:5000") -> Connection:
	return Connection(number, user, host, 20.0, "Query", "", "SELECT 1")


def test_ports_tell_strangers_only_where_one_of_ours_is_known_by_its_own() -> None:
	ourselves = Ourselves("site_user", 100)
	ours, later, socket = (
		seen(110, host="127.0.0.1:5000"),
		seen(111, host="::1:5001"),
		seen(112, host="localhost"),
	)
	earlier, other = seen(99, host="127.0.0.1:5000"), seen(113, user="reporter")
	listed = [ours, later, socket, earlier, other]
	assert ourselves.find_foreign(listed, {5000}) == [later, earlier, other]
	# As behind a proxy, where every port is the proxy's.
	assert ourselves.find_foreign(listed, {7000}) == [earlier, other]


def test_a_statement_is_one_line_of_a_sane_length(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	visitors.begin(site_user, f"SELECT SLEEP(600),\n\t'{'x' * 5000}' /* end */")
	wait_for("STATE = 'User sleep'")
	with server.session() as cursor:
		(found,) = list_busy(cursor, LIVE)
	assert found.statement == cut(found.statement) and len(found.statement) == SHOWN_LENGTH
	assert found.statement.startswith("SELECT SLEEP(600), 'xxx") and found.statement.endswith("…")
	assert len(str(found)) < SHOWN_LENGTH + 80


def test_a_database_of_another_name_is_none_of_it(
	server: Server, site_user: Server, visitors: Visitors, wait_for: Any
) -> None:
	visitors.begin(server, "SELECT SLEEP(600)", database="mysql")
	visitors.begin(site_user, "SELECT 1")
	wait_for("STATE = 'User sleep'")
	wait_for(IDLE)
	with server.session() as cursor:
		assert list_busy(cursor, LIVE) == [] and len(list_connections(cursor, LIVE)) == 1


def test_over_the_network_a_stranger_is_told_by_his_port(
	server: Server, over_network: Server, visitors: Visitors, wait_for: Any
) -> None:
	"""He uses the site's own account and comes later than the migration; a second connection of ours stays."""
	watched = Watched(server, limit=1, list_ports=partial(list_ports_of, "no-such-run"))
	with watched.watch, ExitStack() as stack:
		own = visitors.begin(over_network, "SELECT SLEEP(4) FROM tabItem LIMIT 1")
		wait_for("INFO LIKE '%LIMIT 1' AND STATE = 'User sleep'")
		stranger = stack.enter_context(
			subprocess.Popen([sys.executable, "-c", STRANGER], stdin=subprocess.PIPE, text=True)
		)
		stack.callback(stranger.kill)
		login = {"host": over_network.host, "port": over_network.port, "user": "site_user"}
		stranger.stdin.write(json.dumps([{**login, "password": "secret", "database": LIVE}, REPORT]))
		stranger.stdin.close()
		wait_for(AT_REPORT)
		migration = visitors.begin(over_network, ALTER)
		assert migration.future.exception(HANG_SECONDS) is None
		assert stranger.wait(HANG_SECONDS) != 0
	assert own.future.exception(HANG_SECONDS) is None
	(ended,) = [note for note in watched.notes if note.startswith("Ending")]
	assert "SLEEP(0.05)" in ended and f"connection {own.number} " not in ended


def test_an_administrator_who_is_not_let_in_is_done_without(server: Server, bench: Bench) -> None:
	config = bench.read_config(SITE)
	named = {**config, "root_login": server.user, "root_password": server.password}
	assert choose_observer(named).user == server.user
	make_user(server, "former_root", "SELECT ON *.*")
	assert (
		choose_observer({**config, "root_login": "former_root", "root_password": "wrong"}).user == "site_user"
	)


def test_threads_are_gone_with_the_watch(server: Server, site_user: Server) -> None:
	Watched(server, limit=1).migrate(site_user)
	assert not [thread for thread in threading.enumerate() if thread.name == "lock watch"]
