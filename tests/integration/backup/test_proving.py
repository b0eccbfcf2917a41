"""Rung 4 of a file: restored into a real server, compared, and nothing left behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
import zstandard
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from press_deploy.engine.backup import proving, verifying
from press_deploy.engine.backup.encryption_key import find_key_problem
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.dumps.dump_check import UNCHECKED_DOUBT, check_dump
from press_deploy.engine.databases.dumps.dump_file import unpack
from press_deploy.engine.databases.dumps.facts import DumpFacts
from press_deploy.engine.databases.mariadb import proving as mariadb_proving
from press_deploy.engine.databases.mariadb import proving_account, restoring, throwaway_user
from press_deploy.engine.databases.mariadb.client_errors import translate_client_error
from press_deploy.engine.databases.mariadb.proving import read_stored_passwords
from press_deploy.engine.databases.mariadb.proving_account import USER_PREFIX
from press_deploy.engine.databases.mariadb.restoring import PREFIX
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.server_errors import translate
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.sqlite.file_check import WAL_DOUBT
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.backup.conftest import MakeDatabase, short_directory
from tests.integration.backup.schema import EVERYTHING, TABLES
from tests.support.dumps import pack_gzip, write_dump

FRAPPE = {"tabDocType": 3, "tabSingles": 2, "__Auth": 1, "__global_search": 0}


def put(tmp_path: Path, content: bytes) -> Path:
	path = tmp_path / "dump.sql.gz"
	path.write_bytes(pack_gzip(content))
	return path


def list_scratch(server: Server) -> list[str]:
	with server.session() as cursor:
		cursor.execute("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
		return [name for (name,) in cursor.fetchall() if name.startswith(PREFIX)]


def refuse(path: Path, server: Server | None, check: str, words: str) -> None:
	proven = prove_file(path, Rung.RESTORABLE, server)
	entry = proven.proof.rungs["4"]
	assert (proven.reached, proven.is_enough) == (Rung.WHOLE, False)
	assert (entry["check"], entry["passed"]) == (check, False) and words in entry["why"]


def test_a_dump_with_everything_in_it_is_restorable(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	dump_database(server, make_database(*EVERYTHING), tmp_path / "a.sql.zst")
	proven = prove_file(tmp_path / "a.sql.zst", Rung.RESTORABLE, server)
	assert proven.reached is Rung.RESTORABLE, proven.as_data()
	facts = proven.proof.facts(Rung.RESTORABLE)
	assert (facts["tables"], facts["rows"]) == (len(TABLES), sum(TABLES.values()))
	assert not list_scratch(server) and not proven.notes


def test_a_dump_that_frappe_wrote_is_restorable(server: Server, tmp_path: Path) -> None:
	proven = prove_file(put(tmp_path, write_dump(FRAPPE, frappe_version="15.2.0")), Rung.RESTORABLE, server)
	assert proven.reached is Rung.RESTORABLE, proven.as_data()


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
	"""Whatever the end, the database of a proof is gone."""
	yield
	assert not list_scratch(server)


@pytest.mark.parametrize("missing", ["tabSingles", "__Auth", "__global_search"])
def test_a_site_without_one_of_frappes_tables_is_refused(
	server: Server, tmp_path: Path, missing: str
) -> None:
	tables = {name: rows for name, rows in FRAPPE.items() if name != missing}
	refuse(put(tmp_path, write_dump(tables)), server, "Frappe's tables", missing)


def test_a_dump_of_a_newer_server_is_refused(server: Server, tmp_path: Path) -> None:
	refuse(put(tmp_path, write_dump(server_version="99.1.2-MariaDB-log")), server, "server version", "newer")


def test_a_dump_the_server_cannot_execute_is_refused(server: Server, tmp_path: Path) -> None:
	content = write_dump().replace(
		b"DEFAULT CHARSET=utf8mb4", b"DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_9000_ai_ci"
	)
	refuse(put(tmp_path, content), server, "restore", "utf8mb4_9000_ai_ci")


def test_rows_that_do_not_arrive_are_missed(server: Server, tmp_path: Path) -> None:
	"""A row that replaces another one: the dump holds two, the table one."""
	extra = "REPLACE INTO `tabOrder` VALUES (1,'a'),(2,'b'),(3,'c');\n"
	refuse(
		put(tmp_path, write_dump({"tabOrder": 2}, extra=extra)),
		server,
		"row counts",
		"tabOrder has 4 rows, the dump 5",
	)


def test_tables_that_do_not_arrive_are_missed(server: Server, tmp_path: Path) -> None:
	refuse(
		put(tmp_path, write_dump(extra="DROP TABLE IF EXISTS `tabNote`;\n")),
		server,
		"tables",
		"tabNote missing",
	)


def test_objects_that_do_not_arrive_are_missed(server: Server, tmp_path: Path) -> None:
	extra = "CREATE VIEW `v` AS SELECT 1 AS a;\nDROP VIEW `v`;\n"
	refuse(put(tmp_path, write_dump(extra=extra)), server, "views", "v missing")


def test_events_are_not_loaded_where_they_would_run(server: Server, tmp_path: Path) -> None:
	extra = "DELIMITER ;;\nCREATE EVENT `e` ON SCHEDULE EVERY 1 SECOND DO DELETE FROM `tabOrder` ;;\nDELIMITER ;\n"
	path = put(tmp_path, write_dump(extra=extra))
	with server.session() as cursor:
		cursor.execute("SET GLOBAL event_scheduler = ON")
		try:
			refuse(path, server, "events", "event_scheduler is off")
		finally:
			cursor.execute("SET GLOBAL event_scheduler = OFF")
	assert prove_file(path, Rung.RESTORABLE, server).reached is Rung.RESTORABLE


def test_without_rights_or_server_nothing_is_proven(server: Server, tmp_path: Path) -> None:
	path = put(tmp_path, write_dump())
	refuse(path, None, "server", "no MariaDB server")
	with server.session() as cursor:
		cursor.execute("CREATE OR REPLACE USER 'weak'@'localhost' IDENTIFIED BY 'geheim'")
	refuse(path, server.as_user("weak", "geheim"), "restore", "the account lacks rights")
	refuse(path, server.as_user("weak", "wrong"), "server", "user name or password is refused")


def test_a_postgresql_dump_is_proven_to_rung_2_alone(server: Server, tmp_path: Path) -> None:
	content = b"--\n-- PostgreSQL database dump\n--\n\n--\n-- PostgreSQL database dump complete\n--\n"
	refuse(put(tmp_path, content), server, "kind", "postgresql")


def test_what_a_killed_proof_left_is_dropped_by_the_next_one_and_what_is_in_use_is_not(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	path = put(tmp_path, write_dump({"tabOrder": 3}))
	left, others = f"{PREFIX}0123456789abcdef", "press_deployXproveXmine"
	during: list[list[str]] = []
	load = restoring.load_dump

	def prove_meanwhile(*arguments: object, **options: object) -> object:
		"""While one proof is at work, another one begins and ends."""
		monkeypatch.setattr(restoring, "load_dump", load)
		before = list_scratch(server)
		assert prove_file(path, Rung.RESTORABLE, server).is_enough
		during.extend([before, list_scratch(server)])
		return load(*arguments, **options)

	with server.session() as cursor:
		for name in (left, others):
			cursor.execute(f"CREATE DATABASE {name}")
	monkeypatch.setattr(restoring, "load_dump", prove_meanwhile)
	assert prove_file(path, Rung.RESTORABLE, server).is_enough
	assert len(during[0]) == 1 and during[0] == during[1] and left not in during[0]
	with server.session() as cursor:
		cursor.execute(f"DROP DATABASE {others}")
	assert not list_scratch(server)


def test_the_manifest_beside_a_file_counts(server: Server, tmp_path: Path) -> None:
	"""A changed byte in a value of a plain file: only the manifest can tell."""
	path = tmp_path / "dump.sql"
	path.write_bytes(write_dump({"tabOrder": 3}))
	assert prove_file(path, Rung.WHOLE).notes == [proving.PLAIN_NOTE]
	(tmp_path / "made.json").write_text(json.dumps({"files": [{"kind": "database", "path": str(path)}]}))
	verifying.verify(tmp_path)
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.is_enough and not proven.notes
	path.write_bytes(path.read_bytes().replace(b"it\\'s", b"it\\'z"))
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.reached is Rung.MADE and "SHA-256" in proven.proof.why_not(Rung.WHOLE)
	(tmp_path / backup_files.MANIFEST).write_text("{")
	assert "manifest" in prove_file(path, Rung.WHOLE).proof.why_not(Rung.WHOLE)


def test_a_manifest_settles_what_a_file_alone_leaves_open(tmp_path: Path) -> None:
	path = tmp_path / "site.db.zst"
	with closing(sqlite3.connect(tmp_path / "live.db")) as live:
		live.execute("PRAGMA journal_mode = WAL")
		live.execute("CREATE TABLE a (b)")
		live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		path.write_bytes(
			zstandard.ZstdCompressor(write_checksum=False).compress((tmp_path / "live.db").read_bytes())
		)
	assert prove_file(path, Rung.WHOLE).notes == [UNCHECKED_DOUBT, WAL_DOUBT]
	(tmp_path / "made.json").write_text(json.dumps({"files": [{"kind": "database", "path": str(path)}]}))
	verifying.verify(tmp_path)
	proven = prove_file(path, Rung.RESTORABLE)
	assert proven.is_enough and not proven.notes


TROUBLE = ["'", '"', "\\", "(", ")", ",", ";", "\n", "\r\n", "),(", ");\n", "--", "`", "\0", "ü", "漢", "x"]
values = st.tuples(st.lists(st.sampled_from(TROUBLE), max_size=9).map("".join), st.binary(max_size=9))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(values, max_size=12))
def test_rows_are_counted_as_the_server_counts_them(
	server: Server, make_database: MakeDatabase, tmp_path: Path, rows: list[tuple[str, bytes]]
) -> None:
	database = make_database("CREATE TABLE `it's (a)` (`),(` text, b blob, c json) CHARACTER SET utf8mb4")
	with server.session(database) as cursor:
		if rows:
			cursor.executemany("INSERT INTO `it's (a)` VALUES (%s, %s, '[\"(\"]')", rows)
	path = tmp_path / "dump.sql.zst"
	dump_database(server, database, path)
	assert check_dump(path).tables == {"it's (a)": len(rows)}
	assert prove_file(path, Rung.RESTORABLE, server).is_enough


# --- a dump stays in its own database ---------------------------------------------------------

PROD = "CREATE TABLE users (name varchar(140) PRIMARY KEY)"
EVIL = [
	"DROP TABLE IF EXISTS `zz`,{}.`users`",
	"DROP TABLE IF EXISTS {}.users",
	"DROP TABLE IF EXISTS /* */ {}.`users`",
	"SET STATEMENT max_statement_time=60 FOR DROP DATABASE {}",
	"SET SESSION sql_mode='', GLOBAL max_connections=77",
	"ALTER TABLE `tabNote` RENAME TO {}.`a2`",
	"CREATE TRIGGER {}.t BEFORE INSERT ON {}.users FOR EACH ROW SET NEW.name = 'x'",
]


def list_users(server: Server) -> list[str]:
	with server.session() as cursor:
		cursor.execute("SELECT user FROM mysql.user")
		return [name for (name,) in cursor.fetchall() if name.startswith(USER_PREFIX)]


def read_state(server: Server, database: str) -> tuple:
	with server.session() as cursor:
		cursor.execute("SHOW TABLES FROM " + quote(database))
		tables = sorted(cursor.fetchall())
		cursor.execute("SELECT @@GLOBAL.max_connections, (SELECT COUNT(*) FROM information_schema.TRIGGERS)")
		return (tables, cursor.fetchone())


@pytest.mark.parametrize("statement", EVIL)
def test_a_dump_that_reaches_outside_is_refused_and_changes_nothing(
	server: Server, make_database: MakeDatabase, tmp_path: Path, statement: str
) -> None:
	prod = make_database(PROD)
	before = read_state(server, prod)
	path = put(tmp_path, write_dump({"tabNote": 1}, extra=statement.replace("{}", quote(prod)) + ";\n"))
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.reached is Rung.MADE and "statements" in proven.proof.why_not(Rung.WHOLE)
	assert read_state(server, prod) == before


@pytest.mark.parametrize("objects", [[], ["triggers"]], ids=["tables alone", "with definers"])
@pytest.mark.parametrize("statement", EVIL)
def test_what_the_reading_would_miss_the_rights_prevent(
	server: Server,
	make_database: MakeDatabase,
	tmp_path: Path,
	monkeypatch: pytest.MonkeyPatch,
	statement: str,
	objects: list[str],
) -> None:
	prod, fired = make_database(PROD), []
	before = read_state(server, prod)
	path = put(tmp_path, write_dump({"tabNote": 1}, extra=statement.replace("{}", quote(prod)) + ";\n"))
	harmless = tmp_path / "harmless"
	harmless.write_bytes(write_dump({"tabNote": 1}))

	def overlook(path: Path, *arguments: object, **options: object) -> DumpFacts:
		fired.append(path)
		return replace(check_dump(harmless), objects={kind: ["x"] for kind in objects})

	monkeypatch.setattr(proving, "check_dump", overlook)
	refused = prove_file(path, Rung.RESTORABLE, server).proof.rungs["4"]
	assert fired == [path] and not refused["passed"] and "lacks rights" in refused["why"], refused
	assert refused["check"] == "other databases" and "outside of its own database" in refused["why"]
	assert read_state(server, prod) == before and not list_users(server)


def test_a_user_of_its_own_restores_objects_of_other_definers(
	server: Server, make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	seen, load = [], restoring.load_dump

	def watch(path: Path, account: Server, database: str, **options: object) -> object:
		with account.session() as cursor:
			cursor.execute("SHOW GRANTS")
			seen.append((account.user, [grant for (grant,) in cursor.fetchall()]))
		return load(path, account, database, **options)

	monkeypatch.setattr(restoring, "load_dump", watch)
	dump_database(server, make_database(*EVERYTHING), tmp_path / "a.sql.zst")
	proven = prove_file(tmp_path / "a.sql.zst", Rung.RESTORABLE, server)
	assert proven.is_enough and not proven.notes, proven.as_data()
	assert "scratch database alone" in proven.proof.facts(Rung.RESTORABLE)["restored_by"]
	user, grants = seen[0]
	assert user.startswith(USER_PREFIX) and not list_users(server)
	assert len(grants) == 2 and "SET USER ON *.*" in grants[0] and "press\\_deploy\\_prove\\_%" in grants[1]
	assert prove_file(put(tmp_path, write_dump(FRAPPE)), Rung.RESTORABLE, server).is_enough
	assert len(seen) == 2 and "GRANT USAGE ON *.*" in seen[1][1][0]


MORE = [
	"CREATE TABLE parted (a int) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES "
	"LESS THAN MAXVALUE)",
	"CREATE TABLE odd (b double, c bit(9), g geometry, u uuid, x json, v int AS (1 + 1) STORED, w int INVISIBLE, "
	"t text, FULLTEXT (t), CHECK (b > 1 OR t LIKE 'x%'))",
	"INSERT INTO odd (b, c, g, t) VALUES (1e100, b'101', POINT(1, 2), 'a;'), (-1.5e-20, NULL, NULL, NULL)",
	"CREATE TABLE versions (a int) WITH SYSTEM VERSIONING PAGE_COMPRESSED=1",
	"CREATE TRIGGER typed BEFORE INSERT ON parted FOR EACH ROW IF NEW.a > 1 THEN SET NEW.a = CASE WHEN 1 THEN 2 END; "
	"END IF",
	"CREATE FUNCTION g(a int, b enum('x', 'y')) RETURNS varchar(20) CHARSET utf8mb4 COMMENT 'x;' READS SQL DATA "
	"BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END; RETURN 'a'; END",
	"CREATE VIEW by_function AS SELECT g(b, 'x') AS a FROM odd",
	"CREATE VIEW checked AS SELECT a FROM versions WHERE a > 1 WITH CHECK OPTION",
	"CREATE EVENT once ON SCHEDULE AT '2035-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'e' DO BEGIN "
	"SELECT 1; END",
	"CREATE EVENT often ON SCHEDULE EVERY '1:2' DAY_HOUR STARTS '2030-01-01' ENDS '2031-01-01' DO SELECT 1",
]


def test_what_else_a_database_may_hold_is_restorable(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	dump_database(server, make_database(*EVERYTHING, *MORE), tmp_path / "a.sql.zst")
	proven = prove_file(tmp_path / "a.sql.zst", Rung.RESTORABLE, server)
	assert proven.is_enough and not proven.notes, proven.as_data()


def test_a_view_of_another_database_is_whole_and_not_restorable_by_itself(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	prod = make_database(PROD)
	database = make_database(
		"CREATE TABLE a (b int)", f"CREATE VIEW v AS SELECT name FROM {quote(prod)}.users"
	)
	dump_database(server, database, tmp_path / "a.sql.zst")
	refuse(tmp_path / "a.sql.zst", server, "other databases", "outside of its own database")


def test_an_account_that_may_make_no_users_is_named_in_the_evidence(server: Server, tmp_path: Path) -> None:
	with server.session() as cursor:
		cursor.execute("CREATE OR REPLACE USER 'some'@'localhost' IDENTIFIED BY 'geheim'")
		cursor.execute("GRANT ALL PRIVILEGES ON `press\\_deploy\\_prove\\_%`.* TO 'some'@'localhost'")
	proven = prove_file(put(tmp_path, write_dump()), Rung.RESTORABLE, server.as_user("some", "geheim"))
	assert proven.is_enough, proven.as_data()
	assert "may not make users" in proven.proof.facts(Rung.RESTORABLE)["restored_by"]
	assert any("some may not make users" in note for note in proven.notes)


def test_an_account_that_may_make_users_but_pass_no_rights_on_leaves_no_user(
	server: Server, tmp_path: Path
) -> None:
	with server.session() as cursor:
		cursor.execute("CREATE OR REPLACE USER 'maker'@'localhost' IDENTIFIED BY 'geheim'")
		cursor.execute("GRANT CREATE USER ON *.* TO 'maker'@'localhost'")
		cursor.execute("GRANT ALL PRIVILEGES ON `press\\_deploy\\_prove\\_%`.* TO 'maker'@'localhost'")
	proven = prove_file(put(tmp_path, write_dump()), Rung.RESTORABLE, server.as_user("maker", "geheim"))
	assert proven.is_enough and "may not make users" in proven.notes[-1], proven.as_data()
	assert not list_users(server)


def test_with_a_binary_log_triggers_are_restored_by_the_administrator(tmp_path: Path) -> None:
	"""The server refuses them to everybody else (1419)."""
	with short_directory() as directory, run_scratch_server(directory, "--log-bin") as server:
		with server.session() as cursor:
			cursor.execute("CREATE DATABASE shop")
			cursor.execute("USE shop")
			cursor.execute("CREATE TABLE a (b int)")
			cursor.execute("INSERT INTO a VALUES (1)")
			cursor.execute("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = 1")
		dump_database(server, "shop", tmp_path / "a.sql.zst")
		proven = prove_file(tmp_path / "a.sql.zst", Rung.RESTORABLE, server)
		assert proven.is_enough and "binary log" in proven.notes[0], proven.as_data()
		proven = prove_file(put(tmp_path, write_dump(FRAPPE)), Rung.RESTORABLE, server)
		assert proven.is_enough and not proven.notes, proven.as_data()


def test_what_a_killed_proof_left_of_a_user_is_dropped_and_who_is_at_work_stays(
	server: Server, tmp_path: Path
) -> None:
	left, working = f"{USER_PREFIX}0123456789abcdef", f"{USER_PREFIX}fedcba9876543210"
	with server.session() as cursor:
		for name in (left, working):
			cursor.execute(f"CREATE USER {name}@localhost")
		cursor.execute("SELECT GET_LOCK(%s, 0)", (working,))
		assert prove_file(put(tmp_path, write_dump()), Rung.RESTORABLE, server).is_enough
		assert list_users(server) == [working]
		cursor.execute(f"DROP USER {working}@localhost")


@pytest.fixture
def shadowed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
	"""An anonymous user of this very host stands before a user who may come from anywhere; the hosts asked for."""
	asked, prepare = [], proving_account._prepare

	def from_anywhere(*arguments: object) -> tuple[str, str]:
		asked.append("%")
		return "%", prepare(*arguments)[1]

	monkeypatch.setattr(proving_account, "_prepare", from_anywhere)
	with server.session() as cursor:
		cursor.execute("CREATE USER ''@'localhost' IDENTIFIED BY 'geheim'")
		try:
			yield asked
		finally:
			cursor.execute("DROP USER ''@'localhost'")


@pytest.mark.parametrize(
	"password,words",
	[("another", "refuses the user that was made for it (1045)"), ("geheim", "for it for @localhost")],
)
def test_where_an_anonymous_user_stands_before_it_the_account_that_was_named_restores(
	server: Server,
	tmp_path: Path,
	shadowed: list[str],
	monkeypatch: pytest.MonkeyPatch,
	password: str,
	words: str,
) -> None:
	monkeypatch.setattr(throwaway_user.secrets, "token_urlsafe", lambda size: password)
	proven = prove_file(put(tmp_path, write_dump(FRAPPE)), Rung.RESTORABLE, server)
	assert proven.is_enough and shadowed == ["%"], proven.as_data()
	assert words in proven.proof.facts(Rung.RESTORABLE)["restored_by"]
	assert len(proven.notes) == 1 and words in proven.notes[0] and "account that was named" in proven.notes[0]
	assert not list_users(server)


def say_as_client(number: int) -> StepFailed:
	return translate_client_error(
		"Loading", "a", "mariadb", 1, f"ERROR {number} (42000) at line 3: no, 'b'\n"
	)


def say_as_server(number: int) -> StepFailed:
	error = translate(pymysql.OperationalError(number, "no"), "Proving", "a")
	error.__cause__ = pymysql.OperationalError(number, "no")
	return error


@pytest.mark.parametrize("say", [say_as_client, say_as_server])
@pytest.mark.parametrize("number", [1044, 1142, 1143, 1227, 1370, 1045, 1698, 1064, 2013])
def test_only_a_right_that_is_lacking_means_that_a_dump_reaches_outside(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable, number: int
) -> None:
	asked = []

	def fail(*arguments: object, **options: object) -> object:
		asked.append(number)
		raise say(number)

	monkeypatch.setattr(mariadb_proving, "restore_dump", fail)
	checks = {1045: "server", 1698: "server", 2013: "server", 1064: "restore"}
	check = checks.get(number, "other databases")
	refuse(put(tmp_path, write_dump(FRAPPE)), server, check, str(number))
	assert asked == [number]


# --- objects of another collation ---------------------------------------------------------------

OBJECTS_OF_A_COLLATION = {
	"trigger": "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = 1",
	"procedure": "CREATE PROCEDURE p() SELECT 'a'",
	"event": "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
	"view": "CREATE VIEW v AS SELECT 'a' AS b",
	"sequence": "CREATE SEQUENCE s COMMENT = 'it''s'",
}


@pytest.mark.parametrize("kind", OBJECTS_OF_A_COLLATION)
def test_an_object_of_another_collation_would_change_the_database_it_came_from(
	server: Server, make_database: MakeDatabase, tmp_path: Path, kind: str
) -> None:
	"""mariadb-dump writes ALTER DATABASE with the name of the live database, with and without --databases."""
	database = make_database("CREATE TABLE a (b int)", OBJECTS_OF_A_COLLATION[kind])
	path = tmp_path / "a.sql.zst"
	dump_database(server, database, path)
	assert prove_file(path, Rung.RESTORABLE, server).proof.has(Rung.WHOLE)
	with server.session() as cursor:
		cursor.execute(f"ALTER DATABASE {quote(database)} CHARACTER SET latin1 COLLATE latin1_bin")
	dump_database(server, database, path)
	alters = f"ALTER DATABASE `{database}` ".encode() in b"".join(unpack(path))
	assert alters == (kind in ("trigger", "procedure", "event"))
	why = prove_file(path, Rung.WHOLE, server).proof.why_not(Rung.WHOLE)
	if alters:
		assert "leave its own database" in why and "under the database's present collation" in why
	else:
		assert not why


# --- the encryption key ------------------------------------------------------------------------


def test_the_encryption_key_opens_what_is_stored(server: Server, make_database: MakeDatabase) -> None:
	key, other = Fernet.generate_key(), Fernet.generate_key()
	database = make_database(*EVERYTHING)
	assert read_stored_passwords(server, database) == []
	with server.session(database) as cursor:
		cursor.execute("INSERT INTO __Auth VALUES ('User', 'a', 'password', '$pbkdf2', 0)")
		assert read_stored_passwords(server, database) == []
		cursor.execute(
			"INSERT INTO __Auth VALUES ('Email Account', 'a', 'password', %s, 1)",
			(Fernet(key).encrypt(b"geheim"),),
		)
	stored = read_stored_passwords(server, database)
	assert find_key_problem(stored, key.decode()) is None and find_key_problem([], None) is None
	wrong = {
		None: "has no encryption_key",
		other.decode(): "belong to another key",
		"x": "is no key",
		"ü": "is no key",
	}
	for candidate, words in wrong.items():
		said = find_key_problem(stored, candidate)
		assert said and words in said and (candidate is None or candidate not in said or candidate == "x")
	with server.session(database) as cursor:
		cursor.execute("DROP TABLE __Auth")
	assert read_stored_passwords(server, database) is None
	with pytest.raises(StepFailed, match="Unknown database"):
		read_stored_passwords(server, "no_such_database")
