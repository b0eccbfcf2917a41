"""What somebody left behind who typed a command as root is found before anything is closed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench import Bench
from press_deploy.engine.checks import OK, Check
from press_deploy.engine.preflight.file_rights import check_file_rights

from .support import SITE, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	bench = Bench(make_bench(tmp_path / "bench"))
	for path in (bench.app("shop") / ".git" / "objects" / "ab", bench.deployments / "backups" / SITE):
		path.mkdir(parents=True, exist_ok=True)
	return bench


@contextmanager
def nobody(tmp_path: Path, is_handed_over: bool = False) -> Iterator[str]:
	"""Whatever is asked within is asked for a user who is not root; the bench is his."""
	user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
	for path in (*tmp_path.parents, tmp_path):
		if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
			path.chmod(path.stat().st_mode | 0o011)
	for path in (tmp_path, *tmp_path.rglob("*")):
		if not is_handed_over:
			os.chown(path, user.pw_uid, -1)
	before = os.geteuid()
	os.seteuid(user.pw_uid)
	try:
		yield user.pw_name
	finally:
		os.seteuid(before)


def look(bench: Bench) -> list[Check]:
	spec = SimpleNamespace(apps=[SimpleNamespace(name="shop")], site_names=[SITE])
	return list(check_file_rights(SimpleNamespace(bench=bench, spec=spec)))


def test_a_bench_of_its_own_user_is_in_order(bench: Bench, tmp_path: Path) -> None:
	with nobody(tmp_path) as user:
		(check,) = look(bench)
	assert check.outcome == OK and check.found.startswith(user)


@pytest.mark.parametrize("mode", [0o555, 0o700])
@pytest.mark.parametrize(
	("left", "place"),
	[
		("apps/shop/.git/objects/ab", "apps/shop"),
		("apps/shop", "apps/shop"),
		(f"deployments/backups/{SITE}", "deployments"),
		("deployments", "deployments"),
		(f"sites/{SITE}", "sites"),
	],
)
def test_what_may_not_be_written_is_named_with_the_command_that_helps(
	bench: Bench, tmp_path: Path, left: str, place: str, mode: int
) -> None:
	if mode == 0o700 and os.geteuid():
		mode = 0o000
	with nobody(tmp_path) as user:
		pass
	(bench.path / left).chmod(mode)
	if os.geteuid() == 0:
		os.chown(bench.path / left, 0, 0)
	with nobody(tmp_path, is_handed_over=True):
		(check,) = look(bench)
	assert check.outcome != OK and str(bench.path / left) in check.found
	assert check.remedy == f"sudo chown -R {user}: {bench.path / place}"


def test_packages_of_node_are_passed_over(bench: Bench, tmp_path: Path) -> None:
	with nobody(tmp_path):
		pass
	(bench.app("shop") / "node_modules").mkdir(mode=0o555)
	with nobody(tmp_path, is_handed_over=True):
		assert [check.outcome for check in look(bench)] == [OK]
