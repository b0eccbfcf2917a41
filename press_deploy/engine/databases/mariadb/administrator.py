"""The administrator of the server that a site on MariaDB is on."""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.credentials import find_login
from press_deploy.engine.databases.mariadb.server import Server


def find_administrator(config: dict[str, Any]) -> Server | None:
	"""None where none is named. `config` is the site's merged configuration.

	Raises `Refused` when what is named can't be used.
	"""
	site, login = Server.of_site(config), find_login(config, "root")
	return site.as_user(*login) if login else None
