"""A site with 5,000 tables, on a server of its own: nobody waits for their removal."""

from __future__ import annotations

import time

from tests.support.databases import (
	RestartableServer,
	count_tables,
	execute,
	make_database,
	make_standby,
	private_directory,
)

COUNT = 5000
HANG_SECONDS = 90


def test_five_thousand_tables(tmp_path):
	tables = [f"CREATE TABLE `tab {number}` (id INT PRIMARY KEY)" for number in range(COUNT)]
	rows = [f"INSERT INTO `tab {number}` VALUES ({number})" for number in (0, 1, 499, 500, 501, COUNT - 1)]
	with private_directory() as directory:
		restartable = RestartableServer(directory)
		try:
			server = restartable.server
			make_database(server, "many", *tables)
			standby = make_standby(tmp_path, server, "many")

			def fill(server, database):
				execute(server, database, *tables, *rows)
				return {}

			standby.load_by(fill)
			begun = time.monotonic()
			assert standby.swap()["moved"] == 2 * COUNT
			assert time.monotonic() - begun < HANG_SECONDS
			assert standby.observe_swapped().done
			assert count_tables(server, "many") == count_tables(server, standby.quarantine) == COUNT
			assert execute(server, "many", "SELECT id FROM `tab 501`") == [(501,)]
			assert execute(server, standby.quarantine, "SELECT id FROM `tab 501`") == []
		finally:
			restartable.kill()
