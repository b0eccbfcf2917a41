"""Values that a dump changes: told as what they are, before the site is closed and whenever a standby differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from press_deploy.engine.ground.checks import FAILED
from press_deploy.engine.ground.errors import StepFailed
from tests.integration.standby.conftest import Site

WORDS = "no dump carries"
# What is added, why it is refused, and what mends it; a date is found where a table differs, not before.
VALUES = {
	"float": (
		"ADD value FLOAT DEFAULT 0.12345678",
		"value has numbers of which a dump keeps six digits",
		"ALTER TABLE odd MODIFY value DOUBLE",
	),
	"enum": (
		"ADD value ENUM('a', '') DEFAULT 'a'",
		"value has values that are none of its members",
		"UPDATE odd SET value = 'a'",
	),
	"date": ("ADD value DATETIME", "value has days that no calendar has", "UPDATE odd SET value = NULL"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_it_is_told_why(site: Site, tmp_path: Path, kind: str):
	column, why, mend = VALUES[kind]
	modes = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"
	site.execute(
		"CREATE TABLE odd (id INT PRIMARY KEY)",
		f"ALTER TABLE odd {column}",
		"INSERT INTO odd (id) VALUES (1)",
	)
	if kind != "float":
		site.execute(modes, f"UPDATE odd SET value = {'0' if kind == 'enum' else repr('2020-02-31')}")

	said = [
		check.found for check in site.standby.check(None) if check.outcome == FAILED and WORDS in check.found
	]
	assert len(said) == (0 if kind == "date" else 1) and all(f"odd.{why}" in words for words in said)
	site.load()
	for act in (site.standby.prove, lambda: site.standby.refresh(tmp_path / "final")):
		with pytest.raises(StepFailed, match=rf"{WORDS}.* odd\.{why}"):
			act()

	site.execute(modes, mend)
	live = site.content()
	site.standby.refresh(tmp_path / "final")
	assert site.content(site.standby.name)[0] == live[0]
	assert not [check for check in site.standby.check(None) if WORDS in check.found]


def test_what_a_dump_carries_is_no_reason(site: Site):
	site.execute(
		"CREATE TABLE fine (a FLOAT, b FLOAT(12,6), c ENUM('x', 'y'), d ENUM('x', ''), e DATETIME(6), f DATE)",
		"SET SESSION sql_mode = ''",
		"INSERT INTO fine VALUES (0.1, 12345.678901, 'none', '', '0000-00-00', '2020-00-00'), "
		"(1.5e30, -1, 'x', 'x', '2024-02-29 23:59:59.999999', '9999-12-31'), (NULL, NULL, NULL, NULL, NULL, NULL)",
		"CREATE VIEW sight AS SELECT a / 3 AS third FROM fine",
	)
	assert not [check for check in site.standby.check(None) if check.outcome == FAILED]
	site.load()
	site.standby.prove()
