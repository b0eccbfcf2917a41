"""Where a site's SQLite file lies, and how names stand in statements about it."""

from __future__ import annotations

from pathlib import Path

from press_deploy.engine.bench.bench import Bench

# What a refresh of the standby leaves of a site's file, in the directory of the final backup.
FINAL_BACKUP = "final.sqlite.zst"


def directory_in(site: Path) -> Path:
	"""Where Frappe has the file, and where its standby lies beside it; `site` is the site's directory."""
	return site / "db"


def file_in(site: Path, database: str) -> Path:
	return directory_in(site) / f"{database}.db"


def file_of(bench: Bench, site: str) -> Path:
	"""Raises `KeyError` where the site's configuration names no database."""
	return file_in(bench.site(site), bench.read_config(site)["db_name"])


def quote(name: str) -> str:
	"""A table's or column's name as it stands in a statement."""
	return f"`{name.replace('`', '``')}`"
