"""What the tests of the site process share.

They need a bench: FRAPPE_BENCH (default ~/frappe-bench) and in PRESS_DEPLOY_TEST_SITE the name of a site
of it that may be changed. Without these every test here is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.site.real_site import Site

BENCH = Path(os.environ.get("FRAPPE_BENCH", "~/frappe-bench")).expanduser()
SITE = os.environ.get("PRESS_DEPLOY_TEST_SITE", "")


@pytest.fixture
def site() -> Site:
	if not SITE or not (BENCH / "sites" / SITE / "site_config.json").is_file():
		pytest.skip("no site to test on: set FRAPPE_BENCH and PRESS_DEPLOY_TEST_SITE")
	return Site(BENCH, SITE)


@pytest.fixture
def todo(site: Site):
	"""Counts, makes and finally removes the ToDos of a test."""
	mark = "press_deploy site test"

	class ToDos:
		def add(self) -> None:
			site.execute(f"frappe.get_doc(dict(doctype='ToDo', description={mark!r})).insert()")

		def count(self) -> int:
			return site.execute(f"result = frappe.db.count('ToDo', {{'description': ('like', '%{mark}%')}})")

		def clear(self) -> None:
			site.execute(f"frappe.db.delete('ToDo', {{'description': ('like', '%{mark}%')}})")

	todos = ToDos()
	todos.mark = mark
	todos.clear()
	yield todos
	todos.clear()
