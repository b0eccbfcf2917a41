"""`press-deploy backup-key` and `backup-config`: passwords in a backup outlive the bench that made it."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from press_deploy.cli import main
from press_deploy.engine.backup.config_secrets import KEY_NAME, protect_config
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.checks import FAILED, OK, WARNING, Check
from press_deploy.engine.steps.preflight.backup_key import check_backup_key

CONFIG = {"db_name": "shop", "encryption_key": "geheim"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	for name in ("apps", "config", "logs", "sites"):
		(tmp_path / "bench" / name).mkdir(parents=True)
	return Bench.open(tmp_path / "bench")


@pytest.fixture
def key(tmp_path: Path) -> Path:
	return tmp_path / "kept.key"


def call(*arguments: object) -> Result:
	return CliRunner().invoke(main, [str(each) for each in arguments])


def export(bench: Bench, target: Path) -> Result:
	return call("backup-key", target, "--bench", bench.path)


def check(bench: Bench, **settings: object) -> Iterator[Check]:
	backup = SimpleNamespace(**{"config_secrets": "encrypt", "places": ["one"], **settings})
	return check_backup_key(SimpleNamespace(spec=SimpleNamespace(backup=backup), bench=bench), None)


def test_the_passwords_are_read_when_the_bench_is_gone(bench: Bench, key: Path, tmp_path: Path) -> None:
	assert export(bench, key).exit_code == 0
	assert stat.S_IMODE(key.stat().st_mode) == 0o600
	config = tmp_path / "site_config.json"
	config.write_text(json.dumps(CONFIG))
	kept = protect_config(config, "encrypt", bench.deployments / KEY_NAME)
	assert json.loads(call("backup-config", kept, "--bench", bench.path).output) == CONFIG

	shutil.rmtree(bench.path)
	result = call("backup-config", kept, "--key", key)
	assert result.exit_code == 0 and json.loads(result.output) == CONFIG


def test_another_key_opens_nothing(bench: Bench, key: Path, tmp_path: Path) -> None:
	config = tmp_path / "site_config.json"
	config.write_text(json.dumps(CONFIG))
	kept = protect_config(config, "encrypt", tmp_path / KEY_NAME)
	export(bench, key)
	result = call("backup-config", kept, "--key", key)
	assert result.exit_code == 1 and "geheim" not in result.output
	assert "encrypted with another key" in result.output


def test_no_file_is_written_over(bench: Bench, key: Path) -> None:
	key.write_text("of another bench")
	result = export(bench, key)
	assert result.exit_code == 2 and "it is there already" in result.output
	assert key.read_text() == "of another bench"


def test_a_copy_on_the_bench_itself_is_none(bench: Bench) -> None:
	result = export(bench, bench.path / "config" / "kept.key")
	assert result.exit_code == 2 and "lost with the bench" in result.output
	assert not (bench.path / "config" / "kept.key").exists()


def test_preflight_warns_until_there_is_a_copy_of_this_key(bench: Bench, key: Path, tmp_path: Path) -> None:
	(warning,) = check(bench)
	assert warning.outcome == WARNING and "press-deploy backup-key FILE" in warning.remedy
	export(bench, key)
	assert [each.outcome for each in check(bench)] == [OK]
	# Another key than the one that was copied.
	(bench.deployments / KEY_NAME).unlink()
	assert [each.outcome for each in check(bench)] == [WARNING]
	protected = tmp_path / "site_config.json"
	protected.write_text(json.dumps(CONFIG))
	protect_config(protected, "encrypt", bench.deployments / KEY_NAME)
	assert [each.outcome for each in check(bench)] == [WARNING]


def test_preflight_refuses_a_key_that_others_can_read(bench: Bench, key: Path) -> None:
	export(bench, key)
	(bench.deployments / KEY_NAME).chmod(0o644)
	(failed,) = check(bench)
	assert failed.outcome == FAILED and "chmod 0600" in failed.remedy


@pytest.mark.parametrize("settings", [{"config_secrets": "leave_out"}, {"places": []}])
def test_a_plan_that_copies_no_passwords_off_needs_no_key(bench: Bench, settings: dict) -> None:
	assert list(check(bench, **settings)) == []
