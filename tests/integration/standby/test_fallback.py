"""Where the server can't keep a standby, preflight chooses the way back by an import, if that is one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.databases import credentials
from press_deploy.engine.databases.mariadb import proving, standby_check
from press_deploy.engine.databases.mariadb.loading import why_not_imported_by
from press_deploy.engine.databases.mariadb.scratch_server import start_scratch_server
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from press_deploy.engine.ground.checks import FAILED, WARNING, Check
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import Phase, RunState, load_state
from press_deploy.engine.steps.ports import Ports, open_ports
from press_deploy.engine.steps.preflight import backups
from press_deploy.engine.steps.preflight import step as preflight_step
from press_deploy.engine.steps.preflight.step import Preflight
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.standby_of_run import had_standby
from press_deploy.engine.steps.way_back_checks import check_listable
from tests.support.databases import SITE, execute, make_bench, make_database, private_directory
from tests.unit.engine.support import make_spec

TABLES = (
	"CREATE TABLE tabDocType (name VARCHAR(140) PRIMARY KEY)",
	"INSERT INTO tabDocType VALUES ('Item')",
)
NO_ROOM = SimpleNamespace(total=1 << 40, used=1 << 40, free=0)


@dataclass
class Shop:
	"""A site on a real server, and one run of it: preflight is its own, up to the checks of the database."""

	bench: Bench
	run: RunDirectory
	server: Server
	live: str

	@property
	def user(self) -> Server:
		return self.server.as_user("site_user", "secret")

	def execute(self, *statements: str) -> None:
		execute(self.server, self.live, *statements)

	def name_administrator(self, user: str, password: str) -> None:
		"""Whom preflight is to take for the database's administrator."""
		config = {"root_login": user, "root_password": password}
		self.bench.common_config.write_text(json.dumps(config))

	def ask_for_rung(self, rung: int) -> None:
		spec = make_plan(self.run.path, required_rung=rung)
		self.run = RunDirectory.create(self.bench.path, spec)

	def open(self, state: RunState | None = None) -> tuple[Run, Ports]:
		state, journal = state or RunState(self.run.name), Journal(self.run.journal)
		opened = Run(self.bench, self.run, self.run.read_plan(), journal, state, Programs(self.run.name))
		return opened, open_ports(opened)

	def check(self) -> list[Check]:
		"""What stands against the standby."""
		opened = self.open()
		found = list(backups._check_standby(*opened, SITE))
		close(*opened)
		return [check for check in found if check.outcome in (WARNING, FAILED)]


def close(run: Run, ports: Ports) -> None:
	ports.close()
	run.journal.close()


def make_plan(directory: Path, **backup: object):
	return make_spec(sites=[{"name": SITE}], backup={"safe_directory": str(directory / "safe"), **backup})


@pytest.fixture
def shop(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
	# The machine may have one.
	monkeypatch.setattr(credentials, "CREDENTIALS_FILE", tmp_path / "none.cnf")
	name = f"shop {tmp_path.name[-20:]}"
	make_database(server, name, *TABLES)
	execute(
		server,
		None,
		"CREATE OR REPLACE USER site_user@localhost IDENTIFIED BY 'secret'",
		f"GRANT ALL ON {quote(name)}.* TO site_user@localhost",
		"CREATE OR REPLACE USER weak@localhost IDENTIFIED BY 'pw'",
	)
	bench = make_bench(tmp_path, server, name)
	shop = Shop(bench, RunDirectory.create(bench.path, make_plan(tmp_path)), server, name)
	shop.name_administrator(server.user, server.password)
	yield shop
	# Foreign keys may lead from each of them to the other.
	ends = [f"DROP DATABASE IF EXISTS {each}" for each in ("neighbour", quote(name))]
	execute(server, None, "SET foreign_key_checks = 0", *ends)


def lack_rights(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.name_administrator("weak", "pw")


def lack_room(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	# Not of the disk itself: the test's server is on it.
	monkeypatch.setattr(standby_check.shutil, "disk_usage", lambda path: NO_ROOM)


def be_old(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	monkeypatch.setattr(standby_check.schemas, "OLDEST_VERSION", (99, 1))


def lead_here(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	execute(
		shop.server,
		None,
		"CREATE OR REPLACE DATABASE neighbour",
		"CREATE TABLE neighbour.t (d VARCHAR(140), CONSTRAINT here FOREIGN KEY (d) "
		f"REFERENCES {quote(shop.live)}.tabDocType (name))",
		"INSERT INTO neighbour.t VALUES ('Item')",
	)


def name_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.bench.common_config.write_text("{}")


def keep_history(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.execute("CREATE TABLE kept (id INT) WITH SYSTEM VERSIONING")


def lead_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	execute(
		shop.server,
		None,
		"CREATE OR REPLACE DATABASE neighbour",
		"CREATE TABLE neighbour.t (id INT PRIMARY KEY)",
	)
	shop.execute("CREATE TABLE out_of_it (id INT, FOREIGN KEY (id) REFERENCES neighbour.t (id))")


def have_no_server_program(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	monkeypatch.setattr(proving, "find_server_program", lambda: None)


def ask_for_rung_5(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.ask_for_rung(5)


def have_a_view_of_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.execute("CREATE VIEW figures AS SELECT name FROM tabDocType")


def forget_the_password(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	shop.name_administrator("weak", "hunter2")


Trouble = Callable[[Shop, pytest.MonkeyPatch], None]


@pytest.mark.parametrize(
	("trouble", "words"),
	[
		(lack_rights, "weak lacks CREATE, DROP"),
		(lack_room, "0 MB free"),
		(be_old, "the server is 1"),
		(lead_here, "foreign keys of other databases lead here: neighbour.t"),
		(name_nobody, "the database administrator is not named"),
	],
)
def test_the_deployment_goes_on_without(
	shop: Shop, monkeypatch: pytest.MonkeyPatch, trouble: Trouble, words: str
) -> None:
	trouble(shop, monkeypatch)
	(check,) = shop.check()
	assert check.outcome == WARNING, check
	assert words in check.found and "so there will be none" in check.found and "by hand" in check.found
	assert check.remedy.startswith("for a rollback in seconds: ")
	assert isinstance(check, backups.WithoutStandby) and check.site == SITE


@pytest.mark.parametrize(
	("troubles", "words"),
	[
		((lack_rights, have_no_server_program), "without mariadbd here"),
		((lack_rights, ask_for_rung_5), "rung 5 starts the site"),
		(
			(lack_rights, have_a_view_of_others),
			"could not be imported either: site_user may not make view figures again, unless the server's "
			"administrator types: GRANT SET USER ON *.* TO `site_user`@`localhost`;",
		),
		((lack_rights, keep_history), "could not be imported either: kept keep history"),
		((name_nobody, lead_out), "could not be imported either: foreign keys lead to other databases"),
		((keep_history,), "kept keep history"),
		((lead_out,), "foreign keys lead to other databases"),
		((forget_the_password,), "user name or password is refused"),
	],
)
def test_the_deployment_is_refused(
	shop: Shop, monkeypatch: pytest.MonkeyPatch, troubles: tuple[Trouble, ...], words: str
) -> None:
	for trouble in troubles:
		trouble(shop, monkeypatch)
	(check,) = shop.check()
	assert check.outcome == FAILED and words in check.found, check
	assert check.remedy and "hunter2" not in str(check)
	assert not isinstance(check, backups.WithoutStandby)


def test_a_server_in_order_keeps_its_standby(shop: Shop) -> None:
	assert shop.check() == []


def test_a_resumed_run_decides_as_the_first_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
	"""Also when the rights that were lacking have been given since."""
	lack_rights(shop, monkeypatch)
	monkeypatch.setattr(
		preflight_step, "CHECKS", [lambda run, ports: backups._check_standby(run, ports, SITE)]
	)
	first, ports = shop.open()
	result = Preflight(ports).apply(first, {})
	assert result["without_standby"] == [SITE]
	names = {"step": "preflight", "phase": Phase.PREFLIGHT.value, "title": "Preflight"}
	first.journal.append("step-announced", {**names, "before": {}})
	first.journal.append("step-observed", {**names, "result": result, "found": ""})
	close(first, ports)
	shop.name_administrator(shop.server.user, shop.server.password)
	state = load_state(shop.run)
	resumed = shop.open(state)
	assert resumed[1].databases.standbys == {SITE: None}
	close(*resumed)
	undecided = shop.open()
	assert undecided[1].databases.standbys[SITE] is not None, "it was preflight that decided"
	close(*undecided)
	_go_through_the_window(state)
	assert not had_standby(shop.run, state, SITE)
	with pytest.raises(Refused, match="restore a backup by hand"):
		check_listable(shop.bench, shop.run, state, database=True)


def _go_through_the_window(state: RunState) -> None:
	for name in ("standby", "maintenance", "open"):
		state.steps[name] = SimpleNamespace(status="done", has_effect=True, is_over=True)


def test_an_import_keeps_the_foreign_keys_that_lead_here(
	shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
	"""As the site's own user makes it: all of its tables go first."""
	lead_here(shop, monkeypatch)
	assert why_not_imported_by(shop.user, shop.live) is None
	dump_database(shop.user, shop.live, tmp_path / "dump.sql.zst")
	execute(shop.user, shop.live, "SET foreign_key_checks = 0", "DROP TABLE tabDocType")
	load_dump(tmp_path / "dump.sql.zst", shop.user, shop.live)
	with pytest.raises(Exception, match="foreign key constraint fails"):
		execute(shop.server, "neighbour", "INSERT INTO t VALUES ('nothing')")
	execute(shop.server, "neighbour", "INSERT INTO t VALUES ('Item')")


def test_what_the_sites_user_may_make(shop: Shop) -> None:
	"""Its own views and the like it makes again; others' only with the right to make them in their name."""
	execute(
		shop.user,
		shop.live,
		"CREATE VIEW own AS SELECT 1 AS one",
		"CREATE TRIGGER own BEFORE INSERT ON tabDocType FOR EACH ROW SET NEW.name = 'x'",
		"CREATE PROCEDURE own() SELECT 1",
		"CREATE EVENT own ON SCHEDULE EVERY 1 DAY DO SELECT 1",
	)
	assert why_not_imported_by(shop.user, shop.live) is None
	shop.execute(
		"CREATE PROCEDURE theirs() SELECT 1", "CREATE EVENT theirs ON SCHEDULE EVERY 1 DAY DO SELECT 1"
	)
	assert "procedure theirs, event theirs" in str(why_not_imported_by(shop.user, shop.live))
	shop.execute("GRANT SET USER ON *.* TO site_user@localhost")
	assert why_not_imported_by(shop.user, shop.live) is None


def test_a_binary_log_keeps_triggers_to_the_administrator(tmp_path: Path) -> None:
	with private_directory() as directory:
		own = start_scratch_server(directory, "--log-bin", "--server-id=1")
		try:
			make_database(
				own.server,
				"shop",
				*TABLES,
				"CREATE USER site_user@localhost IDENTIFIED BY 'secret'",
				"GRANT ALL ON shop.* TO site_user@localhost",
				"CREATE DEFINER=site_user@localhost TRIGGER own BEFORE INSERT ON tabDocType "
				"FOR EACH ROW SET NEW.name = 'x'",
				"CREATE DEFINER=site_user@localhost PROCEDURE own() SELECT 1",
			)
			user = own.server.as_user("site_user", "secret")
			why = str(why_not_imported_by(user, "shop"))
			assert why == (
				"site_user may not make trigger own again, unless the server's administrator types: "
				"SET GLOBAL log_bin_trust_function_creators = 1;"
			)
			dump_database(user, "shop", tmp_path / "dump.sql.zst")
			with pytest.raises(Exception, match=r"1419|SUPER"):
				load_dump(tmp_path / "dump.sql.zst", user, "shop")
			execute(own.server, None, "SET GLOBAL log_bin_trust_function_creators = 1")
			assert why_not_imported_by(user, "shop") is None
			load_dump(tmp_path / "dump.sql.zst", user, "shop")
		finally:
			own.stop()
