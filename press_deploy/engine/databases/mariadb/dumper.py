"""Who dumps a site's database: its own user, or the administrator where that one may not read everything.

Invariant: whoever is chosen was seen to read every object; where nobody can, nothing is dumped. The site's own user
comes first: no more rights are used than are needed.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.mariadb.administrator import find_administrator
from press_deploy.engine.databases.mariadb.foreign_objects import Lack, find_not_in_frappes, find_unreadable
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import Refused

DOING = "Backing up"


def choose_dumper(config: dict[str, Any]) -> Server:
	"""The account that dumps the database of a site with this configuration. Raises `Refused` and `StepFailed`."""
	own, database = Server.of_site(config), config["db_name"]
	lack = find_unreadable(own, database)
	if not lack:
		return own
	administrator = find_administrator(config)
	if administrator is None:
		why = (
			f"the site's own user {own.user} can't read {lack}, and no administrator of the database is named"
		)
		raise _refuse(database, why, _say_remedy(lack, f"name the administrator ({WHERE_NAMED})"))
	if more := find_unreadable(administrator, database):
		why = f"neither the site's own user {own.user} nor {administrator.user} can read {more}"
		raise _refuse(database, why, _say_remedy(more, "name an administrator who can"))
	return administrator


def require_frappes_dump(config: dict[str, Any]) -> None:
	"""Raise `Refused` where Frappe's own backup, made as the site's own user, would not hold everything."""
	own, database = Server.of_site(config), config["db_name"]
	if left_out := find_not_in_frappes(own, database):
		why = f"Frappe's own backup leaves out what is no table, view or trigger: {Lack(tuple(left_out))}"
		raise _refuse(
			database, why, "set the backup's method to auto, and install mariadb-dump where it is not"
		)
	if lack := find_unreadable(own, database):
		why = f"the site's own user {own.user}, who makes Frappe's own backup, can't read {lack}"
		raise _refuse(database, why, _say_remedy(lack, "set the backup's method to auto"))


def _say_remedy(lack: Lack, other: str) -> str:
	if lack.statements:
		return f"{other}, or let the server's administrator type: {' '.join(lack.statements)}"
	return f"mend it, or drop it if nobody needs it; or {other}"


def _refuse(database: str, why: str, remedy: str) -> Refused:
	return Refused(DOING, f"database {database}", why, remedy)
