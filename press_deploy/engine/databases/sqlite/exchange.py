"""One SQLite file takes another's place, and that one gets a name of its own.

Invariant: under the site's name there is at every instant the former file or the new one, whole; and no
write-ahead log is beside it that belongs to the other. A file is known by its inode, which a rename keeps.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.waiting import wait_until

# What SQLite keeps beside a file that is in use.
COMPANIONS = ("-wal", "-shm", "-journal")
HOLD_SECONDS = 10.0
POLL_SECONDS = 0.05


def identify(path: Path) -> int | None:
	"""The inode of a file; None where there is none."""
	try:
		return path.stat().st_ino
	except FileNotFoundError:
		return None


def exchange(live: Path, source: Path, aside: Path, wanted: int, present: int, doing: str) -> int:
	"""Put the file `source` into the place of `live`, and what is there to `aside`; returns how many moved.

	`wanted` and `present` are the inodes of the two before the first call: they tell how far it came. All
	are in one directory. Raises `StepFailed`, `OSError` and `sqlite3.Error`.
	"""
	if identify(live) == wanted:
		# Turned round before the rename: a second name of the live file is all there is to take back.
		if identify(source) == wanted:
			source.unlink()
			durable.sync_directory(live.parent)
		return 0
	if identify(live) != present or identify(source) != wanted or identify(aside) not in (None, present):
		raise StepFailed(
			doing,
			str(live),
			f"{live.name}, {source.name} and {aside.name} are not the files that were noted",
			"somebody replaced them: look into all three, and put the right one in place by hand",
		)
	settle(live, doing)
	settle(source, doing)
	if identify(aside) is None:
		os.link(live, aside)
		durable.sync_directory(live.parent)
	source.chmod(live.stat().st_mode & 0o7777)
	os.replace(source, live)
	durable.sync_directory(live.parent)
	return 1


def settle(path: Path, doing: str) -> None:
	"""Wait until everything is in the file itself, and nobody has it open with a log.

	A log that outlives the exchange would be played into the wrong file, or removed from beside it by the
	process that still has the former one open. Raises `StepFailed` with the processes that have it open.
	"""
	if not wait_until(lambda: _is_settled(path), HOLD_SECONDS, poll_seconds=POLL_SECONDS):
		who = ", ".join(find_holders(path)) or "a process that can't be seen"
		raise StepFailed(doing, str(path), f"{who} still has it open", "end that process, then try again")


def find_holders(path: Path) -> list[str]:
	"""The processes that have a file open, as far as this user may see them."""
	wanted, found = path.stat(), []
	for process in psutil.process_iter(["name"]):
		try:
			opened = [entry.stat() for entry in os.scandir(f"/proc/{process.pid}/fd") if entry.is_symlink()]
		except OSError:
			# It is another user's, or has ended.
			continue
		if any((each.st_ino, each.st_dev) == (wanted.st_ino, wanted.st_dev) for each in opened):
			found.append(f"{process.info['name']} (process {process.pid})")
	return found


def _is_settled(path: Path) -> bool:
	with closing(sqlite3.connect(path, timeout=POLL_SECONDS)) as connection:
		try:
			# Reading plays back what a crash left; the last one to close a file removes its log.
			connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
			connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
		except sqlite3.OperationalError:
			return False
	return not any(path.with_name(path.name + suffix).exists() for suffix in COMPANIONS)
