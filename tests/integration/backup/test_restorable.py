"""Rung 4 of a site's backup: what was looked at is said, and the encryption key always is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from press_deploy.engine.backup import verifying
from press_deploy.engine.backup.catalogue import prove_latest
from press_deploy.engine.backup.config_secrets import KEY_NAME, protect_config
from press_deploy.engine.backup.restorable import prove_in_scratch, prove_restorable
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.steps.proving import ProveRestorable
from tests.integration.backup.conftest import MakeDatabase, short_directory
from tests.integration.backup.schema import EVERYTHING
from tests.support.databases import SITE, execute, make_bench, make_standby

KEY, OTHER_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
STORED = f"('Email Account', 'a', 'password', '{Fernet(KEY).encrypt(b'geheim').decode()}', 1)"
Make = Callable[..., Path]


def change_config(bench: Bench, **keys: Any) -> None:
	file = bench.site_config(SITE)
	file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def put_backup(bench: Bench, files: dict[str, Path], mode: str, config: dict[str, Any]) -> Path:
	"""A whole backup of the site among those that were made by themselves; its files move there."""
	directory = bench.deployments / "backups" / SITE / "20260131-100000-ab12"
	directory.mkdir(parents=True)
	entries = []
	for kind, path in files.items():
		entries.append({"kind": kind, "path": str(shutil.move(path, directory / path.name))})
	plain = directory / "site_config_backup.json"
	plain.write_text(json.dumps(config))
	kept = protect_config(plain, mode, bench.deployments / KEY_NAME)
	entries.append({"kind": "config", "path": str(kept)})
	facts = {"site": SITE, "made": "2026-01-31T10:00:00+00:00", "method": "stream", "files": entries}
	(directory / "made.json").write_text(json.dumps(facts))
	verifying.verify(directory)
	return directory


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
	with short_directory() as directory:
		bench = make_bench(directory, server, "shop")
		bench.deployments.mkdir()
		change_config(bench, root_login=server.user, root_password="", encryption_key=KEY)
		yield bench


@pytest.fixture
def make(server: Server, make_database: MakeDatabase, bench: Bench, tmp_path: Path) -> Make:
	"""Makes a backup of a site that stores a password under `KEY`, unless it is to store none."""

	def make(key: str | None = KEY, mode: str = "encrypt", *, stored: bool = True) -> Path:
		statements = [f"INSERT INTO __Auth VALUES {STORED}"] if stored else []
		database, dump = make_database(*EVERYTHING, *statements), tmp_path / "a-database.sql.zst"
		dump_database(server, database, dump)
		return put_backup(bench, {"database": dump}, mode, {"encryption_key": key} if key else {})

	return make


@pytest.mark.parametrize("mode", ["encrypt", "plain"])
def test_the_key_in_the_backup_opens_what_the_backup_stores(bench: Bench, make: Make, mode: str) -> None:
	facts = prove_restorable(bench, SITE, make(mode=mode))
	assert facts["encryption_key"] == "opens what is stored"
	assert facts["compared_with"] == "the dump itself"


@pytest.mark.parametrize(
	("key", "words"),
	[(OTHER_KEY, "belong to another key"), (None, "has no encryption_key"), ("x", "no key")],
	ids=["other", "none", "no key"],
)
def test_a_backup_whose_key_opens_nothing_is_not_restorable(
	bench: Bench, make: Make, key: str | None, words: str
) -> None:
	directory = make(key)
	with pytest.raises(StepFailed, match=words) as caught:
		prove_latest(bench, SITE)
	assert "encryption_key" in caught.value.remedy and KEY not in str(caught.value)
	assert Proof(directory).has_failed(Rung.RESTORABLE) and words in Proof(directory).describe()


def test_the_key_is_looked_at_without_an_administrator_too(bench: Bench, make: Make) -> None:
	directory = make(OTHER_KEY)
	with pytest.raises(StepFailed, match="belong to another key"):
		prove_in_scratch(bench, directory)


@pytest.mark.parametrize("scheduler", ["ON", "OFF"])
def test_events_are_proven_where_nobody_runs_them(
	bench: Bench, make_database: MakeDatabase, server: Server, tmp_path: Path, scheduler: str
) -> None:
	"""A server that runs events would run those of the dump, in the name of whoever made them."""
	event = "CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO SET GLOBAL innodb_status_output = ON"
	database, dump = make_database(*EVERYTHING, event), tmp_path / "a-database.sql.zst"
	dump_database(server, database, dump)
	execute(server, database, "DROP EVENT e")
	directory = put_backup(bench, {"database": dump}, "plain", {})
	try:
		execute(server, None, f"SET GLOBAL event_scheduler = {scheduler}")
		facts = prove_restorable(bench, SITE, directory)
	finally:
		execute(server, None, "SET GLOBAL event_scheduler = OFF")
	assert ("server" in facts) == (scheduler == "ON"), "whose server it was"
	assert execute(server, None, "SELECT @@GLOBAL.innodb_status_output") == [(0,)]


def test_a_key_that_was_left_out_is_the_sites_own(bench: Bench, make: Make) -> None:
	directory = make(mode="leave_out")
	assert "left out of the backup" in prove_restorable(bench, SITE, directory)["encryption_key"]
	change_config(bench, encryption_key=OTHER_KEY)
	with pytest.raises(StepFailed, match="belong to another key"):
		prove_restorable(bench, SITE, directory)


def test_a_site_that_stores_no_password_needs_no_key(bench: Bench, make: Make) -> None:
	facts = prove_restorable(bench, SITE, make(None, stored=False))
	assert facts["encryption_key"] == "no password is stored that it would have to open"


def test_a_configuration_that_nobody_can_open_restores_no_site(bench: Bench, make: Make) -> None:
	directory = make()
	(bench.deployments / KEY_NAME).unlink()
	with pytest.raises(StepFailed, match=r"backup\.key"):
		prove_restorable(bench, SITE, directory)


@pytest.mark.parametrize("key", [KEY, OTHER_KEY], ids=["right", "other"])
def test_the_key_is_looked_at_on_sqlite(bench: Bench, tmp_path: Path, key: str) -> None:
	file = tmp_path / "a-database.db"
	with closing(sqlite3.connect(file)) as database:
		database.execute("PRAGMA journal_mode = wal")
		for table in ("tabDocType", "tabSingles", "__global_search"):
			database.execute(f"CREATE TABLE {table} (name TEXT)")
		database.execute(
			"CREATE TABLE __Auth (doctype TEXT, name TEXT, fieldname TEXT, password TEXT, encrypted INT)"
		)
		database.execute(f"INSERT INTO __Auth VALUES {STORED}")
		database.commit()
	directory = put_backup(bench, {"database": file}, "plain", {"encryption_key": key})
	change_config(bench, db_type="sqlite")
	before = sorted(directory.iterdir())
	if key == KEY:
		assert prove_restorable(bench, SITE, directory)["encryption_key"] == "opens what is stored"
		assert sorted(directory.iterdir()) == before
		return
	with pytest.raises(StepFailed, match="belong to another key"):
		prove_restorable(bench, SITE, directory)


# --- a copy of the server's files --------------------------------------------------------------


def spoil(server: Server, database: str, table: str) -> None:
	"""Let a MyISAM table be shorter than its index says, as a lost block leaves it; the server only sees it when it
	reads."""
	with server.session(database) as cursor:
		cursor.execute("FLUSH TABLES")
		cursor.execute("SELECT @@datadir, CAST(CONVERT(%s USING filename) AS BINARY)", (database,))
		datadir, encoded = cursor.fetchone()
	(file,) = (Path(datadir) / encoded.decode()).glob(f"{table}.MYD")
	content = file.read_bytes()
	file.write_bytes(content[: len(content) // 2])
	with server.session(database) as cursor:
		cursor.execute("FLUSH TABLES")


NOTES = (
	"CREATE TABLE notes (name int PRIMARY KEY, text varchar(100)) ENGINE=MyISAM",
	"INSERT INTO notes SELECT seq, REPEAT('x', 50) FROM seq_1_to_500",
)


@pytest.fixture
def make_physical(
	server: Server, make_database: MakeDatabase, bench: Bench, tmp_path: Path
) -> Callable[..., Path]:
	def make(key: str = KEY) -> Path:
		database = make_database(*EVERYTHING, *NOTES, f"INSERT INTO __Auth VALUES {STORED}")
		if why := physical.why_not(server, database):
			pytest.skip(why)
		file = tmp_path / f"a-database{physical.SUFFIX}"
		physical.back_up(server, database, file)
		return put_backup(bench, {"physical": file}, "plain", {"encryption_key": key})

	return make


def test_a_physical_copy_says_what_it_was_compared_with(
	bench: Bench, make_physical: Callable[..., Path]
) -> None:
	facts = prove_restorable(bench, SITE, make_physical())
	assert facts["compared_with"] == "the copy's own list of tables"
	assert facts["checked"] == facts["tables"] - 2  # Not the view, nor the sequence.
	assert facts["encryption_key"] == "opens what is stored"


def test_a_physical_copy_with_another_key_is_not_restorable(
	bench: Bench, make_physical: Callable[..., Path]
) -> None:
	with pytest.raises(StepFailed, match="belong to another key"):
		prove_restorable(bench, SITE, make_physical(OTHER_KEY))


def test_a_table_that_came_back_damaged_shows(
	bench: Bench, make_physical: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
	directory, load, spoiled = make_physical(), physical.load, []

	def load_and_spoil(path: Path, server: Server, database: str, standby: str, *more: Any) -> dict:
		loaded = load(path, server, database, standby, *more)
		spoil(server, standby, "notes")
		spoiled.append(standby)
		return loaded

	monkeypatch.setattr(physical, "load", load_and_spoil)
	with pytest.raises(StepFailed, match="notes: "):
		prove_restorable(bench, SITE, directory)
	assert spoiled


# --- a run's standby ---------------------------------------------------------------------------


class Loading:
	"""The steps of a run that load and prove, with a site whose table `notes` is written to all the time."""

	def __init__(self, directory: Path, server: Server, database: str, file: Path, kind: str, key: str = KEY):
		self.server, self.standby = server, make_standby(directory, server, database)
		self.bench = Bench(directory / "bench")
		change_config(self.bench, root_login=server.user, root_password="", encryption_key=KEY)
		self.bench.deployments.mkdir(exist_ok=True)
		self.standby.remember_live()
		physical.back_up(server, database, file) if kind == "physical" else dump_database(
			server, database, file
		)
		self.directory = put_backup(self.bench, {kind: file}, "plain", {"encryption_key": key})
		self.own = directory / "run"
		self.own.mkdir()
		self.databases = SimpleNamespace(standbys={SITE: self.standby}, wants_standby=lambda site: True)
		with server.session(database) as cursor:
			cursor.execute("UPDATE notes SET text = 'written to' WHERE name = 1")

	def load(self) -> None:
		self.standby.load_backup(self.directory, self.own / "loading", None)

	def prove(self) -> dict[str, Any]:
		run = SimpleNamespace(
			bench=self.bench, directory=SimpleNamespace(path=self.own), measure=lambda what: None
		)
		if not self.standby.is_loaded():
			self.load()
		return ProveRestorable(self.databases)._prove(run, SITE, self.directory)

	def execute(self, statement: str) -> None:
		with self.server.session(self.standby.name) as cursor:
			cursor.execute(statement)


@pytest.fixture
def make_loading(server: Server, make_database: MakeDatabase, tmp_path: Path) -> Callable[[str], Loading]:
	made: list[Loading] = []

	def make(kind: str, key: str = KEY) -> Loading:
		database = make_database(*EVERYTHING, *NOTES, f"INSERT INTO __Auth VALUES {STORED}")
		if kind == "physical" and (why := physical.why_not(server, database)):
			pytest.skip(why)
		suffix = physical.SUFFIX if kind == "physical" else ".sql.zst"
		made.append(Loading(tmp_path, server, database, tmp_path / f"a-database{suffix}", kind, key))
		return made[-1]

	yield make
	for each in made:
		with server.session() as cursor:
			cursor.execute(f"DROP DATABASE IF EXISTS {quote(each.standby.name)}")


def test_a_standby_was_compared_with_the_site(make_loading: Callable[..., Loading]) -> None:
	facts = make_loading("database").prove()
	assert facts["compared_with"] == "the live site"
	assert (facts["encryption_key"], facts["written"]) == ("opens what is stored", {"notes": [500, 500]})


def test_a_busy_table_that_is_half_restored_shows(make_loading: Callable[..., Loading]) -> None:
	"""It can't be compared with the site, for that has changed; the dump itself says how many rows there were."""
	loading = make_loading("database")
	loading.load()
	loading.execute("DELETE FROM notes WHERE name > 250")
	with pytest.raises(StepFailed, match="notes has 250 rows, the backup 500"):
		loading.prove()


def test_a_table_whose_definition_changed_meanwhile_is_counted_too(
	make_loading: Callable[..., Loading],
) -> None:
	loading = make_loading("database")
	loading.load()
	with loading.server.session(loading.standby.live) as cursor:
		cursor.execute("ALTER TABLE notes ADD COLUMN more int")
	assert loading.prove()["changed"] == ["notes"]
	loading.execute("DELETE FROM notes")
	with pytest.raises(StepFailed, match="notes has 0 rows, the backup 500"):
		loading.prove()


def test_a_standby_that_a_started_site_has_written_to_is_not_counted_again(
	make_loading: Callable[..., Loading],
) -> None:
	"""A run that is resumed after it started the site there proves once more; that was counted before."""
	loading = make_loading("database")
	facts = loading.prove()
	Proof(loading.directory).record(Rung.RESTORABLE, facts)
	loading.execute("INSERT INTO notes VALUES (1000, 'by the site that was started')")
	assert loading.prove()["written"] == {"notes": [500, 501]}


def test_the_key_in_the_backup_is_looked_at_with_a_standby_too(make_loading: Callable[..., Loading]) -> None:
	with pytest.raises(StepFailed, match="belong to another key"):
		make_loading("database", OTHER_KEY).prove()
