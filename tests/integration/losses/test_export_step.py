"""The step that exports, while users are at work again."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.export_losses import ExportLosses, open_all_former_data
from press_deploy.engine.steps.rollback_database import RollbackDatabase
from press_deploy.engine.steps.ways_back import SWAP
from tests.support.databases import SITE, end_connections, make_standby

NOTE = "CREATE TABLE `tabNote` (name VARCHAR(140) PRIMARY KEY, t TEXT, license_key TEXT)"


@pytest.fixture
def swapped(server, tmp_path):
	"""What the step sees of a run: live is the backup again, and the quarantine has one document more."""
	standby = make_standby(tmp_path, server, "of_step")
	with server.session() as cursor, ExitStack() as stack:
		for database in (standby.live, standby.quarantine):
			cursor.execute(f"CREATE DATABASE `{database}`")
			stack.callback(cursor.execute, f"DROP DATABASE `{database}`")
			cursor.execute(f"USE `{database}`")
			cursor.execute(NOTE)
		cursor.execute("INSERT INTO `tabNote` VALUES ('lost', 'x', 'K')")
		databases = Databases(None)
		databases.standbys, databases.sites = {SITE: standby}, {}
		stack.callback(databases.close)
		notes, lines = [], []
		ways = {RollbackDatabase.name: {"sites": {SITE: {"how": SWAP}}}}
		yield SimpleNamespace(
			state=SimpleNamespace(before=lambda step: ways.get(step, {})),
			databases=databases,
			directory=SimpleNamespace(
				losses=tmp_path / "losses",
				backup_of=lambda site: tmp_path,
				final_backup_of=lambda site: tmp_path,
			),
			journal=SimpleNamespace(append=lambda event, data: lines.append(event)),
			note=notes.append,
			log=notes.append,
			notes=notes,
			execute=lambda statement: cursor.execute(statement),
		)


def test_what_is_left_out_is_named_in_the_result(swapped):
	open_all_former_data(swapped, swapped.databases)
	result = ExportLosses(swapped.databases).apply(swapped, {})
	assert result["files"] == 2 and result["left_out"] == {SITE: ["tabNote.license_key"]}
	assert "tabNote.license_key" in result["found"] and not swapped.notes


@pytest.mark.parametrize("side", ["live", "quarantine"])
def test_a_table_that_a_user_alters_at_once_is_listed_as_it_is_now(swapped, side):
	open_all_former_data(swapped, swapped.databases)
	swapped.execute(f"USE `{getattr(swapped.databases.standbys[SITE], side)}`")
	swapped.execute("ALTER TABLE `tabNote` ADD COLUMN added INT FIRST, ALGORITHM=COPY")
	result = ExportLosses(swapped.databases).apply(swapped, {})
	assert any("was altered meanwhile" in note for note in swapped.notes), "the fault never fired"
	assert result["files"] == 2 and "1 Note created" in result["found"]
	assert '"lost"' in (swapped.directory.losses / SITE / "losses.json").read_text()


def test_a_moment_whose_connection_was_ended_is_listed_as_it_is_now(swapped, server):
	open_all_former_data(swapped, swapped.databases)
	# Our own look is the only session that holds a transaction.
	end_connections(server, "ID IN (SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX)")
	result = ExportLosses(swapped.databases).apply(swapped, {})
	assert any("was lost, and with it the moment" in note for note in swapped.notes), "the fault never fired"
	assert any("since it is open" in note for note in swapped.notes)
	assert result["files"] == 2 and "1 Note created" in result["found"]
