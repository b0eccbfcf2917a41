"""Keeps the test site as it was before the suite, so that a suite that was killed leaves nothing half-changed.

python tests/site/keep_site.py begin BENCH SITE   put back what a killed suite left, or keep what is there
python tests/site/keep_site.py end BENCH SITE     the site is whole: forget what was kept
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

KEPT = "before-in-site-suite"


def begin(site: Path, common: dict) -> None:
	kept = site / KEPT
	if kept.exists():
		shutil.copy2(kept / "site_config.json", site / "site_config.json")
		put_back(site, common, kept)
		print(f"In-site suite: an earlier one had not ended well; {site.name} is as it was before that.")
		return
	part = kept.with_suffix(".part")
	shutil.rmtree(part, ignore_errors=True)
	part.mkdir(mode=0o700)
	shutil.copy2(site / "site_config.json", part)
	keep(site, common, part)
	part.rename(kept)


def keep(site: Path, common: dict, directory: Path) -> None:
	config = json.loads((site / "site_config.json").read_text())
	if config.get("db_type") == "sqlite":
		copy_sqlite(find_sqlite(site, config), directory / "database.db")
		return
	with (directory / "database.sql").open("wb") as dump:
		# With --add-drop-database, tables that the suite adds go when it is read.
		options = ("--single-transaction", "--add-drop-database", "--databases")
		run_client("mariadb-dump", common | config, *options, config["db_name"], stdout=dump)


def put_back(site: Path, common: dict, directory: Path) -> None:
	config = json.loads((site / "site_config.json").read_text())
	if config.get("db_type") == "sqlite":
		copy_sqlite(directory / "database.db", find_sqlite(site, config))
		return
	with (directory / "database.sql").open("rb") as dump:
		run_client("mariadb", common | config, stdin=dump)


def find_sqlite(site: Path, config: dict) -> Path:
	return site / "db" / f"{config['db_name']}.db"


def copy_sqlite(source: Path, target: Path) -> None:
	with sqlite3.connect(source) as there, sqlite3.connect(target) as here:
		there.backup(here)


def run_client(program: str, config: dict, *arguments: str, **streams: object) -> None:
	where = (
		[f"--socket={config['db_socket']}"]
		if config.get("db_socket")
		else [
			f"--host={config.get('db_host') or '127.0.0.1'}",
			f"--port={config.get('db_port') or 3306}",
		]
	)
	user = config.get("db_user") or config["db_name"]
	password = {"MYSQL_PWD": config["db_password"]}
	subprocess.run(
		[program, *where, f"--user={user}", *arguments], env=os.environ | password, check=True, **streams
	)


if __name__ == "__main__":
	action, bench, name = sys.argv[1:]
	sites = Path(bench) / "sites"
	if action == "begin":
		begin(sites / name, json.loads((sites / "common_site_config.json").read_text()))
	else:
		shutil.rmtree(sites / name / KEPT)
