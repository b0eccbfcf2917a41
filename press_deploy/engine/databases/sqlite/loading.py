"""How the file of a site on SQLite is put back where there is no standby: the unpacked copy takes its place, whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.dumps.dump_file import unpack
from press_deploy.engine.databases.sqlite.file_check import check_file
from press_deploy.engine.databases.sqlite.place import file_in
from press_deploy.engine.ground import durable

REPLACES_AT_ONCE = False
LOCK_WAIT_SECONDS = 60


def why_no_import(config: dict[str, Any]) -> str | None:
	return None


def replace(config: dict[str, Any], site: Path, dump: Path, session: Any) -> int:
	live = file_in(site, config["db_name"])
	new = live.with_name(f"{live.name}.restored")
	with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
		file.writelines(unpack(dump))
		file.flush()
		os.fsync(file.fileno())
	new.chmod(live.stat().st_mode)
	session.close()
	# The old write-ahead log must not be played into the new file.
	with closing(sqlite3.connect(live, timeout=LOCK_WAIT_SECONDS)) as connection:
		connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
	for suffix in ("-wal", "-shm"):
		live.with_name(live.name + suffix).unlink(missing_ok=True)
	new.replace(live)
	durable.sync_directory(live.parent)
	return len(check_file(live))
