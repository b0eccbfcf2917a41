"""Rung 4 of a file: restored into a real server, compared, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from press_deploy.engine import backup
from press_deploy.engine.backup import proving, restoring
from press_deploy.engine.backup.dump_check import check_dump
from press_deploy.engine.backup.encryption_key import check_encryption_key
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.restoring import PREFIX
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.dumping import dump_database
from press_deploy.engine.mariadb.server import Server, quote
from tests.integration.backup.conftest import MakeDatabase
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
	refuse(path, server.as_user("weak", "wrong"), "restore", "the account lacks rights")


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
	backup.verify(tmp_path)
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.is_enough and not proven.notes
	path.write_bytes(path.read_bytes().replace(b"it\\'s", b"it\\'z"))
	proven = prove_file(path, Rung.RESTORABLE, server)
	assert proven.reached is Rung.MADE and "SHA-256" in proven.proof.why_not(Rung.WHOLE)
	(tmp_path / backup.MANIFEST).write_text("{")
	assert "manifest" in prove_file(path, Rung.WHOLE).proof.why_not(Rung.WHOLE)


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


# --- the encryption key ------------------------------------------------------------------------


def test_the_encryption_key_opens_what_is_stored(server: Server, make_database: MakeDatabase) -> None:
	key, other = Fernet.generate_key(), Fernet.generate_key()
	database = make_database(*EVERYTHING)
	assert check_encryption_key(server, database, None) is None
	with server.session(database) as cursor:
		cursor.execute("INSERT INTO __Auth VALUES ('User', 'a', 'password', '$pbkdf2', 0)")
		assert check_encryption_key(server, database, None) is None
		cursor.execute(
			"INSERT INTO __Auth VALUES ('Email Account', 'a', 'password', %s, 1)",
			(Fernet(key).encrypt(b"geheim"),),
		)
	assert check_encryption_key(server, database, key.decode()) is None
	wrong = {
		None: "has no encryption_key",
		other.decode(): "belong to another key",
		"x": "is no key",
		"ü": "is no key",
	}
	for candidate, words in wrong.items():
		said = check_encryption_key(server, database, candidate)
		assert said and words in said and (candidate is None or candidate not in said or candidate == "x")
	with server.session(database) as cursor:
		cursor.execute("DROP TABLE __Auth")
	with pytest.raises(StepFailed, match="__Auth"):
		check_encryption_key(server, quote(database).strip("`"), key.decode())
