"""Rung 5: a site is started on its standby database, in private, and answers.

Invariant: the standby is reached by the site's own user, whose right to it ends with the test; nothing of the
bench's own configuration changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.administrator import find_administrator
from press_deploy.engine.mariadb.server import quote
from press_deploy.engine.preview import open_preview
from press_deploy.engine.web import GOOD

if TYPE_CHECKING:
	from press_deploy.engine.context import Context

PATHS = ("/api/method/ping", "/login")
ANSWER_SECONDS, CONSOLE_SECONDS = 60, 300


def boot(context: Context, site: str) -> dict[str, Any]:
	"""Start the site on its standby database and ask it. Returns {"answers", "console"}. Raises `StepFailed`."""
	standby, directory = context.standbys[site], context.run.path / "boot"
	config = context.bench.read_config(site)
	overrides = {"db_name": Path(standby.name).stem, "db_user": config.get("db_user") or config["db_name"]}
	with (
		_right_to_read(config, standby.name),
		open_preview(context.bench, [site], directory, context.programs, context.web, overrides) as address,
	):
		answers = {path: _ask(context, site, path, address) for path in PATHS}
		return {"answers": answers, "console": _check_console(context, site, directory / "sites")}


def _ask(context: Context, site: str, path: str, address: str) -> int:
	answer = context.web.ask(site, path, address=address, timeout=ANSWER_SECONDS)
	if answer.kind != GOOD:
		raise StepFailed(
			"Starting",
			f"{site} on its standby database",
			f"{path} answers {answer.status or answer.kind}",
			"see the step's log; the backup restores, but what it restores does not serve",
		)
	return answer.status


def _check_console(context: Context, site: str, sites: Path) -> str:
	code = context.spec.backup.boot_check
	if not code:
		return "the plan names none"
	found = context.site_processes.call(
		"console",
		site,
		timeout=CONSOLE_SECONDS,
		sites_directory=sites,
		code=code,
		timeout_seconds=CONSOLE_SECONDS,
	)
	if not found["passed"]:
		raise StepFailed(
			"Checking",
			f"{site} on its standby database",
			found["error"],
			"see the plan's check and the step's log",
		)
	return "passed"


@contextmanager
def _right_to_read(config: dict[str, Any], database: str) -> Iterator[None]:
	"""Let the site's own user into the standby, for as long as the block lasts."""
	if (config.get("db_type") or "mariadb") != "mariadb":
		yield
		return
	administrator = find_administrator(config)
	user = config.get("db_user") or config["db_name"]
	try:
		with administrator.session() as cursor:
			cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (user,))
			hosts = [row[0] for row in cursor.fetchall()]
			# In a grant, _ and % stand for any character unless escaped.
			place = quote(database.replace("_", "\\_").replace("%", "\\%%"))
			_each(cursor, f"GRANT ALL PRIVILEGES ON {place}.* TO %s@%s", user, hosts)
		try:
			yield
		finally:
			with administrator.session() as cursor:
				_each(cursor, f"REVOKE ALL PRIVILEGES ON {place}.* FROM %s@%s", user, hosts)
	except pymysql.Error as error:
		why = str(error.args[-1])
		raise StepFailed(
			"Giving", f"{user} the right to {database}", why, "see the administrator's rights"
		) from None


def _each(cursor: Any, statement: str, user: str, hosts: list[str]) -> None:
	for host in hosts:
		cursor.execute(statement, (user, host))
