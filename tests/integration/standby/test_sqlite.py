"""The standby of a site on SQLite: files that change names, killed between any two steps."""

from __future__ import annotations

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import MANIFEST
from press_deploy.engine.databases.sqlite import exchange
from press_deploy.engine.databases.sqlite.content import copy_online, read_content, read_objects
from press_deploy.engine.databases.sqlite.place import FINAL_BACKUP
from press_deploy.engine.databases.sqlite.standby import list_kept, open_standby
from press_deploy.engine.databases.sqlite.standby_file import SQLiteStandby
from press_deploy.engine.ground.checks import FAILED
from press_deploy.engine.ground.errors import StepFailed
from tests.support.databases import RUN, SITE

# What a swap does to files and notes; a kill before any of them is one between two effects.
EFFECTS = ("os.link", "os.replace", "os.chmod", "os.fsync", "os.unlink", "os.fchmod")


class Files:
	"""A site's file with a backup of it."""

	def __init__(self, directory: Path, mode: str):
		self.directory, self.mode = directory, mode
		for name in ("apps", "config", "logs", f"sites/{SITE}/db", f"deployments/{RUN}"):
			(directory / name).mkdir(parents=True)
		(directory / "sites" / SITE / "site_config.json").write_text(
			'{"db_type": "sqlite", "db_name": "shop"}'
		)
		self.live = directory / "sites" / SITE / "db" / "shop.db"
		self.dump = directory / "dump.gz"
		self.execute(
			f"PRAGMA journal_mode = {mode}",
			"CREATE TABLE tabItem (name TEXT PRIMARY KEY, price REAL, blob BLOB)",
			"CREATE TABLE tabSingles (doctype TEXT, field TEXT, value TEXT)",
			"CREATE VIRTUAL TABLE words USING fts5 (content)",
			"INSERT INTO tabItem VALUES ('chair', 10.5, x'00ff'), ('table', 99, NULL)",
			"INSERT INTO tabSingles VALUES ('Website', 'title', 'Été')",
			"INSERT INTO words VALUES ('a wooden table')",
			"CREATE VIEW cheap AS SELECT name FROM tabItem WHERE price < 50",
			"CREATE TRIGGER watch AFTER DELETE ON tabItem BEGIN DELETE FROM tabSingles WHERE field = old.name; END",
		)
		self.live.chmod(0o640)

	@property
	def standby(self) -> SQLiteStandby:
		standby = open_standby(Bench(self.directory), SITE, RUN, self.directory / "notes")
		assert isinstance(standby, SQLiteStandby)
		return standby

	def execute(self, *statements: str) -> None:
		with closing(sqlite3.connect(self.live)) as connection, connection:
			for statement in statements:
				connection.execute(statement)

	def content(self, path: str | Path | None = None) -> tuple[dict, list]:
		file = Path(path or self.live)
		return read_content(file), read_objects(file)

	def load(self) -> tuple[dict, list]:
		copy = self.directory / "copy"
		copy_online(self.live, copy)
		self.dump.write_bytes(gzip.compress(copy.read_bytes()))
		self.standby.remember_live()
		self.standby.load(self.dump)
		return self.content()

	def change(self) -> None:
		self.execute(
			"DELETE FROM tabItem WHERE name = 'chair'", "CREATE TABLE tabNew (a INT)", "DROP VIEW cheap"
		)


@pytest.fixture(params=["WAL", "DELETE"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Files]:
	yield Files(tmp_path / "bench", request.param)


def kill_at(files: Files, instant: int, act: str, *arguments: Path | None) -> bool:
	"""Call a method of the standby in a process that is killed before its effect number `instant`."""
	process = os.fork()
	if not process:
		try:
			_arm(instant)
			getattr(files.standby, act)(*arguments)
			os._exit(0)
		finally:
			os._exit(1)
	status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
	assert status in (0, -signal.SIGKILL)
	return status != 0


def _arm(instant: int) -> None:
	left = [instant]
	for name in EFFECTS:
		attribute = name.removeprefix("os.")
		original = getattr(os, attribute)

		def counted(*arguments, original=original, **named):
			if left[0] == 0:
				os.kill(os.getpid(), signal.SIGKILL)
			left[0] -= 1
			return original(*arguments, **named)

		setattr(os, attribute, counted)


def test_load_prove_refresh_swap_undo(files: Files):
	backup = files.load()
	assert files.standby.is_loaded()
	assert files.content(files.standby.name) == backup
	assert files.standby.prove()["equal"] == len(backup[0])

	def refresh() -> dict[str, Any]:
		return files.standby.refresh(files.directory)

	files.change()
	proof = files.standby.prove()
	assert proof["written"] == {"tabItem": [1, 2]} and proof["changed"] == ["tabNew"]

	former = files.content()
	files.standby.swap()
	assert files.content() == backup and files.standby.observe_swapped().done
	assert files.content(files.standby.quarantine) == former
	assert files.live.stat().st_mode & 0o777 == 0o640
	assert not files.standby.is_loaded()

	files.standby.undo_swap()
	assert files.content() == former and not files.standby.observe_swapped().done
	assert files.content(files.standby.name) == backup
	assert not Path(files.standby.quarantine).exists()

	# What was live is kept, until a person removes it.
	for act in (lambda: files.standby.load(files.dump), files.standby.drop_standby, refresh):
		with pytest.raises(StepFailed, match="its swap was undone"):
			act()
	assert files.content(files.standby.name) == backup
	Path(files.standby.name).unlink()
	files.standby.load(files.dump)
	found = refresh()
	assert found["changed"] == ["tabItem", "tabNew"] and found["dropped"] == []
	assert files.content(files.standby.name) == former
	final = files.directory / "unpacked"
	final.write_bytes(
		zstandard.ZstdDecompressor().stream_reader((files.directory / FINAL_BACKUP).open("rb")).read()
	)
	assert files.content(final) == former
	assert (files.directory / FINAL_BACKUP).stat().st_mode & 0o777 == 0o600


def test_killed_between_any_two_effects(files: Files):
	backup = files.load()
	files.change()
	former = files.content()
	instant, fired = 0, True
	while fired:
		fired = kill_at(files, instant, "swap")
		assert files.content() in (former, backup), "there is at every instant a whole database"
		files.standby.swap()
		assert files.content() == backup, f"swap killed at {instant}"
		assert files.content(files.standby.quarantine) == former
		fired |= kill_at(files, instant, "undo_swap")
		assert files.content() in (former, backup)
		files.standby.undo_swap()
		assert files.content() == former, f"undo killed at {instant}"
		assert files.content(files.standby.name) == backup
		instant += 1
	assert instant > 8


def test_undone_from_anywhere(files: Files):
	backup = files.load()
	files.change()
	former, instant = files.content(), 0
	while kill_at(files, instant, "swap"):
		files.standby.undo_swap()
		assert files.content() == former, f"killed at {instant}"
		assert files.content(files.standby.name) == backup
		assert not Path(files.standby.quarantine).exists()
		instant += 1
	assert instant > 8


def test_an_undoing_that_was_begun_is_completed_before_the_swap(files: Files):
	"""In one call, wherever the undoing was killed."""
	backup = files.load()
	files.change()
	former, instant, states = files.content(), 0, []
	files.standby.swap()
	while kill_at(files, instant, "undo_swap"):
		states.append(files.standby.swap_note.state)
		files.standby.swap()
		assert files.standby.observe_swapped().done
		assert files.content() == backup, f"killed at {instant}"
		assert files.content(files.standby.quarantine) == former
		instant += 1
	assert states.count("undoing") > 8


def test_whether_a_swap_is_begun(files: Files):
	assert not files.standby.is_swap_begun()
	files.load()
	assert not files.standby.is_swap_begun()
	assert kill_at(files, 8, "swap"), "the fault must fire"
	assert files.standby.is_swap_begun() and files.standby.is_swap_under_way()
	files.standby.swap()
	assert files.standby.is_swap_begun() and not files.standby.is_swap_under_way()
	files.standby.undo_swap()
	assert not files.standby.is_swap_begun()


def test_what_was_removed_by_hand_after_the_swap_is_told(files: Files):
	files.load()
	files.standby.swap()
	Path(files.standby.quarantine).unlink()
	observed = files.standby.observe_swapped()
	assert not observed.done and "what it replaced is not in" in observed.found
	files.live.unlink()
	observed = files.standby.observe_swapped()
	assert not observed.done and "not the standby that is live" in observed.found


def test_a_lost_standby_is_made_again(files: Files, tmp_path: Path):
	base, final = tmp_path / "base", tmp_path / "final"
	backup = load_from(files, base)
	files.change()
	files.standby.refresh(final)
	former, token = files.content(), Path(files.standby.name).stat().st_ino
	files.standby.rebuild(base, final)
	assert Path(files.standby.name).stat().st_ino == token, "what is there stays"

	instant, absent = 0, 0
	Path(files.standby.name).unlink()
	while kill_at(files, instant, "rebuild", base, final):
		absent += not files.standby.is_loaded()
		assert not files.standby.is_loaded() or files.content(files.standby.name) == former
		instant += 1
	assert absent > 15
	assert files.standby.is_loaded() and files.content(files.standby.name) == former
	assert files.standby.rebuild(base, final) == {"tables": len(former[0])}

	files.standby.drop_standby()
	files.standby.rebuild(base, None)
	assert files.content(files.standby.name) == backup
	files.standby.rebuild(base, final)
	assert files.content(files.standby.name) == former, "the older one is not what was asked for"
	files.execute("DELETE FROM tabSingles")
	files.standby.swap()
	assert files.content() == former
	for kept in (final, None):
		with pytest.raises(StepFailed, match="swapped in already"):
			files.standby.rebuild(base, kept)


def test_a_rebuilding_is_refused_in_the_middle_of_a_swap(files: Files, tmp_path: Path):
	base, final = tmp_path / "base", tmp_path / "final"
	load_from(files, base)
	files.standby.refresh(final)
	assert kill_at(files, 8, "swap"), "the fault must fire"
	with pytest.raises(StepFailed, match="a swap is under way"):
		files.standby.rebuild(base, final)


@pytest.mark.parametrize(
	("lost", "words"),
	[
		("final/final.json", r"it has no final\.json"),
		(f"final/{FINAL_BACKUP}", "is gone"),
		("base/dump.gz", r"dump\.gz is gone"),
	],
)
def test_what_cannot_be_shown_to_be_right_is_not_loaded(files: Files, tmp_path: Path, lost: str, words: str):
	base, final = tmp_path / "base", tmp_path / "final"
	load_from(files, base)
	files.standby.refresh(final)
	files.standby.drop_standby()
	(tmp_path / lost).unlink()
	with pytest.raises(StepFailed, match=words):
		files.standby.rebuild(base, final if lost.startswith("final") else None)
	assert not files.standby.is_loaded()


def test_another_final_backup_than_the_recorded_one_is_not_loaded(files: Files, tmp_path: Path):
	base, final = tmp_path / "base", tmp_path / "final"
	load_from(files, base)
	files.change()
	files.standby.refresh(final)
	files.standby.drop_standby()
	(final / FINAL_BACKUP).write_bytes((base / "dump.gz").read_bytes())
	with pytest.raises(StepFailed, match=r"tabItem, tabNew, views, triggers or indexes"):
		files.standby.rebuild(base, final)
	assert not files.standby.is_loaded()


def load_from(files: Files, base: Path) -> tuple[dict, list]:
	"""Load a verified backup; returns what it holds."""
	base.mkdir()
	backup = files.load()
	(base / "dump.gz").write_bytes(files.dump.read_bytes())
	(base / MANIFEST).write_text('{"files": [{"name": "dump.gz", "kind": "database"}]}')
	return backup


def test_two_swaps_at_once(files: Files):
	backup = files.load()
	files.change()
	former = files.content()
	with ThreadPoolExecutor(2) as pool:
		found = list(pool.map(lambda _: files.standby.swap()["moved"], range(2)))
	assert sorted(found) == [0, 1]
	assert files.content() == backup and files.content(files.standby.quarantine) == former


def test_a_log_that_was_left_behind_goes_into_the_right_file(tmp_path: Path):
	"""A process that was killed leaves rows in the write-ahead log: they belong to the quarantine."""
	files = Files(tmp_path / "bench", "WAL")
	backup = files.load()
	script = (
		"import os, sqlite3, sys\n"
		"connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
		"connection.execute(\"INSERT INTO tabItem VALUES ('late', 1, NULL)\")\n"
		"os.kill(os.getpid(), 9)\n"
	)
	done = subprocess.run([sys.executable, "-c", script, str(files.live)])
	assert done.returncode == -signal.SIGKILL
	assert files.live.with_name("shop.db-wal").stat().st_size > 0, "the fault fired"
	files.standby.swap()
	assert files.content() == backup
	with closing(sqlite3.connect(files.standby.quarantine)) as connection:
		assert connection.execute("SELECT name FROM tabItem WHERE name = 'late'").fetchall() == [("late",)]


def test_a_process_that_holds_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
	files = Files(tmp_path / "bench", "WAL")
	files.load()
	monkeypatch.setattr(exchange, "HOLD_SECONDS", 0.2)
	with closing(sqlite3.connect(files.live)) as holder:
		holder.execute("INSERT INTO tabSingles VALUES ('a', 'b', 'c')")
		with pytest.raises(StepFailed, match=f"process {os.getpid()}"):
			files.standby.swap()
		holder.commit()
	files.standby.swap()
	assert files.standby.observe_swapped().done


def test_names_that_are_taken(files: Files):
	Path(files.standby.name).write_text("precious")
	assert files.standby.check(1)[0].outcome == FAILED
	for refused in (files.load, files.standby.drop_standby):
		with pytest.raises(StepFailed, match="did not make it"):
			refused()
	assert Path(files.standby.name).read_text() == "precious"
	Path(files.standby.name).unlink()
	files.load()
	Path(files.standby.quarantine).write_text("precious")
	with pytest.raises(StepFailed, match="exists already"):
		files.standby.swap()
	with pytest.raises(StepFailed, match="did not make it"):
		files.standby.drop_quarantine()
	assert Path(files.standby.quarantine).read_text() == "precious"


@pytest.mark.parametrize(
	"damage", [lambda data: data[: len(data) // 2], lambda data: gzip.compress(b"no database" * 99)]
)
def test_a_damaged_dump(files: Files, damage):
	files.load()
	files.dump.write_bytes(damage(files.dump.read_bytes()))
	with pytest.raises(StepFailed):
		files.standby.load(files.dump)
	assert not files.standby.is_loaded()
	with pytest.raises(StepFailed, match="no complete backup"):
		files.standby.swap()


def test_rows_that_differ_are_found(files: Files):
	files.load()
	with closing(sqlite3.connect(files.standby.name)) as connection, connection:
		connection.execute("UPDATE tabSingles SET value = 'Hiver'")
	with pytest.raises(StepFailed, match="tabSingles has other rows"):
		files.standby.prove()


def test_room(files: Files):
	assert [check.outcome for check in files.standby.check(1 << 60)] == [FAILED]


def test_what_is_left(files: Files):
	bench = Bench(files.directory)
	files.load()
	found = list_kept(bench, [SITE])[0]
	assert [(each["purpose"], each["run"], each["name"]) for each in found] == [
		("standby", RUN, files.standby.name)
	]
	files.standby.swap()
	files.standby.drop_standby()
	files.standby.drop_quarantine()
	assert list_kept(bench, [SITE])[0] == []
	assert files.live.exists()
