"""A user for one database alone: what its rights reach, and that nothing of it is left."""

from __future__ import annotations

import pymysql
import pytest

from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.throwaway_user import (
	drop_leftovers,
	escape_database,
	make_throwaway_user,
)
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.backup.conftest import MakeDatabase

NAME = "throwaway_50%"


def count_users(server: Server) -> int:
	with server.session() as cursor:
		cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = %s", (NAME,))
		return cursor.fetchone()[0]


def test_its_rights_end_at_the_database_and_it_with_the_block(
	server: Server, make_database: MakeDatabase
) -> None:
	make_database("CREATE TABLE a (b int)", name=NAME)
	# A name that the grant would reach if its wildcards were not escaped.
	alike = make_database("CREATE TABLE a (b int)", name="throwawayX50y")
	hosts = ["localhost", "127.0.0.1"]
	with make_throwaway_user(server, NAME, hosts, escape_database(NAME)) as password:
		assert count_users(server) == 2
		with server.as_user(NAME, password).session(NAME) as cursor:
			cursor.execute("INSERT INTO a VALUES (1)")
			with pytest.raises(pymysql.Error, match="denied"):
				cursor.execute(f"INSERT INTO {quote(alike)}.a VALUES (1)")
	assert not count_users(server)


def test_it_is_gone_after_a_failure_and_made_anew_after_a_kill(
	server: Server, make_database: MakeDatabase
) -> None:
	make_database(name=NAME)
	with server.session() as cursor:
		cursor.execute("CREATE USER %s@localhost IDENTIFIED BY 'of a killed call'", (NAME,))
	with pytest.raises(ZeroDivisionError):
		with make_throwaway_user(server, NAME, ["localhost"], escape_database(NAME)) as password:
			server.as_user(NAME, password).connect().close()
			raise ZeroDivisionError
	assert not count_users(server)
	with pytest.raises(StepFailed, match="the user throwaway"):
		with make_throwaway_user(server, NAME, ["localhost"], escape_database(NAME), ["NO SUCH RIGHT"]):
			raise AssertionError("it was made")
	assert not count_users(server)


def make_with_lost_rights(server: Server, trouble: Exception | None) -> None:
	"""The administrator is gone before the user can be dropped."""
	with server.session() as cursor:
		cursor.execute("CREATE OR REPLACE USER boss@localhost IDENTIFIED BY 'geheim'")
		cursor.execute("GRANT ALL PRIVILEGES ON *.* TO boss@localhost WITH GRANT OPTION")
		boss = server.as_user("boss", "geheim")
		try:
			with make_throwaway_user(boss, NAME, ["localhost"], escape_database(NAME)):
				cursor.execute("DROP USER boss@localhost")
				if trouble:
					raise trouble
		finally:
			assert count_users(server) == 1
			drop_leftovers(cursor, NAME)


def test_what_went_wrong_is_not_hidden_by_a_user_that_can_not_be_dropped(server: Server) -> None:
	with pytest.raises(ZeroDivisionError) as caught:
		make_with_lost_rights(server, ZeroDivisionError())
	(note,) = caught.value.__notes__
	assert f"Dropping the user {NAME}" in note and "Access denied for user 'boss'" in note
	with pytest.raises(StepFailed, match=f"Dropping the user {NAME}"):
		make_with_lost_rights(server, None)


def test_what_a_killed_call_left_is_dropped_from_all_hosts(server: Server) -> None:
	with server.session() as cursor:
		for host in ("localhost", "%", "10.0.0.1"):
			cursor.execute("CREATE USER %s@%s", (NAME, host))
		# A name that a pattern would reach.
		cursor.execute("CREATE OR REPLACE USER 'throwawayX50y'@'localhost' IDENTIFIED BY 'geheim'")
		with server.as_user("throwawayX50y", "geheim").session() as limited:
			drop_leftovers(limited, NAME)
		assert count_users(server) == 3
		drop_leftovers(cursor, NAME)
		assert not count_users(server)
		cursor.execute("DROP USER 'throwawayX50y'@'localhost'")
