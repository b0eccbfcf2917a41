"""Builds a practice bench in an empty directory.

Invariant: the commits of its app are the same on every machine; a directory that holds something else is
refused before anything is written.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import venv
from contextlib import closing
from pathlib import Path

from press_deploy.demo import assets, packages
from press_deploy.demo.places import SITE, TEST_SITE, Places
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.demo.releases import clone, make_origin
from press_deploy.engine.bench.allowances import BOOT_CHECK, CONFIG_KEYS, CONSOLE_TESTS, COPY_SOURCES, SITES
from press_deploy.engine.ground.errors import InputError

SCHEMA = """
CREATE TABLE `tabError Log` (name TEXT PRIMARY KEY, creation TEXT, method TEXT, error TEXT);
CREATE TABLE `tabPatch Log` (patch TEXT PRIMARY KEY);
CREATE TABLE `tabDocType` (name TEXT PRIMARY KEY, module TEXT, custom INTEGER, issingle INTEGER, is_virtual INTEGER);
CREATE TABLE `tabSingles` (doctype TEXT, field TEXT, value TEXT);
CREATE TABLE `__Auth` (doctype TEXT, name TEXT, fieldname TEXT, password TEXT, encrypted INTEGER);
CREATE TABLE `__global_search` (doctype TEXT, name TEXT, content TEXT);
CREATE TABLE `tabModule Def` (name TEXT PRIMARY KEY, app_name TEXT);
CREATE TABLE `tabNote` (name TEXT PRIMARY KEY, content TEXT);
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL);
CREATE TABLE jobs (
	id INTEGER PRIMARY KEY,
	function TEXT NOT NULL,
	arguments TEXT NOT NULL DEFAULT '{}',
	status TEXT NOT NULL DEFAULT 'queued',
	result TEXT
);
INSERT INTO `tabDocType` VALUES ('Note', 'Shop', 0, 0, 0);
INSERT INTO `tabModule Def` VALUES ('Shop', 'shop');
INSERT INTO `tabNote` VALUES ('first', 'The rope is sold by the metre.'), ('second', 'Anchors are heavy.');
INSERT INTO items (name, price) VALUES ('Anchor', 120.0), ('Rope, 10 m', 14.5), ('Lantern', 39.9);
"""

# Whoever practises here owns the bench.
ALLOWED = {
	CONSOLE_TESTS: True,
	BOOT_CHECK: True,
	COPY_SOURCES: ["/"],
	CONFIG_KEYS: ["server_script_enabled"],
	SITES: [SITE, TEST_SITE],
}


def build_bench(directory: Path | str) -> PracticeBench:
	"""Make a practice bench with two sites and the app `shop` at `v1`; its services are not started."""
	places = Places.below(directory)
	if places.directory.is_dir() and any(places.directory.iterdir()):
		remedy = "name a new or empty directory"
		raise InputError("directory", str(places.directory), "it is not empty and no practice bench", remedy)
	for name in ("apps", "sites", "logs", "config"):
		(places.bench / name).mkdir(parents=True)
	places.safe.mkdir(mode=0o700)
	places.origin.parent.mkdir()
	_make_environment(places.bench / "env")
	make_origin(places.origin)
	clone(places.origin, places.app)
	packages.install(places)
	assets.build_bundles(places.bench, ["shop"])
	(places.bench / "sites" / "apps.txt").write_text("shop\n")
	places.common_config.write_text(json.dumps({"default_site": SITE, **ALLOWED}, indent=1))
	for site in (SITE, TEST_SITE):
		_make_site(places.bench / "sites" / site)
	bench = PracticeBench(places)
	bench.configure()
	return bench


def open_or_build(directory: Path | str) -> PracticeBench:
	"""The practice bench that is in a directory already, or a new one."""
	places = Places.below(directory)
	return PracticeBench(places) if places.common_config.is_file() else build_bench(directory)


def _make_environment(directory: Path) -> None:
	"""The bench's own Python: what is installed here can be seen there, what is installed there stays there."""
	venv.EnvBuilder(symlinks=True).create(directory)
	own = next(directory.glob("lib/python*/site-packages"))
	ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
	lines = [f"import site; site.addsitedir({path!r})\n" for path in ours]
	(own / "practice_bench.pth").write_text("".join(lines))


def _make_site(site: Path) -> None:
	for name in ("db", "logs", "locks", "public/files", "private/files"):
		(site / name).mkdir(parents=True)
	database = site.name.partition(".")[0]
	config = site / "site_config.json"
	config.write_text(json.dumps({"db_name": database, "db_type": "sqlite"}, indent=1))
	config.chmod(0o600)
	(site / "public" / "files" / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>\n")
	(site / "private" / "files" / "invoice.txt").write_text("1 anchor: 120.00\n")
	with closing(sqlite3.connect(site / "db" / f"{database}.db")) as connection:
		connection.executescript(SCHEMA)
