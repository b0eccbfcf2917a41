"""Can all of a site's database be read: views, triggers, routines and events that somebody else made, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from press_deploy.engine.backup.dumper import choose_dumper, require_frappes_dump
from press_deploy.engine.backup.making import Method
from press_deploy.engine.databases.mariadb.foreign_objects import find_unreadable
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.errors import DeployError


def check_objects(site: str, method: Method, config: dict[str, Any]) -> Iterator[Check]:
	"""`config` is the configuration of a site on MariaDB, which `method` is to back up."""
	name = f"Objects of the database: {site}"
	own = Server.of_site(config)
	try:
		if method.name == "physical":
			# The administrator's files, and his look at what is not in them.
			return
		if method.name == "frappe":
			require_frappes_dump(config)
			yield ok(name, f"{own.user} can read all of them")
			return
		dumper = choose_dumper(config)
		if dumper == own:
			yield ok(name, f"{own.user} can read all of them")
		else:
			hidden = find_unreadable(own, config["db_name"])
			yield ok(name, f"{dumper.user} dumps them: {own.user} can't read {hidden}")
	except DeployError as error:
		yield fail(name, error.why, error.remedy)
