"""What preflight says where nobody may keep a standby database: fine for most plans, not for rung 5."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from press_deploy.engine.databases.mariadb import loading, proving
from press_deploy.engine.ground.checks import FAILED, WARNING
from press_deploy.engine.steps.preflight import backups


@pytest.mark.parametrize(
	("rung", "outcome", "words"),
	[(4, WARNING, "there will be none"), (5, FAILED, "rung 5 starts the site on its standby")],
)
def test_without_an_administrator(
	monkeypatch: pytest.MonkeyPatch, rung: int, outcome: str, words: str
) -> None:
	monkeypatch.setattr(proving, "find_server_program", lambda: "/usr/sbin/mariadbd")
	monkeypatch.setattr(loading, "choose_importer", lambda config: None)
	monkeypatch.setattr(loading, "why_not_imported_by", lambda server, database: None)
	monkeypatch.setattr(backups, "find_standbys", lambda *_: {"shop": None})
	run = SimpleNamespace(
		spec=SimpleNamespace(backup=SimpleNamespace(required_rung=rung)),
		bench=SimpleNamespace(read_config=lambda site: {"db_name": site}),
		directory=None,
	)
	(check,) = backups._check_standby(run, None, "shop")
	assert (check.outcome, words in check.found) == (outcome, True), check
	assert isinstance(check, backups.WithoutStandby) is (outcome == WARNING)
	assert "name the administrator" in check.remedy
