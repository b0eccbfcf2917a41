"""Rung 5 on a real site: its backup is loaded, started in private, and asked; and what keeps it at rung 4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from press_deploy.engine.backup import booting
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.bench.web import Web
from press_deploy.engine.databases.mariadb.server import Server, quote
from press_deploy.engine.ground.errors import StepFailed
from tests.site.conftest import BENCH, SITE
from tests.site.prepared_run import PreparedRun, prepare_run, require_administrator
from tests.site.real_site import Site

PING = "/api/method/ping"
WHERE = "frappe.db.sql('SELECT DATABASE(), CURRENT_USER()')[0]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedRun]:
	"""One backup for all tests; each loads, proves and boots by itself."""
	if not SITE or not (BENCH / "sites" / SITE / "site_config.json").is_file():
		pytest.skip("no site to test on: set FRAPPE_BENCH and PRESS_DEPLOY_TEST_SITE")
	site = Site(BENCH, SITE)
	with prepare_run(site, tmp_path_factory.mktemp("run"), method="stream") as run:
		assert run.proof.reached() is Rung.SAFE
		yield run


@pytest.fixture
def administrator(site: Site) -> Server:
	return require_administrator(site)


@pytest.fixture
def asked(run: PreparedRun, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
	"""The paths that the instance was asked for, each with the command lines of the run at that moment."""
	asked, ask = [], Web.ask

	def remember(web: Web, site: str, path: str = "/api/method/ping", **options: Any) -> Any:
		answer = ask(web, site, path, **options)
		asked.append((path, " | ".join(run.find_processes())))
		return answer

	monkeypatch.setattr(Web, "ask", remember)
	return asked


def read_grants(administrator: Server, user: str) -> list[tuple]:
	with administrator.session() as cursor:
		cursor.execute("SELECT * FROM mysql.db WHERE User = %s ORDER BY Host, Db", (user,))
		return list(cursor.fetchall())


def users_of(administrator: Server, database: str) -> int:
	with administrator.session() as cursor:
		users = cursor.execute("SELECT User FROM mysql.user WHERE User = %s", (database,))
		return users + cursor.execute(
			"SELECT User FROM mysql.db WHERE REPLACE(Db, '\\\\', '') = %s", (database,)
		)


def assert_nothing_is_left(run: PreparedRun, administrator: Server) -> None:
	assert run.find_processes() == []
	assert not (run.on_disk.path / "boot").exists()
	assert users_of(administrator, run.standby.name) == 0


def test_the_site_answers_from_its_backup(run: PreparedRun, administrator: Server, asked: list) -> None:
	live, user = run.standby.live, run.standby.databases.user
	grants = read_grants(administrator, user)
	assert grants
	check = f"database, user = {WHERE}\nassert live not in (database, user.split('@')[0]), (database, user)"
	found = run.load_standby(
		boot_check=f"live = {live!r}\n{check}\nassert frappe.get_doc('User', 'Administrator').enabled"
	)

	assert run.proof.reached() is Rung.BOOTABLE
	evidence = run.proof.facts(Rung.BOOTABLE)
	assert evidence == {"answers": {PING: 200, "/login": 200}, "console": "passed"}
	assert run.proof.facts(Rung.RESTORABLE)["tables"] > 200
	assert "answer from their standby" in found["bootable"]
	assert f"{run.site}: rung 5, bootable" in run.check_proof()["found"]
	assert {path for path, processes in asked if "gunicorn" in processes} >= set(evidence["answers"])
	assert read_grants(administrator, user) == grants
	assert_nothing_is_left(run, administrator)


def test_a_check_that_fails_keeps_it_at_rung_4(run: PreparedRun, administrator: Server) -> None:
	with pytest.raises(StepFailed, match="ValueError: no customers"):
		run.load_standby(boot_check=f"raise ValueError('no customers in ' + {WHERE}[0])")

	assert run.proof.reached() is Rung.RESTORABLE
	why = f"rung 5 (bootable) failed: boot: ValueError: no customers in {run.standby.name}"
	assert why in run.proof.why_not(Rung.BOOTABLE)
	with pytest.raises(StepFailed, match=r"reached rung 4 \(restorable\), the plan requires 5") as refused:
		run.check_proof()
	assert why in refused.value.why
	assert_nothing_is_left(run, administrator)


@pytest.mark.parametrize(
	("table", "answer"),
	[
		# What Frappe asks for first depends on what the other apps of the site have it read.
		("tabSingles", f"({PING}|/login) answers 500"),
		("tabSocial Login Key", "/login answers 500"),
	],
)
def test_a_standby_that_does_not_serve_keeps_it_at_rung_4(
	run: PreparedRun, administrator: Server, monkeypatch: pytest.MonkeyPatch, table: str, answer: str
) -> None:
	"""The standby was compared and is equal; a table is lost before the site starts on it."""
	place = f"{quote(run.standby.name)}.{{}}"
	there, away = place.format(quote(table)), place.format("away")
	broken = []

	def boot_broken(*arguments: Any) -> dict[str, Any]:
		with administrator.session() as cursor:
			cursor.execute(f"RENAME TABLE {there} TO {away}")
			broken.append(table)
			try:
				return boot(*arguments)
			finally:
				cursor.execute(f"RENAME TABLE {away} TO {there}")

	boot = booting.Booting.boot
	monkeypatch.setattr(booting.Booting, "boot", boot_broken)
	with pytest.raises(StepFailed, match=answer) as refused:
		run.load_standby(boot_check="")

	assert broken == [table]
	assert "on its standby database" in refused.value.what
	assert run.proof.reached() is Rung.RESTORABLE
	assert re.search(rf"rung 5 \(bootable\) failed: boot: {answer}", run.proof.why_not(Rung.BOOTABLE))
	assert "preview: [" in run.read_log()
	if table == "tabSingles":
		# Frappe shows a page for what goes wrong with a page, and tells nobody else.
		assert f"{run.standby.name}.{table}' doesn't exist" in refused.value.why
		assert "preview: Traceback (most recent call last):" in run.read_log()
	assert_nothing_is_left(run, administrator)


def test_what_a_killed_boot_left_is_in_nobodys_way(run: PreparedRun, administrator: Server) -> None:
	with administrator.session() as cursor:
		cursor.execute("SELECT Host FROM mysql.user WHERE User = %s", (run.standby.databases.user,))
		left = run.standby.name, cursor.fetchall()[0][0]
		cursor.execute("CREATE USER %s@%s IDENTIFIED BY 'of the one before'", left)
		(run.on_disk.path / "boot" / "sites").mkdir(parents=True)
		try:
			run.load_standby(boot_check="")
			assert run.proof.reached() is Rung.BOOTABLE
			assert run.proof.facts(Rung.BOOTABLE)["console"] == "the plan names none"
			assert_nothing_is_left(run, administrator)
		finally:
			cursor.execute("DROP USER IF EXISTS %s@%s", left)


def test_without_an_administrator_it_says_so(run: PreparedRun, monkeypatch: pytest.MonkeyPatch) -> None:
	with pytest.raises(StepFailed, match="the database's administrator is not known"):
		run.ports.copies.booting.boot(run.site, None, "")
