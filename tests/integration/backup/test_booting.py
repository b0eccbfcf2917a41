"""What a killed start of a site on its standby left, without a site: its user, and its private directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from press_deploy.engine.backup import booting
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.standby_login import let_in
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.backup.conftest import MakeDatabase


def list_hosts(server: Server, user: str) -> list[str]:
	with server.session() as cursor:
		cursor.execute("SELECT host FROM mysql.user WHERE user = %s ORDER BY host", (user,))
		return [host for (host,) in cursor.fetchall()]


def test_the_user_of_a_killed_start_is_gone_from_all_hosts(
	server: Server, make_database: MakeDatabase
) -> None:
	live, standby = make_database(), make_database()
	config = {"db_name": live, "db_socket": server.socket, "root_login": server.user, "root_password": ""}
	with server.session() as cursor:
		cursor.execute("CREATE USER %s@localhost", (live,))
		try:
			for host in ("localhost", "10.0.0.1"):
				cursor.execute("CREATE USER %s@%s IDENTIFIED BY 'of the killed one'", (standby, host))
			with let_in(server, config, standby) as login:
				assert list_hosts(server, standby) == ["localhost"]
				server.as_user(login["db_user"], login["db_password"]).connect(standby).close()
			assert not list_hosts(server, standby)
		finally:
			cursor.execute("DROP USER %s@localhost", (live,))


def test_the_directory_of_a_killed_start_is_removed_by_the_next_one_of_any_run(tmp_path: Path) -> None:
	apps, other = tmp_path / "bench" / "apps", tmp_path / "runs" / "1" / "backup"
	for directory in (apps, other):
		directory.mkdir(parents=True)
		(directory / "kept").touch()
	lefts = [tmp_path / "runs" / run / "boot" for run in ("1", "2")]
	for left in lefts:
		(left / "sites").mkdir(parents=True)
		(left / "sites" / "site_config.json").write_text('{"db_password": "geheim"}')
		os.symlink(apps, left / "apps")
	other_run = booting.Booting(None, tmp_path / "runs" / "2", None, None, None)
	with pytest.raises(StepFailed, match="administrator is not known"):
		other_run.boot("a.example", None, "")
	assert not any(left.exists() for left in lefts)
	assert (apps / "kept").exists() and (other / "kept").exists()
