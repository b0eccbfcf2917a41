"""A backup becomes a standby: complete or not there, ours or refused."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import zstandard

from press_deploy.demo.processes import wait_for
from press_deploy.engine.databases import credentials
from press_deploy.engine.databases.mariadb import standby_check
from press_deploy.engine.databases.mariadb.objects import without_status
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.standby import list_on_server, open_standby
from press_deploy.engine.ground.checks import FAILED, OK, WARNING, Check
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby import killed
from tests.integration.standby.conftest import Site
from tests.support.databases import (
	RUN,
	SITE,
	RestartableServer,
	execute,
	make_bench,
	make_site_database,
	make_standby,
	private_directory,
)


def test_load_and_prove(site: Site):
	assert not site.standby.is_loaded()
	backup = site.load()
	assert site.standby.is_loaded()
	assert site.content(site.standby.name)[0] == backup[0]
	proof = site.standby.prove()
	assert proof == {"tables": 7, "equal": 7, "written": {}, "changed": [], "frappe": True}
	asleep = execute(
		site.server, None, "SELECT EVENT_SCHEMA, STATUS FROM information_schema.EVENTS ORDER BY STATUS"
	)
	assert (site.standby.name, "DISABLED") in asleep and (site.live, "ENABLED") in asleep
	schema = execute(site.server, site.standby.name, "SELECT @@character_set_database, @@collation_database")
	assert schema == site.execute("SELECT @@character_set_database, @@collation_database")


def test_prove_while_users_write(site: Site):
	site.load()
	site.execute(
		"INSERT INTO tabSingles VALUES ('Website', 'colour', 'red')", "CREATE TABLE tabLater (id INT)"
	)
	proof = site.standby.prove()
	assert proof["written"] == {"tabSingles": [3, 2]}
	assert proof["changed"] == ["tabLater"]
	assert proof["equal"] == 6


@pytest.mark.parametrize(
	("damage", "words"),
	[
		("DELETE FROM tabDocType WHERE name = 'Item'", "tabDocType has other rows"),
		("DROP TABLE __Auth", "__Auth is missing"),
		("ALTER TABLE tabDocType ADD INDEX (module)", "tabDocType has other columns, keys or options"),
		("DROP VIEW a_best", "view a_best is missing"),
		(
			"CREATE OR REPLACE DEFINER = nobody@nowhere PROCEDURE forget(IN wanted VARCHAR(140)) "
			"DELETE FROM `tabSales Invoice` WHERE name = wanted",
			r"procedure forget differs \(its definition or definer\)",
		),
	],
)
def test_prove_finds_what_differs(site: Site, damage: str, words: str):
	site.load()
	execute(site.server, site.standby.name, damage)
	note = site.standby.loaded_note.read()
	tables = [
		row[0] for row in execute(site.server, site.standby.name, "SHOW FULL TABLES") if row[1] != "VIEW"
	]
	site.standby.loaded_note.write(**{**note, "present": sorted(tables)})
	with pytest.raises(StepFailed, match=words):
		site.standby.prove()


def test_prove_without_a_memory_of_live_proves_nothing(site: Site):
	dump_database(site.server, site.live, site.dump)
	site.standby.load(site.dump)
	with pytest.raises(StepFailed, match="not noted before"):
		site.standby.prove()


def test_a_frappe_site_without_its_foreign_tables(site: Site):
	site.execute("DROP TABLE __global_search")
	site.load()
	with pytest.raises(StepFailed, match="__global_search is missing"):
		site.standby.prove()


def test_a_table_that_is_lost_unloads_the_standby(site: Site):
	site.load()
	execute(site.server, site.standby.name, "DROP TABLE tabSingles")
	assert not site.standby.is_loaded()
	with pytest.raises(StepFailed, match="no complete backup"):
		site.standby.swap()


def test_killed_while_loading(site: Site):
	backup = site.content()
	dump_database(site.server, site.live, site.dump)
	instant, seen = 0, []
	while killed.kill_at(instant, lambda: site.standby.load(site.dump)):
		assert not site.standby.is_loaded(), f"killed at instant {instant}"
		loaded = _read_statuses(site.server, site.standby.name)
		assert "ENABLED" not in loaded.values(), f"an event is awake, killed at instant {instant}"
		seen.append(loaded.get("clean"))
		instant += 1
	assert "SLAVESIDE_DISABLED" in seen, "one kill came after the event was made, and before it was disabled"
	assert instant >= 4, "note, creation, event, note"
	assert site.standby.is_loaded()
	site.standby.load(site.dump)
	assert site.content(site.standby.name)[0] == backup[0]


def test_events_are_what_they_were_when_they_are_live(site: Site):
	"""Asleep in the standby from the first moment, whatever they were; what was asleep in the backup stays so."""
	site.execute(
		"CREATE EVENT `off` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE "
		"COMMENT ' ON COMPLETION PRESERVE ENABLE DO ' DO SELECT 1",
		"CREATE EVENT `replica's` ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SELECT 1",
		"CREATE EVENT `the ``long one\n` ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2030-01-01' ENDS '2031-01-01' "
		"COMMENT 'ON COMPLETION PRESERVE ENABLE' DO SELECT ' ON COMPLETION PRESERVE ENABLE'",
	)
	live = site.content()[1]
	site.load()
	assert set(_read_statuses(site.server, site.standby.name).values()) == {"DISABLED"}
	site.standby.prove()
	site.standby.swap()
	assert _read_statuses(site.server, site.live) == {
		**{"clean": "ENABLED", "the `long one\n": "ENABLED", "off": "DISABLED", "replica's": "DISABLED"}
	}
	assert without_status(site.content()[1]) == without_status(live)


def test_a_dump_that_is_cut_off(site: Site):
	dump_database(site.server, site.live, site.dump)
	site.dump.write_bytes(site.dump.read_bytes()[:-200])
	with pytest.raises(StepFailed):
		site.standby.load(site.dump)
	assert not site.standby.is_loaded()


@pytest.mark.parametrize("content", [(), ("CREATE TABLE precious (id INT)",)])
@pytest.mark.parametrize("which", ["name", "quarantine"])
def test_names_that_are_taken(site: Site, which: str, content: tuple[str, ...]):
	taken = getattr(site.standby, which)
	execute(site.server, None, f"CREATE DATABASE {quote(taken)}")
	execute(site.server, taken, *content)
	failed = [check for check in site.standby.check(0) if check.outcome == FAILED]
	assert len(failed) == 1 and taken in failed[0].found
	with pytest.raises(StepFailed, match=r"this run did not make it|in use"):
		site.load()
		site.standby.swap()
	for drop in (site.standby.drop_standby, site.standby.drop_quarantine):
		try:
			drop()
		except StepFailed as refusal:
			assert "not" in refusal.why
	assert len(execute(site.server, taken, "SHOW TABLES")) == len(content), "it is still there"


def test_what_a_dying_server_left_of_a_database(site: Site):
	"""It made the directory and not yet the mark: an empty database that this run had announced is its own."""
	backup = site.load()
	site.standby.drop_standby()
	site.standby.loaded_note.write(state="loading")
	execute(site.server, None, f"CREATE DATABASE {quote(site.standby.name)}")
	site.standby.load(site.dump)
	site.standby.swap()
	assert site.content()[0] == backup[0]


def test_a_name_that_a_site_uses(server: Server, tmp_path: Path):
	make_site_database(server, "first")
	standby = make_standby(tmp_path, server, "first")
	make_site_database(server, standby.name)
	make_bench(tmp_path, server, standby.name, "second.example")
	standby = make_standby(tmp_path, server, "first")
	assert standby.check(0)[0].outcome == FAILED
	for refused in (lambda: standby.load(tmp_path / "none"), standby.drop_standby):
		with pytest.raises(StepFailed, match=r"a site uses it|did not make it"):
			refused()
	assert execute(server, standby.name, "SELECT COUNT(*) FROM tabDocType") == [(2,)]
	execute(server, None, "DROP DATABASE first", f"DROP DATABASE {quote(standby.name)}")


def test_a_limited_user_is_told_what_is_lacking(site: Site, monkeypatch: pytest.MonkeyPatch):
	execute(site.server, None, "CREATE OR REPLACE USER limited@localhost IDENTIFIED BY 'pw'")
	limited = site.server.as_user("limited", "pw")

	def check() -> list:
		return make_standby(site.directory, limited, site.live).check(0)

	assert check()[0].outcome == FAILED and "lacks CREATE" in check()[0].found
	execute(site.server, None, "GRANT CREATE, DROP, ALTER, INSERT, SELECT ON *.* TO limited@localhost")
	assert check()[0].outcome == FAILED and "TRIGGER" in check()[0].found
	with pytest.raises(StepFailed, match="lacks rights"):
		site.load()
		make_standby(site.directory, limited, site.live).swap()
	execute(
		site.server,
		None,
		"GRANT DELETE, UPDATE, INDEX, REFERENCES, LOCK TABLES, CREATE VIEW, SHOW VIEW, TRIGGER, EXECUTE, CREATE ROUTINE, "
		"ALTER ROUTINE, EVENT, PROCESS, CONNECTION ADMIN, SET USER ON *.* TO limited@localhost",
	)
	assert [each.outcome for each in check()] == [OK, OK, OK]
	backup = site.content(site.standby.name)
	assert make_standby(site.directory, limited, site.live).swap()["moved"] > 0, "these rights are enough"
	assert site.content()[0] == backup[0]
	monkeypatch.setattr(credentials, "CREDENTIALS_FILE", site.directory / "none.cnf")
	bench = make_bench(site.directory, site.server, site.live)
	assert open_standby(bench, SITE, RUN, site.directory) is None


def test_rights_on_one_database_are_none_on_the_server(site: Site):
	"""Whatever its name is; and those of a role count as soon as it is enabled at the login."""
	odd = "x ON *.* TO y"
	rights = ", ".join(standby_check.RIGHTS)
	execute(
		site.server,
		None,
		f"CREATE OR REPLACE DATABASE {quote(odd)}",
		"CREATE OR REPLACE USER limited@localhost IDENTIFIED BY 'pw'",
		f"GRANT ALL ON {quote(odd)}.* TO limited@localhost WITH GRANT OPTION",
		"CREATE OR REPLACE ROLE keeper",
		"CREATE OR REPLACE ROLE inner_keeper",
		f"GRANT {rights} ON *.* TO inner_keeper",
		"GRANT inner_keeper TO keeper",
		"GRANT keeper TO limited@localhost",
	)
	standby = make_standby(site.directory, site.server.as_user("limited", "pw"), site.live)
	assert "limited lacks CREATE" in standby.check(0)[0].found
	execute(site.server, None, "SET DEFAULT ROLE keeper FOR limited@localhost")
	assert [each.outcome for each in standby.check(0)] == [OK, OK, OK]
	execute(site.server, None, f"DROP DATABASE {quote(odd)}", "DROP ROLE keeper", "DROP ROLE inner_keeper")


def test_a_wrong_password_is_not_repeated(site: Site):
	standby = make_standby(site.directory, site.server.as_user("nobody", "hunter2"), site.live)
	check = standby.check(0)[0]
	assert check.outcome == FAILED and "hunter2" not in str(check)
	with pytest.raises(StepFailed) as failure:
		standby.load(site.dump)
	assert "hunter2" not in str(failure.value)


def test_room_and_long_transactions(site: Site, monkeypatch: pytest.MonkeyPatch):
	monkeypatch.setattr(standby_check, "LONG_SECONDS", 0)
	with site.server.session(site.live) as cursor:
		cursor.execute("BEGIN")
		cursor.execute("SELECT * FROM tabSingles FOR UPDATE")
		# Read more often than every 0.1 s, the server's list of transactions is never renewed.
		found = wait_for(lambda: _warnings(site), 30, "a transaction that is long at work", every=0.3)
	assert len(found) == 1 and "transaction open for" in found[0].found
	assert [check.outcome for check in site.standby.check(1 << 60)].count(FAILED) == 1


def test_foreign_keys_across_databases_are_refused(site: Site):
	execute(
		site.server,
		None,
		"CREATE OR REPLACE DATABASE neighbour",
		f"CREATE TABLE neighbour.t (d VARCHAR(140), FOREIGN KEY (d) REFERENCES {quote(site.live)}.tabDocType (name))",
	)
	found = [check for check in site.standby.check(0) if check.outcome == FAILED]
	execute(site.server, None, "DROP DATABASE neighbour")
	assert len(found) == 1 and "neighbour.t" in found[0].found


def test_what_is_left_on_the_server(site: Site):
	site.load()
	bench = make_bench(site.directory, site.server, site.live)
	standby = list_on_server(bench, site.server)
	assert [(each["purpose"], each["run"], each["site"]) for each in standby] == [("standby", RUN, SITE)]
	assert standby[0]["bytes"] > 0 and standby[0]["created"].startswith("20")
	site.standby.swap()
	found = {each["name"] for each in list_on_server(bench, site.server)}
	assert found == {site.standby.name, site.standby.quarantine}
	site.standby.drop_standby()
	site.standby.drop_quarantine()
	assert list_on_server(bench, site.server) == []
	assert site.execute("SELECT COUNT(*) FROM tabDocType") == [(2,)]


def test_the_user_of_a_killed_start_goes_with_the_standby(site: Site):
	"""From all hosts, also where the standby itself is gone; a user of another name stays."""
	site.load()
	others = f"{site.standby.name[:-1]}_"
	with site.server.session() as cursor:
		for _ in range(2):
			for host in ("localhost", "%"):
				cursor.execute("CREATE USER %s@%s IDENTIFIED BY 'pw'", (site.standby.name, host))
			cursor.execute("CREATE OR REPLACE USER %s@localhost", (others,))
			site.standby.drop_standby()
			cursor.execute("SELECT user FROM mysql.user WHERE user IN (%s, %s)", (site.standby.name, others))
			assert cursor.fetchall() == ((others,),)
		cursor.execute("DROP USER %s@localhost", (others,))


def test_nothing_is_dropped_in_the_middle_of_a_swap(site: Site):
	site.load()
	assert killed.kill_at(24, lambda: site.standby.swap(chunk=1))
	for drop in (
		site.standby.drop_standby,
		site.standby.drop_quarantine,
		lambda: site.standby.load(site.dump),
	):
		with pytest.raises(StepFailed, match="a swap is under way"):
			drop()


def test_the_server_dies(tmp_path: Path):
	"""While a backup is loaded, and while tables are renamed, all in one statement; then it goes on."""
	with private_directory() as directory:
		restartable = RestartableServer(directory)
		try:
			_die_while_loading_and_swapping(restartable, tmp_path)
		finally:
			restartable.scratch.stop()


def _die_while_loading_and_swapping(restartable: RestartableServer, tmp_path: Path) -> None:
	server = restartable.server
	make_site_database(server, "shop")
	site = Site(make_standby(tmp_path, server, "shop"), server, tmp_path, tmp_path / "backup.sql.zst")
	tables = [f"CREATE TABLE `tab {number}` AS SELECT seq FROM seq_1_to_9" for number in range(150)]
	site.execute(*tables)
	dump_database(server, "shop", site.dump)
	backup = site.content()

	def die_after_some(server: Server, database: str) -> dict:
		sql = zstandard.ZstdDecompressor().stream_reader(site.dump.open("rb")).read()
		with server.session(database) as cursor:
			for statement in sql.decode().split(";\n")[:30]:
				if "CREATE TABLE" in statement:
					cursor.execute(statement)
			restartable.kill()
			cursor.execute("SELECT 1")
		return {}

	with pytest.raises(StepFailed, match="was lost"):
		site.standby.load_by(die_after_some)
	with pytest.raises(StepFailed, match="can't be reached"):
		site.standby.is_loaded() or site.standby.load(site.dump)
	restartable.start()
	assert not site.standby.is_loaded()
	site.standby.load(site.dump)
	site.execute("DELETE FROM `tab 7`", "DROP TABLE `tab 8`")
	before = site.content()
	_die_while_swapping(restartable, site)
	restartable.start()
	places = [
		len(execute(server, name, "SHOW TABLES")) for name in (site.standby.name, site.standby.quarantine)
	]
	site.standby.swap()
	assert site.content() == backup, f"tables in standby and quarantine after the crash: {places}"
	assert site.content(site.standby.quarantine)[0] == before[0]


def _die_while_swapping(restartable: RestartableServer, site: Site) -> None:
	"""Kill the server as soon as files show that the one statement is at work."""
	quarantine = restartable.directory / "data"
	known = {path.name for path in quarantine.iterdir()}
	fired = threading.Event()

	def kill() -> None:
		deadline = time.monotonic() + 60
		while time.monotonic() < deadline:
			new = [path for path in quarantine.iterdir() if path.is_dir() and path.name not in known]
			if any(len(list(path.glob("*.ibd"))) > 20 for path in new):
				restartable.kill()
				fired.set()
				return

	killer = threading.Thread(target=kill)
	killer.start()
	with pytest.raises(StepFailed, match="was lost"):
		site.standby.swap()
	killer.join()
	assert fired.is_set(), "the server was killed in the middle of the renames"


def _read_statuses(server: Server, database: str) -> dict[str, str]:
	with server.session() as cursor:
		cursor.execute(
			"SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s", (database,)
		)
		return dict(cursor.fetchall())


def _warnings(site: Site) -> list[Check]:
	return [check for check in site.standby.check(0) if check.outcome == WARNING]
