"""What a release, an administrator or another client may do to a database, and a swap must live with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from press_deploy.engine.databases.mariadb import objects as stored
from press_deploy.engine.databases.mariadb import swap as swapping
from press_deploy.engine.databases.mariadb.holders import find_holders
from press_deploy.engine.databases.mariadb.objects import (
	drop_objects,
	make_objects,
	read_objects,
	tell_unmovable,
)
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby import killed
from tests.integration.standby.conftest import Site
from tests.support.databases import execute, make_database, make_standby

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(99))"
Make = Callable[..., Site]


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Iterator[Make]:
	"""The database `odd` of these statements, with its backup loaded as standby."""
	site = Site(make_standby(tmp_path, server, "odd"), server, tmp_path, tmp_path / "backup.sql.zst")

	def make(*statements: str) -> Site:
		make_database(server, "odd", *statements)
		site.load()
		return site

	yield make
	for database in (site.live, site.standby.name, site.standby.quarantine):
		execute(server, None, f"DROP DATABASE IF EXISTS {quote(database)}")


def swap_there_and_back(site: Site, backup: tuple[dict, list]) -> None:
	"""What is live, and what is in the quarantine, must be the one and the other whole."""
	before = site.content()
	site.standby.swap()
	assert site.standby.observe_swapped().done
	assert site.content() == backup
	assert site.content(site.standby.quarantine) == before
	site.standby.undo_swap()
	assert site.content() == before


@pytest.mark.parametrize(
	"release",
	[
		("RENAME TABLE a_old TO b_new",),
		(
			"ALTER TABLE a_old DROP FOREIGN KEY named",
			"ALTER TABLE b ADD CONSTRAINT named FOREIGN KEY (p) REFERENCES p (id)",
		),
	],
	ids=["renamed", "moved"],
)
def test_a_foreign_key_changes_its_table(make: Make, release: tuple[str, ...]):
	site = make(
		"CREATE TABLE p (id INT PRIMARY KEY)",
		"CREATE TABLE a_old (p INT, CONSTRAINT named FOREIGN KEY (p) REFERENCES p (id))",
		"CREATE TABLE b (p INT)",
		"INSERT INTO p VALUES (1)",
		"INSERT INTO a_old VALUES (1)",
	)
	backup = site.content()
	site.execute(*release)
	assert site.content() != backup
	swap_there_and_back(site, backup)


@pytest.mark.parametrize(
	"literal",
	[r"'a\\b'", r"REGEXP_REPLACE('a.b', '\\.', '-')", "'😀'", r"_binary'a\0b'", r"""'it\'s' "d\"q" """],
)
def test_a_trigger_keeps_its_text(make: Make, literal: str):
	trigger = f"CREATE TRIGGER g /* mine */ BEFORE INSERT ON t FOR EACH ROW SET NEW.x = CONCAT({literal}, '')"
	site = make(TABLE, trigger, "INSERT INTO t VALUES (1, '')")
	site.standby.prove()
	swap_there_and_back(site, site.content())
	site.standby.swap()
	site.execute("INSERT INTO t VALUES (2, '')")
	first, second = site.execute("SELECT x FROM t ORDER BY id")
	assert first == second != ("",)
	shown = "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{}'"
	texts = [execute(site.server, None, shown.format(name)) for name in (site.live, site.standby.quarantine)]
	assert texts[0] == texts[1]


def test_a_trigger_that_names_its_database(make: Make):
	"""Its dump would make it in that one, so it is told beforehand; one that came later moves all the same."""
	site = make(TABLE)
	backup = site.content()
	site.execute("CREATE TRIGGER odd.g BEFORE INSERT ON odd.t FOR EACH ROW SET NEW.x = 'x'")
	with site.server.session() as cursor:
		assert [line[:11] for line in tell_unmovable(cursor, site.live)] == ["trigger g ("]
	before = site.content()
	site.standby.swap()
	assert site.content() == backup
	assert site.content(site.standby.quarantine) == before
	site.standby.undo_swap()
	assert site.content() == before
	site.execute("INSERT INTO t (id) VALUES (1)")
	assert site.execute("SELECT x FROM t") == [("x",)]


@pytest.mark.parametrize(
	("charset", "statement"),
	[
		("latin1", "CREATE PROCEDURE bytes() BEGIN /* Ágora */ SELECT 'Á'; END"),
		("latin1", "CREATE VIEW `Á` AS SELECT _latin1 X'E981' AS x FROM t"),
		("binary", "CREATE VIEW bytes AS SELECT id FROM t"),
	],
)
@pytest.mark.parametrize("in_backup", [True, False])
def test_what_a_client_in_another_character_set_made(
	make: Make, charset: str, statement: str, in_backup: bool
):
	"""With the bytes of UTF-8, of which some are no letters there."""
	site = make(TABLE)
	names = f"SET NAMES {charset}"
	with site.server.session(site.live) as cursor:
		cursor.execute(names)
		cursor.execute(statement.encode())
	if in_backup:
		backup = site.load()
		assert backup[1][0]["charset"] == charset
		site.standby.prove()
		site.standby.refresh(site.directory / "final")
	else:
		backup = (site.content()[0], [])
	swap_there_and_back(site, backup)


@pytest.mark.parametrize("back", [False, True])
def test_what_the_server_refuses_to_make_again_stands_in_nobodys_way(
	make: Make, monkeypatch: pytest.MonkeyPatch, back: bool
):
	"""Such as a function, since binary logs are on (1418)."""
	site = make(TABLE, "CREATE TRIGGER good BEFORE INSERT ON t FOR EACH ROW SET NEW.x = 'x'")
	backup = site.content()
	site.execute("CREATE FUNCTION f() RETURNS INT RETURN 1")
	before = site.content()
	execute_statement, fired = pymysql.cursors.Cursor.execute, []

	def refuse(cursor, statement, *arguments):
		if isinstance(statement, bytes) and b" FUNCTION `f`" in statement:
			fired.append(statement)
			raise pymysql.OperationalError(1418, "This function has none of DETERMINISTIC")
		return execute_statement(cursor, statement, *arguments)

	if back:
		site.standby.swap()
	monkeypatch.setattr(pymysql.cursors.Cursor, "execute", refuse)
	done = site.standby.undo_swap() if back else site.standby.swap()
	monkeypatch.undo()
	assert fired
	assert [line for line in done["not_made"] if line.startswith("function f: This function has none")]
	if back:
		assert site.standby.swap_note.state == "undone"
		assert site.content() == (before[0], backup[1])
	else:
		assert site.standby.observe_swapped().done
		assert site.content() == backup
	assert "f" in [each["name"] for each in site.standby.swap_note.read()["objects"]["live"]]


def test_what_was_in_the_backup_and_cannot_be_made_is_told(make: Make, monkeypatch: pytest.MonkeyPatch):
	site = make(TABLE, "CREATE VIEW v AS SELECT id FROM t")
	site.execute("DROP VIEW v")
	before = site.content()
	make_one = stored._make
	monkeypatch.setattr(
		stored,
		"_make",
		lambda cursor, each, *how: "not today" if each["name"] == "v" else make_one(cursor, each, *how),
	)
	with pytest.raises(StepFailed, match=r"can't be made: view v \(not today\)"):
		site.standby.swap()
	site.standby.undo_swap()
	assert site.content() == before


def test_a_routine_that_stays_the_same_stays(make: Make):
	"""Dropped, it might not be made again, and whoever was allowed to use it would be forgotten."""
	site = make(TABLE, "CREATE FUNCTION f() RETURNS INT RETURN 1")
	created = "SELECT CREATED FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'odd'"
	site.execute("UPDATE mysql.proc SET created = '2001-01-01' WHERE db = 'odd'")
	assert str(site.execute(created)[0][0]) == "2001-01-01 00:00:00"
	swap_there_and_back(site, site.content())
	assert str(site.execute(created)[0][0]) == "2001-01-01 00:00:00"


def test_who_may_use_a_routine_that_changed(make: Make):
	site = make(TABLE, "CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE PROCEDURE gone() SELECT 1")
	site.execute(
		"CREATE OR REPLACE FUNCTION f() RETURNS INT RETURN 2",
		"CREATE PROCEDURE came() SELECT 1",
		"DROP PROCEDURE gone",
		"CREATE OR REPLACE USER reporting@localhost",
		"CREATE OR REPLACE ROLE readers",
		"GRANT EXECUTE ON FUNCTION odd.f TO reporting@localhost WITH GRANT OPTION",
		"GRANT ALTER ROUTINE, EXECUTE ON PROCEDURE odd.came TO readers",
	)
	asked = "SELECT User, Host, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = 'odd' ORDER BY Routine_name"
	before = site.execute(asked)
	assert len(before) == 2
	site.standby.swap()
	assert site.execute(asked) == before[1:]
	assert site.execute("SELECT f()") == [(1,)]
	site.standby.undo_swap()
	assert site.execute(asked) == before
	site.execute("DROP USER reporting@localhost", "DROP ROLE readers")


def test_a_view_that_collations_broke(make: Make):
	"""The server doesn't show it any more, and it can't be made anywhere."""
	column = "VARCHAR(20) COLLATE utf8mb4_{}_ci"
	site = make(
		f"CREATE TABLE a (x {column.format('unicode')})",
		f"CREATE TABLE b (x {column.format('unicode')})",
		"INSERT INTO a VALUES ('1')",
		"CREATE VIEW v AS SELECT a.x FROM a JOIN b ON a.x = b.x",
	)
	backup = site.content()
	site.execute(f"ALTER TABLE b MODIFY x {column.format('general')}")
	with pytest.raises(pymysql.OperationalError, match="Illegal mix"):
		site.execute("SHOW CREATE VIEW v")
	with site.server.session() as cursor:
		assert [line for line in tell_unmovable(cursor, site.live) if line.startswith("view v (Illegal mix")]
	assert site.standby.swap()["not_made"][0].startswith("view v: Illegal mix")
	assert site.content() == backup
	(kept,) = site.standby.swap_note.read()["objects"]["live"]
	assert "`a`.`x` = `odd`.`b`.`x`" in kept["create"]


@pytest.mark.parametrize("undone_at_once", [True, False])
def test_a_table_that_came_after_the_announcement_is_not_lost(make: Make, undone_at_once: bool):
	site = make(TABLE, "INSERT INTO t VALUES (1, 'a')")
	# Before its first rename: the note, the other note, and the quarantine are there.
	assert killed.kill_at(3, site.standby.swap), "the fault must fire"
	assert site.standby.swap_note.state == "swapping" and "t" in site.content()[0]
	site.execute("CREATE TABLE late (id INT PRIMARY KEY)", "INSERT INTO late VALUES (42)")
	before = site.content()
	if not undone_at_once:
		site.standby.swap()
		assert list(site.content()[0]) == ["t"]
	site.standby.undo_swap()
	assert site.content() == before
	site.standby.drop_quarantine()


def test_a_table_that_the_backup_has_too_and_came_after_the_announcement(make: Make):
	site = make(TABLE, "CREATE TABLE other (id INT)")
	site.execute("DROP TABLE t")
	assert killed.kill_at(3, site.standby.swap), "the fault must fire"
	site.execute("CREATE TABLE t (id INT)", "INSERT INTO t VALUES (42)")
	before = site.content()
	with pytest.raises(StepFailed, match="nobody can tell"):
		site.standby.swap()
	site.standby.undo_swap()
	assert site.content() == before


def test_a_quarantine_with_tables_in_it_is_kept_after_an_undoing(make: Make):
	site = make(TABLE)
	site.standby.swap()
	execute(site.server, site.standby.quarantine, "CREATE TABLE by_hand (id INT)")
	site.standby.undo_swap()
	with pytest.raises(StepFailed, match="still there: by_hand"):
		site.standby.drop_quarantine()
	execute(site.server, site.standby.quarantine, "DROP TABLE by_hand")
	site.standby.drop_quarantine()


def test_another_sites_transaction_of_the_same_user_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch):
	monkeypatch.setattr(swapping, "LOCK_WAIT_SECONDS", 1)
	site = make(TABLE)
	make_database(site.server, "neighbour", TABLE)
	execute(
		site.server,
		None,
		"CREATE OR REPLACE USER site_user@localhost IDENTIFIED BY 'x'",
		"GRANT ALL ON odd.* TO site_user@localhost",
		"GRANT ALL ON neighbour.* TO site_user@localhost",
	)
	user = site.server.as_user("site_user", "x")
	with (
		closing(user.connect("odd")) as ours,
		closing(user.connect()) as nowhere,
		closing(user.connect("neighbour")) as other,
	):
		ours.begin()
		ours.cursor().execute("SELECT * FROM t")
		other.begin()
		other.cursor().execute("INSERT INTO t VALUES (5, '')")
		ended = " ".join(site.standby.swap()["ended"])
		assert f"connection {ours.thread_id()} " in ended and f"connection {nowhere.thread_id()} " in ended
		assert f"connection {other.thread_id()} " not in ended
		other.commit()
	assert execute(site.server, "neighbour", "SELECT id FROM t") == [(5,)]
	execute(site.server, None, "DROP USER site_user@localhost")


def test_a_database_with_other_capitals_is_another_one(server: Server):
	make_database(server, "Capital")
	with closing(server.connect("Capital")) as other, server.session() as cursor:
		assert [holder.number for holder in find_holders(cursor, ["Capital"], [])] == [other.thread_id()]
		assert find_holders(cursor, ["capital"], []) == []


def test_the_default_collation_goes_with_the_tables(make: Make):
	site = make("CREATE TABLE a (x VARCHAR(9))", "CREATE FUNCTION f(x VARCHAR(9)) RETURNS INT RETURN 1")
	asked = (
		"SELECT DEFAULT_COLLATION_NAME, (SELECT DATABASE_COLLATION FROM information_schema.ROUTINES "
		"WHERE ROUTINE_SCHEMA = '{0}') FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{0}'"
	)
	former = site.execute(asked.format(site.live))[0]
	site.execute("ALTER DATABASE odd COLLATE utf8mb4_general_ci")
	site.execute("CREATE OR REPLACE FUNCTION f(x VARCHAR(9)) RETURNS INT RETURN 1")
	released = site.execute(asked.format(site.live))[0]
	assert released == ("utf8mb4_general_ci",) * 2 != former
	site.standby.swap()
	assert site.execute(asked.format(site.live))[0] == former
	assert site.execute(asked.format(site.standby.quarantine))[0] == released
	site.standby.undo_swap()
	assert site.execute(asked.format(site.live))[0] == released
	assert site.standby.is_loaded(), "the marks are as they were"


def test_an_event_of_another_definer(make: Make):
	site = make(
		TABLE,
		"SET time_zone = '+05:00', sql_mode = 'ANSI_QUOTES'",
		"CREATE DEFINER = 'nobody'@'%' EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id = 77",
	)
	asked = (
		"SELECT DEFINER, SQL_MODE, TIME_ZONE, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{}'"
	)
	live, standby = (site.execute(asked.format(name))[0] for name in (site.live, site.standby.name))
	assert (*live[:3], "DISABLED") == standby and live[0] == "nobody@%"
	site.standby.prove()
	site.standby.refresh(site.directory / "final")
	site.standby.prove()
	site.standby.swap()
	assert site.execute(asked.format(site.live))[0] == live


def test_an_event_whose_only_time_is_over(make: Make):
	"""The server forgets it when it is told to make it; where no scheduler runs, it is there for ever."""
	site = make(TABLE)
	site.execute(
		"CREATE EVENT later ON SCHEDULE AT NOW() + INTERVAL 1 DAY DO DELETE FROM t",
		"SET timestamp = UNIX_TIMESTAMP() - 3600",
		"CREATE EVENT e ON SCHEDULE AT NOW() + INTERVAL 1 MINUTE DO DELETE FROM t",
	)
	assert len(site.execute("SHOW EVENTS")) == 2
	assert [each["name"] for each in site.load()[1]] == ["later"]
	site.standby.prove()
	site.standby.refresh(site.directory / "final")
	site.standby.swap()
	assert site.standby.observe_swapped().done
	assert [each["name"] for each in site.content()[1]] == ["later"]


def test_a_server_that_reads_double_quotes_as_names(make: Make):
	site = make(TABLE, "CREATE VIEW v AS SELECT 'a' AS x, id FROM t")
	with site.server.session(site.live) as cursor:
		cursor.execute("SET SESSION sql_mode = 'ANSI_QUOTES'")
		found = read_objects(cursor, site.live)
		drop_objects(cursor, site.live)
		assert make_objects(cursor, site.live, found) == []
	assert site.content()[1] == found


@pytest.mark.parametrize("names", ["latin1", "utf8mb4 COLLATE utf8mb4_unicode_ci"])
def test_an_event_of_another_collation(make: Make, names: str):
	"""As every event is on a server that takes no character set from its clients. Asleep it keeps its own."""
	site = make(
		TABLE,
		f"SET NAMES {names}",
		"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id = 77",
		"CREATE EVENT asleep ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t WHERE id = 77",
	)
	asked = (
		"SELECT EVENT_NAME, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, STATUS FROM information_schema.EVENTS "
		"WHERE EVENT_SCHEMA = '{}' ORDER BY 1"
	)
	live, standby = (site.execute(asked.format(name)) for name in (site.live, site.standby.name))
	assert [row[:3] for row in standby] == [row[:3] for row in live]
	assert [row[3] for row in standby] == ["DISABLED", "DISABLED"]
	site.standby.prove()
	site.standby.refresh(site.directory / "final")
	site.standby.prove()
	site.standby.swap()
	assert site.execute(asked.format(site.live)) == live
