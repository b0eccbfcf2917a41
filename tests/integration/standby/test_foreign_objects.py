"""What somebody else than the site's own user made in its database: dumped, compared, swapped, put back as it was.

One of each kind, made by root and by an account that is not on the server any more, with names that need quoting.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.backup.making import Maker
from press_deploy.engine.backup.proving import prove_file
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.backup.verifying import verify
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import credentials
from press_deploy.engine.databases.database import Database
from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.dumps.facts import Expectation
from press_deploy.engine.databases.dumps.method import Method
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.dumper import choose_dumper
from press_deploy.engine.databases.mariadb.foreign_objects import find_unreadable
from press_deploy.engine.databases.mariadb.loading import choose_importer, why_no_import
from press_deploy.engine.databases.mariadb.objects import drop_objects
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.databases.mariadb.standby_database import MariaDBStandby
from press_deploy.engine.ground.checks import FAILED, OK
from press_deploy.engine.ground.errors import Refused, StepFailed
from press_deploy.engine.plan.backup import Backup
from press_deploy.engine.steps.preflight import backups
from tests.integration.standby.foreign import BY_ROOT, DEFINERS, NO_VIEW_OF_OTHERS, RELEASE
from tests.support.databases import (
	SITE,
	SITE_TABLES,
	execute,
	make_bench,
	make_database,
	make_standby,
	private_directory,
	read_content,
	read_stored,
)

STREAM, FRAPPE, PHYSICAL = (Method(name, "as the test says") for name in ("stream", "frappe", "physical"))


@dataclass
class Shop:
	"""A site whose database has objects of others in it; `administrator` says whether preflight may know root."""

	bench: Bench
	server: Server
	standby: MariaDBStandby
	base: Path

	@property
	def live(self) -> str:
		return self.standby.live

	@property
	def own(self) -> Server:
		return self.server.as_user("site_user", "secret")

	@property
	def config(self) -> dict[str, Any]:
		return self.bench.read_config(SITE)

	def execute(self, *statements: str) -> list[tuple]:
		return execute(self.server, self.live, *statements)

	def name_administrator(self) -> None:
		config = {"root_login": self.server.user, "root_password": self.server.password}
		self.bench.common_config.write_text(json.dumps(config))

	def look(self, database: str | None = None) -> tuple[Any, ...]:
		"""Everything in a database, with definers and states; by root's eyes."""
		name = database or self.live
		shown = DEFINERS.format(name.replace("'", "''"))
		grants = execute(
			self.server,
			None,
			f"SELECT User, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = '{name}'",
		)
		return (
			read_content(self.server, name),
			read_stored(self.server, name),
			execute(self.server, None, shown),
			sorted(grants),
		)

	def back_up(self, method: Method) -> None:
		"""As a run does, by whoever is to do it."""
		self.base.mkdir()
		if method == PHYSICAL:
			file = self.base / f"database{physical.SUFFIX}"
			physical.back_up(self.server, self.live, file)
		else:
			file = self.base / "database.sql.zst"
			dump_database(choose_dumper(self.config), self.live, file)
		kind = "physical" if method == PHYSICAL else "database"
		made = {"site": SITE, "database": self.live, "files": [{"kind": kind, "path": str(file)}]}
		(self.base / "made.json").write_text(json.dumps(made))
		verify(self.base, Expectation(database=self.live))

	def check(self, method: Method = STREAM):
		return list(backups._check_objects(SITE, method, self.config))


@pytest.fixture
def shop(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
	# The machine may have one.
	monkeypatch.setattr(credentials, "CREDENTIALS_FILE", tmp_path / "none.cnf")
	# In names that are not ASCII the server forgets the rights on routines (it stores them in another character set).
	name = f"shop_{tmp_path.name[-15:]} x"
	make_database(server, "neighbour", "CREATE TABLE t (id INT)")
	make_database(server, name, *SITE_TABLES)
	execute(
		server,
		None,
		"CREATE OR REPLACE USER site_user@localhost IDENTIFIED BY 'secret'",
		"CREATE OR REPLACE USER reporter@localhost",
		f"GRANT ALL ON {quote(name)}.* TO site_user@localhost",
	)
	bench = make_bench(tmp_path, server, name)
	standby = make_standby(tmp_path, server, name)
	shop = Shop(bench, server, standby, tmp_path / "base")
	shop.execute(*BY_ROOT)
	shop.execute(f"GRANT EXECUTE ON FUNCTION {quote(name)}.twice TO reporter@localhost")
	yield shop
	for database in (standby.live, standby.name, standby.quarantine, "neighbour"):
		execute(server, None, f"DROP DATABASE IF EXISTS {quote(database)}")
	execute(server, None, "DROP USER site_user@localhost, reporter@localhost")


@pytest.mark.parametrize("method", [STREAM, PHYSICAL], ids=lambda method: method.name)
def test_the_whole_way_round(shop: Shop, method: Method, tmp_path: Path) -> None:
	if method == PHYSICAL and not shutil.which("mariadb-backup"):
		pytest.skip("mariadb-backup is not installed")
	shop.name_administrator()
	before = shop.look()
	shop.standby.remember_live()
	shop.back_up(method)
	shop.standby.load_backup(shop.base, tmp_path / "loading")
	assert shop.standby.prove()["tables"] == len(before[0])
	assert states(shop, shop.standby.name) == {"DISABLED"}, "nothing of a standby is at work"

	# Behind closed doors, just before the release: somebody had still changed something.
	shop.execute("ALTER EVENT awake ON SCHEDULE EVERY 2 DAY", "SELECT NEXTVAL(`seq by root`)")
	before = shop.look()
	assert shop.standby.refresh(tmp_path / "final")["not_made"] == []
	shop.execute(*RELEASE)
	released = shop.look()
	assert released[2] != before[2]

	# The standby is lost, and made again from both backups.
	shop.standby.drop_standby()
	shop.standby.rebuild(shop.base, tmp_path / "final")
	assert states(shop, shop.standby.name) == {"DISABLED"}

	assert shop.standby.swap()["not_made"] == []
	assert shop.standby.observe_swapped().done
	# The rights on a routine are gone when it is dropped; nothing else is.
	assert shop.look()[:3] == before[:3]
	assert shop.execute("SELECT twice(4)") == [(8,)]
	assert states(shop, shop.standby.quarantine) == {"DISABLED"}

	assert shop.standby.undo_swap()["not_made"] == []
	assert shop.look() == released


def states(shop: Shop, database: str) -> set[str]:
	found = execute(
		shop.server, None, f"SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{database}'"
	)
	return {status for (status,) in found}


def test_rights_on_routines_survive_there_and_back(shop: Shop, tmp_path: Path) -> None:
	shop.name_administrator()
	before = shop.look()
	assert before[3] == [("reporter", "twice", "Execute")]
	shop.back_up(STREAM)
	shop.standby.load_backup(shop.base, tmp_path / "loading")
	shop.standby.refresh(tmp_path / "final")
	shop.execute("DROP VIEW doubled", "ALTER EVENT awake DISABLE")
	shop.standby.swap()
	assert shop.look() == before
	shop.standby.undo_swap()
	assert shop.look()[3] == before[3]


def test_what_differs_in_its_definer_alone_is_no_copy(shop: Shop, tmp_path: Path) -> None:
	shop.name_administrator()
	shop.standby.remember_live()
	shop.back_up(STREAM)
	shop.standby.load_backup(shop.base, tmp_path / "loading")
	body = "FUNCTION twice(p INT) RETURNS INT DETERMINISTIC RETURN p * 2"
	execute(shop.server, shop.standby.name, f"CREATE OR REPLACE DEFINER = site_user@localhost {body}")
	with pytest.raises(StepFailed, match="function twice differs"):
		shop.standby.prove()


def test_a_private_server_proves_the_dump(shop: Shop) -> None:
	"""Where none of the definers exists, by a user with rights on its own database alone."""
	shop.name_administrator()
	shop.execute(NO_VIEW_OF_OTHERS)
	shop.back_up(STREAM)
	with private_directory() as directory, run_scratch_server(directory) as scratch:
		found = prove_file(shop.base / "database.sql.zst", Rung.RESTORABLE, scratch)
	assert found.is_enough, found.proof.why_not(Rung.RESTORABLE)
	facts = found.proof.facts(Rung.RESTORABLE)
	assert facts["restored_by"] == "a user with rights on the scratch database alone"
	assert found.facts and sorted(found.facts.objects["events"]) == sorted(
		["awake", "a sleep `é", "on_another", "of_ghost"]
	)


def test_an_import_by_the_administrator_brings_all_of_it_back(shop: Shop) -> None:
	shop.name_administrator()
	assert choose_importer(shop.config).user == shop.server.user
	shop.execute(NO_VIEW_OF_OTHERS)
	assert why_no_import(shop.config) is None
	before = shop.look()
	shop.back_up(STREAM)
	shop.execute(*RELEASE)
	with shop.server.session() as cursor:
		drop_objects(cursor, shop.live)
	load_dump(shop.base / "database.sql.zst", choose_importer(shop.config), shop.live)
	assert shop.look()[2] == before[2] and shop.look()[1] == before[1]


def test_the_sites_own_user_imports_where_the_administrator_may_not(shop: Shop) -> None:
	shop.execute("CREATE OR REPLACE USER weak@localhost IDENTIFIED BY 'pw'")
	shop.bench.common_config.write_text(json.dumps({"root_login": "weak", "root_password": "pw"}))
	assert choose_importer(shop.config) == shop.own
	shop.execute("DROP USER weak@localhost")


def test_preflight_refuses_with_the_grant_that_helps(shop: Shop, tmp_path: Path) -> None:
	(check,) = shop.check()
	assert check.outcome == FAILED
	for name in ("function twice", "procedure odd `name` é", "procedure elsewhere", "function of_ghost"):
		assert name in check.found
	with pytest.raises(Refused, match="function twice"):
		choose_dumper(shop.config)
	with pytest.raises(StepFailed, match="SHOW CREATE FUNCTION"):
		dump_database(shop.own, shop.live, tmp_path / "dump.sql.zst")
	assert "name the administrator (root_login" in check.remedy
	type_what_is_asked(shop, check.remedy)
	(check,) = shop.check()
	assert (check.outcome, check.found) == (OK, "site_user can read all of them")

	# Read, they can't be made again yet.
	why = str(why_no_import(shop.config))
	assert why == "view the neighbour's: of other databases, which a private server has not"
	shop.execute(NO_VIEW_OF_OTHERS)
	shop.back_up(STREAM)
	why = str(why_no_import(shop.config))
	assert "site_user may not make view doubled, trigger on new, procedure elsewhere" in why
	type_what_is_asked(shop, why)
	assert why_no_import(shop.config) is None
	before = shop.look()
	with shop.server.session() as cursor:
		drop_objects(cursor, shop.live)
	load_dump(shop.base / "database.sql.zst", shop.own, shop.live)
	assert shop.look()[1:3] == before[1:3]


def type_what_is_asked(shop: Shop, words: str) -> None:
	"""The statement stands last, as it can be pasted."""
	statement = words[words.index("GRANT ") :].rstrip(";")
	assert ";" not in statement
	execute(shop.server, None, statement)


def test_with_an_administrator_preflight_says_who_dumps(shop: Shop) -> None:
	shop.name_administrator()
	(check,) = shop.check()
	assert check.outcome == OK
	assert check.found.startswith(f"{shop.server.user} dumps them: site_user can't read ")
	# No more rights are used than are needed.
	shop.execute("GRANT SELECT ON mysql.proc TO site_user@localhost")
	assert choose_dumper(shop.config) == shop.own


class ConfigurationOnly:
	"""The site process of a backup that leaves the database to others."""

	def call(self, task: str, site: str, *, directory: str, **asked: Any) -> dict[str, Any]:
		assert task == "backup" and not asked["with_database"]
		path = Path(directory, "site_config.json")
		path.write_text("{}")
		return {"files": [{"kind": "config", "path": str(path)}], "partial": False}


def test_a_backup_is_made_by_who_may_read_all_of_it(shop: Shop, tmp_path: Path) -> None:
	maker = Maker(shop.bench, ConfigurationOnly(), Backup(method="stream"))  # type: ignore[arg-type]
	with pytest.raises(Refused, match="function twice"):
		maker.make(SITE, tmp_path / "refused", with_files=False)
	shop.name_administrator()
	shop.bench.deployments.mkdir()
	maker.make(SITE, tmp_path / "made", with_files=False)
	(dump,) = (tmp_path / "made").glob("*.sql.zst")
	assert check_dump(dump).objects["functions"] == ["of_ghost", "twice"]
	with pytest.raises(Refused, match="function of_ghost, function twice"):
		Maker(shop.bench, ConfigurationOnly(), Backup(method="frappe")).make(  # type: ignore[arg-type]
			SITE, tmp_path / "made", with_files=False
		)
	assert list((tmp_path / "made").iterdir()), "what was there before is not thrown away for nothing"


def test_preflight_looks_for_them(shop: Shop) -> None:
	run: Any = SimpleNamespace(bench=shop.bench, spec=SimpleNamespace(backup=Backup(method="stream")))
	database = Database(shop.bench, SITE)
	ports: Any = SimpleNamespace(databases=SimpleNamespace(sites={SITE: database}))
	failed = [
		check
		for check in backups._check_site(run, ports, SITE, wants_standby=False)
		if check.outcome == FAILED
	]
	database.close()
	assert [check.name for check in failed] == [f"Objects of the database: {SITE}"]


@pytest.mark.parametrize("right", ["TRIGGER", "EVENT", "SHOW VIEW", "EXECUTE"])
def test_what_the_sites_user_is_not_shown_is_not_left_out_in_silence(shop: Shop, right: str) -> None:
	shop.execute("GRANT SELECT ON mysql.proc TO site_user@localhost")
	assert not find_unreadable(shop.own, shop.live)
	shop.execute(f"REVOKE {right} ON {quote(shop.live)}.* FROM site_user@localhost")
	(check,) = shop.check()
	assert check.outcome == FAILED and right in check.found
	# Given on the escaped name, it would take the place of all other rights.
	assert f"GRANT {right} ON {quote(shop.live)}.* TO `site_user`@`localhost`" in check.remedy
	type_what_is_asked(shop, check.remedy)
	assert not find_unreadable(shop.own, shop.live)


def test_a_view_that_no_dump_passes_is_named(shop: Shop) -> None:
	shop.name_administrator()
	shop.execute("CREATE TABLE gone (id INT)", "CREATE VIEW broken AS SELECT id FROM gone", "DROP TABLE gone")
	(check,) = shop.check()
	assert check.outcome == FAILED and "view broken (View " in check.found
	assert check.remedy.startswith("mend it, or drop it")
	shop.execute("DROP VIEW broken")
	(check,) = shop.check()
	assert check.outcome == OK


def test_frappes_own_backup_is_refused_where_it_would_leave_something_out(shop: Shop) -> None:
	shop.name_administrator()
	(check,) = shop.check(FRAPPE)
	assert check.outcome == FAILED and "function of_ghost, function twice" in check.found
	assert check.remedy.startswith("set the backup's method to auto")
	with shop.server.session() as cursor:
		drop_objects(cursor, shop.live)
	shop.execute("CREATE VIEW harmless AS SELECT 1 AS one")
	(check,) = shop.check(FRAPPE)
	assert check.outcome == OK
