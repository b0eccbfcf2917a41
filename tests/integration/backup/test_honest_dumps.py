"""Dumps that mariadb-dump writes with its many options, of databases that hold many things: proven, or told why not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from press_deploy.cli.prove import prove
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server
from tests.integration.backup.conftest import MakeDatabase, short_directory
from tests.integration.backup.schema import EVERYTHING
from tests.support.dumps import write_dump

EVERY_BYTE = f"0x{bytes(range(256)).hex()}"
RICH = [
	"CREATE TABLE `we``ird; -- */ ``) VALUES (` (`a``b` int, `c d;\nd` int, `select` int DEFAULT 1 COMMENT '*/ -- ;\n`''\" #', "
	"`漢` enum('it''s', ');', '\\\\') , PRIMARY KEY (`a``b`)) COMMENT='/*!50000 ; */'",
	"INSERT INTO `we``ird; -- */ ``) VALUES (` VALUES (1, 2, 3, 'it''s'), (2, 3, 4, ');')",
	"CREATE TABLE bytes (b blob, v varbinary(300), i bit(9), c char(3) CHARACTER SET latin1, j json, u uuid)",
	f"INSERT INTO bytes VALUES ({EVERY_BYTE}, {EVERY_BYTE}, b'101', 'é', '{{\"a\": \";\\\\n\"}}', UUID()), (0x3b0a, '', NULL, '', NULL, NULL)",
	"CREATE TABLE texts (t longtext)",
	"INSERT INTO texts VALUES ('-- Dump completed on 2030'), ('\n-- Dump completed\n'), ('\\\\'), (''''), ('(),('), ('*/'), "
	"('mysqldump: x'), ('\nmariadb-dump: x\n'), ('\n-- failed on view `v`: x\n'), ('DELIMITER ;;\n'), ('😀'), (0x001a)",
	"CREATE TABLE versions (a int) WITH SYSTEM VERSIONING",
	"INSERT INTO versions VALUES (1), (2), (3)",
	"UPDATE versions SET a = a + 10",
	"DELETE FROM versions WHERE a = 11",
	"CREATE TABLE own_versions (a int, s timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE, e timestamp(6) GENERATED "
	"ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
	"INSERT INTO own_versions VALUES (1)",
	"UPDATE own_versions SET a = 2",
	"CREATE TABLE x (id int PRIMARY KEY, y int)",
	"CREATE TABLE y (id int PRIMARY KEY, x int, FOREIGN KEY (x) REFERENCES x (id))",
	"ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES y (id)",
	"INSERT INTO x VALUES (1, NULL)",
	"INSERT INTO y VALUES (1, 1)",
	"CREATE TABLE zeros (a int PRIMARY KEY, b date, c int AS (a + 1) STORED, d text COMPRESSED, e int "
	"INVISIBLE DEFAULT (1 + 1), CHECK (c > 0 OR d LIKE ';%'))",
	"INSERT INTO zeros (a, b, d) VALUES (5, '0000-00-00', REPEAT('a;', 999))",
	"CREATE TABLE `Case` (a int)",
	"CREATE TRIGGER of_case BEFORE INSERT ON `Case` FOR EACH ROW BEGIN -- it's a comment;;\nSET NEW.a = 1; # ;;\nEND",
	"CREATE TABLE `case` (a int)",
	"INSERT INTO `case` VALUES (1)",
	"CREATE VIEW last AS SELECT * FROM own_versions",
	"CREATE VIEW first AS SELECT a, '*/;\n' AS `c*/` FROM last UNION SELECT CASE 1 WHEN 1 THEN .5 END, ''",
	"CREATE PROCEDURE p() BEGIN SELECT ';;\n'; -- done;;\nSELECT /*+ NO_ICP(t) */ 1; END",
	"CREATE FUNCTION f(a int) RETURNS int RETURN a",
	"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO BEGIN SELECT ';'; END",
	"CREATE SEQUENCE s",
]
EVERY_KIND = ["--routines", "--events"]
WHOLE = {
	"as it is": [],
	"everything": [*EVERY_KIND, "--single-transaction", "--hex-blob"],
	"a row a line": ["--skip-extended-insert", "--complete-insert"],
	"without shortcuts": ["--skip-opt", *EVERY_KIND],
	"in transactions": ["--no-autocommit", "--order-by-primary", "--insert-ignore", "--add-drop-trigger"],
	"plain": ["--skip-dump-date", "--skip-add-locks", "--skip-disable-keys", "--skip-tz-utc", "--replace"],
	"history": ["--dump-history", *EVERY_KIND],
	"utf8": ["--default-character-set=utf8", *EVERY_KIND],
	"binary": ["--default-character-set=binary", *EVERY_KIND],
	"no rows": ["--no-data", *EVERY_KIND],
	"no names": ["--skip-set-charset"],
}
REFUSED = {
	"--compact": "leave out both",
	"--skip-comments": "leave out both",
	"--xml": "without --xml",
	"--databases": "of one database alone",
	"--no-create-info": "without --no-create-info",
	"--system=users": "--system",
	"--master-data=1": "--master-data=2",
}


def dump(server: Server, path: Path, *arguments: str) -> subprocess.CompletedProcess:
	command = [
		"mariadb-dump",
		"--no-defaults",
		f"--socket={server.socket}",
		f"--user={server.user}",
		*arguments,
	]
	with path.open("wb") as file:
		return subprocess.run(command, stdout=file, stderr=subprocess.PIPE)


@pytest.mark.parametrize("options", WHOLE.values(), ids=WHOLE)
def test_a_rich_database_is_restorable_however_it_was_dumped(
	server: Server, make_database: MakeDatabase, tmp_path: Path, options: list[str]
) -> None:
	path = tmp_path / "dump.sql"
	statements = ["SET sql_mode = 'ALLOW_INVALID_DATES'", *EVERYTHING, *RICH]
	assert not dump(server, path, *options, make_database(*statements)).returncode
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.is_enough, proven.as_data()
	tables = proven.facts.tables if proven.facts else {}
	has_rows, has_history = "--no-data" not in options, "--dump-history" in options
	assert (tables["texts"], tables["bytes"], tables["case"]) == ((12, 2, 1) if has_rows else (0, 0, 0))
	assert tables["versions"] == (6 if has_history else 2 * has_rows)
	told = [word for word in ("emoji", "--no-data") if any(word in note for note in proven.notes)]
	lossy = {"--default-character-set=utf8", "--skip-set-charset", "--skip-opt"}.intersection(options)
	assert told == ["emoji"] * bool(lossy) + ["--no-data"] * (not has_rows)


def test_what_can_not_be_proven_is_told_how_to_be_made(tmp_path: Path) -> None:
	said = {}
	with short_directory() as directory, run_scratch_server(directory, "--log-bin") as server:
		with server.session() as cursor:
			cursor.execute("CREATE DATABASE shop")
			cursor.execute("CREATE TABLE shop.a (b int)")
			cursor.execute("INSERT INTO shop.a VALUES (1)")
		for option in REFUSED:
			assert not dump(server, tmp_path / "dump.sql", option, "shop").returncode
			said[option] = prove_file(tmp_path / "dump.sql", Rung.WHOLE).proof.why_not(Rung.WHOLE)
	assert [option for option, words in REFUSED.items() if words not in said[option]] == [], said


def test_a_dump_that_was_forced_over_what_it_could_not_read_is_not_whole(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	view = [
		"CREATE TABLE a (b int)",
		"CREATE TABLE c (b int)",
		"CREATE VIEW v AS SELECT b FROM c",
		"DROP TABLE c",
	]
	done = dump(server, tmp_path / "dump.sql", "--force", make_database(*view))
	assert done.returncode == 2 and b"-- Dump completed" in (tmp_path / "dump.sql").read_bytes()
	proven = prove_file(tmp_path / "dump.sql", Rung.RESTORABLE, server)
	assert proven.proof.rungs["2"]["check"] == "completeness" and "`v`" in proven.proof.why_not(Rung.WHOLE)


def test_a_row_that_the_server_does_not_take_is_named_before_it_is_sent(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	"""The server would close the connection, as if it had died."""
	path = tmp_path / "dump.sql"
	database = make_database("CREATE TABLE a (b longtext)", "INSERT INTO a VALUES (REPEAT('x;', 600000))")
	assert not dump(server, path, database).returncode
	with server.session() as cursor:
		cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
		before = cursor.fetchone()[0]
		try:
			cursor.execute("SET GLOBAL max_allowed_packet = 1048576")
			refused = prove_file(path, Rung.RESTORABLE, server).proof.rungs["4"]
		finally:
			cursor.execute(f"SET GLOBAL max_allowed_packet = {before}")
	assert refused["check"] == "max_allowed_packet" and "1.2 MB" in refused["why"]
	assert prove_file(path, Rung.RESTORABLE, server).is_enough


def test_what_reaches_into_another_database_is_told_what_to_do(
	server: Server, make_database: MakeDatabase, tmp_path: Path
) -> None:
	"""mariadb-dump names the sequence of a default with its database."""
	path = tmp_path / "dump.sql"
	assert not dump(
		server, path, make_database("CREATE SEQUENCE s", "CREATE TABLE a (b int DEFAULT nextval(s))")
	).returncode
	refused = prove_file(path, Rung.RESTORABLE, server).proof.rungs["4"]
	assert refused["check"] == "other databases" and "physical method" in refused["why"].partition(" → ")[2]


def test_what_can_not_be_read_is_a_proof_that_failed(tmp_path: Path) -> None:
	os.mkfifo(tmp_path / "pipe")
	for path, check in ((tmp_path / "pipe", "kind"), (Path("/proc/self/mem"), "reading")):
		for rung in ("2", "4"):
			arguments = [str(path), "--json", "--rung", rung, "--database-url", "mysql://a@127.0.0.1:1/"]
			result = CliRunner().invoke(prove, arguments)
			data = json.loads(result.stdout)
			assert (result.exit_code, data["reached"], data["rungs"]["2"]["check"]) == (1, 1, check)
	gone = prove_file(tmp_path / "gone", Rung.WHOLE)
	assert gone.reached is Rung.NOTHING and "No such file" in gone.as_data()["why_not"]


def test_a_file_that_goes_away_before_it_is_restored_is_not_restorable(
	server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
	path, fired = tmp_path / "dump.sql", []
	path.write_bytes(write_dump({"a": 1}))

	def lose(*arguments: object) -> None:
		fired.append(path.unlink())

	monkeypatch.setattr("press_deploy.engine.databases.mariadb.restoring._check_events", lose)
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert fired and proven.reached is Rung.WHOLE and "No such file" in proven.proof.why_not(Rung.RESTORABLE)
