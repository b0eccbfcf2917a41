"""Backing the site of a practice bench up, and restoring its database.

Invariant: the present database is in quarantine before it is replaced, and a restore that is interrupted
leaves either database, whole.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from press_deploy.demo import framework


def backup(site: str, directory: str, with_files: bool = True, with_database: bool = True) -> dict[str, Any]:
	"""Write database, configuration and files into `directory`, readable by their owner alone."""
	os.umask(0o077)
	target = Path(directory)
	database, config = target / "database.db.gz", target / "site_config.json"
	_dump(site, database)
	shutil.copyfile(framework.sites_directory() / site / "site_config.json", config)
	files = [{"kind": "database", "path": str(database)}, {"kind": "config", "path": str(config)}]
	for kind in ("public", "private") if with_files else ():
		archive = target / f"{kind}-files.tar"
		with tarfile.open(archive, "w") as tar:
			tar.add(framework.sites_directory() / site / kind / "files", f"{kind}/files")
		files.append({"kind": f"{kind}_files", "path": str(archive)})
	return {"files": files, "partial": False}


def restore(site: str, database: str, quarantine: str) -> dict[str, Any]:
	"""Replace the database by the dump `database`; the present one is kept as `quarantine` first."""
	os.umask(0o077)
	kept = Path(quarantine)
	if not kept.exists():
		part = kept.with_name(f"{kept.name}.part")
		_dump(site, part)
		part.replace(kept)
	with tempfile.TemporaryDirectory() as place, framework.connect(site) as live:
		unpacked = Path(place) / "database.db"
		with gzip.open(database) as packed, unpacked.open("wb") as output:
			shutil.copyfileobj(packed, output)
		with closing(sqlite3.connect(unpacked)) as source:
			_check(source)
			source.backup(live)
		return {"tables": _check(live)}


def _dump(site: str, target: Path) -> None:
	"""A copy of the live database as of one moment, compressed."""
	with tempfile.TemporaryDirectory(dir=target.parent) as place:
		copy = Path(place) / "database.db"
		with framework.connect(site) as live, closing(sqlite3.connect(copy)) as output:
			live.backup(output)
		with copy.open("rb") as source, gzip.open(target, "wb") as packed:
			shutil.copyfileobj(source, packed)


def _check(database: sqlite3.Connection) -> int:
	"""The number of tables of a database that is in order."""
	problem = database.execute("PRAGMA integrity_check").fetchone()[0]
	if problem != "ok":
		raise ValueError(f"the database is damaged: {problem}")
	return database.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
