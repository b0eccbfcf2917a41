"""What Frappe's test runner changes on a site and a killed run leaves changed: scheduler, allow_tests.

Invariant: both come back exactly as they were, absence included. Their values are on the disk before the
first test starts, so that the next process repairs what a killed one left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import frappe

from press_deploy.engine.ground import durable

MARKER = "press_deploy_tests.json"
_SCHEDULER = ("System Settings", "enable_scheduler")


def repair_tests() -> dict:
	"""Put back what a killed test run left changed. Returns {"repaired": whether there was something}."""
	marker = _marker()
	if not marker.exists():
		return {"repaired": False}
	_restore(json.loads(marker.read_text()))
	marker.unlink()
	durable.sync_directory(marker.parent)
	return {"repaired": True}


@contextmanager
def settings_kept() -> Iterator[None]:
	"""Tests run in this block, allowed in this process only; afterwards the settings are as before."""
	repair_tests()
	durable.write_json(_marker(), {"scheduler": _read_scheduler(), "allow_tests": _read_allow_tests()})
	frappe.local.conf.allow_tests = 1
	try:
		yield
	finally:
		repair_tests()


def _marker() -> Path:
	return Path(frappe.get_site_path("private", MARKER)).absolute()


def _restore(previous: dict[str, list]) -> None:
	# A list is [value], or [] where there was none.
	if _read_scheduler() != previous["scheduler"]:
		frappe.db.sql("DELETE FROM tabSingles WHERE doctype = %s AND field = %s", _SCHEDULER)
		for value in previous["scheduler"]:
			frappe.db.sql(
				"INSERT INTO tabSingles (doctype, field, value) VALUES (%s, %s, %s)", (*_SCHEDULER, value)
			)
		frappe.db.commit()
		frappe.clear_document_cache("System Settings", "System Settings")
		frappe.db.value_cache.clear()
	if _read_allow_tests() != previous["allow_tests"]:
		_write_allow_tests(previous["allow_tests"])


def _read_scheduler() -> list[str]:
	rows = frappe.db.sql("SELECT value FROM tabSingles WHERE doctype = %s AND field = %s", _SCHEDULER)
	return [value for (value,) in rows]


def _read_allow_tests() -> list[Any]:
	config = _read_site_config()
	return [config["allow_tests"]] if "allow_tests" in config else []


def _write_allow_tests(previous: list[Any]) -> None:
	config = {key: value for key, value in _read_site_config().items() if key != "allow_tests"}
	path = _site_config()
	durable.write_json(
		path, {**config, **({"allow_tests": previous[0]} if previous else {})}, path.stat().st_mode
	)


def _read_site_config() -> dict[str, Any]:
	return json.loads(_site_config().read_text())


def _site_config() -> Path:
	return Path(frappe.get_site_path("site_config.json")).absolute()
