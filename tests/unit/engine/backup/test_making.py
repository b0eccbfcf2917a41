"""Which method backs a database up, and why; and what is refused."""

from __future__ import annotations

import pytest

from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.databases.mariadb import dumping
from press_deploy.engine.databases.mariadb.dumping import PHYSICAL_FROM_BYTES, choose_method
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import Refused

MARIADB = {"db_name": "shop", "db_type": "mariadb"}
LARGE, SMALL = PHYSICAL_FROM_BYTES, PHYSICAL_FROM_BYTES - 1


@pytest.fixture
def machine(monkeypatch):
	"""What the machine offers: set `why` to a reason against the physical method, None for none."""

	class Machine:
		why: str | None = None
		programs = frozenset({"mariadb-dump"})

	monkeypatch.setattr(dumping.physical, "why_not", lambda server, database: Machine.why)
	monkeypatch.setattr(dumping, "find_administrator", lambda config: Server("root"))
	monkeypatch.setattr(dumping.shutil, "which", lambda name: name if name in Machine.programs else None)
	return Machine


@pytest.mark.parametrize(
	("size", "why", "programs", "method", "reason"),
	[
		(LARGE, None, {"mariadb-dump"}, "physical", "fastest"),
		(SMALL, None, {"mariadb-dump"}, "stream", "less than 500 MB"),
		(None, None, {"mariadb-dump"}, "stream", "less than 500 MB"),
		(LARGE, "the server is remote", {"mariadb-dump"}, "stream", "the server is remote"),
		(LARGE, "the server is remote", set(), "frappe", "mariadb-dump was not found"),
	],
)
def test_the_method_follows_from_what_there_is(machine, size, why, programs, method, reason):
	machine.why, machine.programs = why, programs
	chosen = choose_method("auto", MARIADB, size)
	assert (chosen.name, reason in chosen.reason) == (method, True), chosen


def test_what_the_plan_says_wins_over_the_size(machine):
	assert choose_method("physical", MARIADB, SMALL).name == "physical"
	assert choose_method("frappe", MARIADB, LARGE).name == "frappe"
	assert choose_method("stream", MARIADB, LARGE).name == "stream"


@pytest.mark.parametrize("wanted", ["physical", "stream"])
def test_what_can_t_be_done_is_refused_with_the_reason(machine, wanted):
	machine.why, machine.programs = "the server is remote", frozenset()
	with pytest.raises(Refused, match="set the method to auto") as refused:
		choose_method(wanted, MARIADB, LARGE)
	assert "remote" in refused.value.why or "mariadb-dump" in refused.value.why


def test_the_file_of_sqlite_is_frappe_s():
	config, sqlite = {"db_name": "shop", "db_type": "sqlite"}, engine_of("sqlite").dumping
	assert sqlite.choose_method("auto", config).name == "frappe"
	with pytest.raises(Refused, match="sqlite"):
		sqlite.choose_method("physical", config)


def test_without_an_administrator_there_is_no_physical_copy(machine, monkeypatch):
	monkeypatch.setattr(dumping, "find_administrator", lambda config: None)
	assert "no administrator" in choose_method("auto", MARIADB, LARGE).reason


@pytest.mark.parametrize("wanted", ["auto", "physical"])
def test_what_a_site_is_to_import_is_a_dump(machine, wanted):
	chosen = choose_method(wanted, MARIADB, LARGE, as_dump=True)
	assert (chosen.name, chosen.reason) == ("stream", "no physical copy: the site is to import it")
	assert choose_method("frappe", MARIADB, LARGE, as_dump=True).name == "frappe"
