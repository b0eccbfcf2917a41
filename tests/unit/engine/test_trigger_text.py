"""A trigger's statement, freed of names of databases: the rest stays letter by letter."""

from __future__ import annotations

import pytest

from press_deploy.engine.databases.mariadb.trigger_text import free_statement, names_database

BODY = " BEGIN SET NEW.x = '\\\\ FOR EACH ROW 😀'; END"


@pytest.mark.parametrize(
	("head", "freed"),
	[
		("TRIGGER t BEFORE INSERT ON a FOR EACH ROW", "TRIGGER t BEFORE INSERT ON a FOR EACH ROW"),
		(
			"DEFINER=`TRIGGER a`@`%` TRIGGER `d``b` . `t.u` AFTER\n\tUPDATE ON db . a FOR EACH ROW",
			"DEFINER=`TRIGGER a`@`%` TRIGGER `t.u` AFTER\n\tUPDATE ON a FOR EACH ROW",
		),
		(
			'DEFINER="root"@"localhost" TRIGGER "g 4" AFTER delete ON"t"FOR EACH ROW',
			'DEFINER="root"@"localhost" TRIGGER "g 4" AFTER delete ON"t"FOR EACH ROW',
		),
		(
			"DEFINER=`role` TRIGGER IF NOT EXISTS é BEFORE INSERT ON`b`.`ü x`FOR EACH ROW PRECEDES `other one`",
			"DEFINER=`role` TRIGGER é BEFORE INSERT ON`ü x`FOR EACH ROW",
		),
		(
			"TRIGGER db.t /* c * / */ BEFORE -- ON x.y\n INSERT ON db.a FOR EACH /* ROW */ ROW FOLLOWS u",
			"TRIGGER t /* c * / */ BEFORE -- ON x.y\n INSERT ON a FOR EACH /* ROW */ ROW",
		),
	],
)
def test_only_databases_and_the_order_go(head: str, freed: str):
	assert free_statement(f"CREATE {head}{BODY}") == f"CREATE {freed}{BODY}"


@pytest.mark.parametrize(
	"statement",
	[
		"",
		"CREATE VIEW a AS SELECT 1",
		"CREATE TRIGGER t BEFORE INSERT OR UPDATE ON a FOR EACH ROW SET @a = 1",
	],
)
def test_what_is_not_understood_is_none(statement: str):
	assert free_statement(statement) is None
	assert not names_database(statement)


@pytest.mark.parametrize(("of", "on", "told"), [("", "", False), ("`a b`.", "", True), ("", "db . ", True)])
def test_whether_it_names_a_database(of: str, on: str, told: bool):
	assert names_database(f"CREATE TRIGGER {of}t BEFORE INSERT ON {on}a FOR EACH ROW SET @x = b.c") is told
