"""The engine of this site's own database, in the table of engines."""

from __future__ import annotations

from pathlib import Path

import frappe

from press_deploy.engine.databases.engine import Engine
from press_deploy.engine.databases.engines import engine_of


def site_engine() -> Engine:
	"""Raises `Refused` where it is not in the table."""
	return engine_of(frappe.conf.db_type)


def site_directory() -> Path:
	return Path(frappe.get_site_path()).absolute()
