"""Objects that nobody can make again, or not everywhere: known beforehand, whoever made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb.foreign_objects import find_reaching_views, find_unmakeable
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server
from tests.support.databases import execute, make_database, private_directory


def test_a_server_with_a_binary_log_takes_no_function_that_promises_nothing(tmp_path: Path) -> None:
	"""It was made while the server had none; nobody could make it again."""
	with (
		private_directory() as directory,
		run_scratch_server(directory, "--log-bin", "--server-id=1") as server,
	):
		make_database(server, "shop", "CREATE TABLE t (id INT)")
		trust = "SET GLOBAL log_bin_trust_function_creators = {}"
		execute(
			server,
			"shop",
			trust.format(1),
			"CREATE FUNCTION promises() RETURNS INT DETERMINISTIC RETURN 1",
			"CREATE FUNCTION nothing() RETURNS INT RETURN 1",
			trust.format(0),
		)
		with server.session() as cursor:
			lack = find_unmakeable(cursor, "shop")
			assert lack.objects == ("function nothing",)
			cursor.execute("DROP FUNCTION shop.nothing")
			with pytest.raises(Exception, match="1418"):
				cursor.execute("CREATE FUNCTION shop.nothing() RETURNS INT RETURN 1")
			(statement,) = lack.statements
			cursor.execute(statement)
			cursor.execute("CREATE FUNCTION shop.nothing() RETURNS INT RETURN 1")
			assert not find_unmakeable(cursor, "shop")


@pytest.mark.parametrize(
	("view", "reaches"),
	[
		("SELECT 'from `x`.`y` \\' it''s' AS s FROM a LEFT JOIN (b JOIN `n``h`.t ON TRUE) ON TRUE", True),
		("SELECT x.id FROM (SELECT id FROM `n``h`.t) AS x, a", True),
		("SELECT a.id FROM a, `n``h`.t", True),
		("SELECT id FROM a WHERE EXISTS (SELECT 1 FROM `n``h`.t)", True),
		("SELECT `n``h`.f() AS f FROM a", True),
		("SELECT 'from `n``h`.`t`' AS `from ``n````h``.``t``` FROM a JOIN b ON a.id = b.id", False),
		("WITH c AS (SELECT id FROM a) SELECT c.id, f() FROM c, b WHERE c.id IN (SELECT id FROM b)", False),
		("SELECT EXTRACT(DAY FROM NOW()) AS x FROM (a, b JOIN (SELECT 1 AS o) AS z)", False),
	],
)
def test_views_that_reach_into_other_databases_are_known(server: Server, view: str, reaches: bool) -> None:
	function = "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1"
	make_database(server, "n`h", "CREATE TABLE t (id INT)", function)
	tables = ("CREATE TABLE a (id INT)", "CREATE TABLE b (id INT)", function)
	make_database(server, "viewed", *tables, f"CREATE VIEW v AS {view}")
	with server.session() as cursor:
		assert find_reaching_views(cursor, "viewed") == ["view v"] * reaches
	execute(server, None, "DROP DATABASE viewed", "DROP DATABASE `n``h`")
