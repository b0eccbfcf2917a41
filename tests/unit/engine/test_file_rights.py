"""What somebody left behind who typed a command as root is found before anything is closed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.checks import OK, Check
from press_deploy.engine.homes.home import HOMES
from press_deploy.engine.steps.preflight.file_rights import check_file_rights

from .support import SITE, make_bench


@pytest.fixture
def user(tmp_path: Path) -> pwd.struct_passwd:
	"""The user of the bench, who is not root, so that rights mean something."""
	for path in (tmp_path, *tmp_path.parents[:-2]):
		path.chmod(path.stat().st_mode | 0o011)
	return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@pytest.fixture
def bench(tmp_path: Path, user: pwd.struct_passwd) -> Bench:
	bench = Bench(make_bench(tmp_path / "bench"))
	home = bench.deployments / HOMES / "1.0-a"
	for path in (bench.app("shop") / ".git" / "objects" / "ab", bench.deployments / "backups" / SITE, home):
		path.mkdir(parents=True, exist_ok=True)
	home.chmod(0o500)
	for path in (bench.path, *bench.path.rglob("*")):
		os.chown(path, user.pw_uid, -1)
	return bench


def look(bench: Bench, user: pwd.struct_passwd) -> list[Check]:
	spec = SimpleNamespace(apps=[SimpleNamespace(name="shop")], site_names=[SITE])
	before = os.geteuid()
	os.seteuid(user.pw_uid)
	try:
		return list(check_file_rights(SimpleNamespace(bench=bench, spec=spec), None))
	finally:
		os.seteuid(before)


def take_away(directory: Path, mode: int) -> None:
	"""As root leaves what he has made. A user can give him nothing, and takes from himself what `mode` gives others."""
	if os.geteuid() == 0:
		os.chown(directory, 0, -1)
		directory.chmod(mode)
	else:
		directory.chmod((mode & 0o007) << 6)


def test_a_bench_of_its_own_user_is_in_order(bench: Bench, user: pwd.struct_passwd) -> None:
	(check,) = look(bench, user)
	assert check.outcome == OK and check.found.startswith(user.pw_name)


@pytest.mark.parametrize("mode", [0o755, 0o700])
@pytest.mark.parametrize(
	("left", "place"),
	[
		("apps/shop/.git/objects/ab", "apps/shop"),
		("apps/shop", "apps/shop"),
		(f"deployments/backups/{SITE}", "deployments"),
		("deployments", "deployments"),
		(f"sites/{SITE}", "sites"),
		("sites", "sites"),
	],
)
def test_what_may_not_be_written_is_named_with_the_command_that_helps(
	bench: Bench, user: pwd.struct_passwd, left: str, place: str, mode: int
) -> None:
	take_away(bench.path / left, mode)
	(check,) = look(bench, user)
	assert check.outcome != OK and f"may not write to {bench.path / left}" in check.found
	assert check.remedy == f"sudo chown -R {user.pw_name}: {bench.path / place}"


def test_packages_of_node_are_passed_over(bench: Bench, user: pwd.struct_passwd) -> None:
	(bench.app("shop") / "node_modules").mkdir()
	take_away(bench.app("shop") / "node_modules", 0o755)
	assert [check.outcome for check in look(bench, user)] == [OK]
