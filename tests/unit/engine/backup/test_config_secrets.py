"""No password of a site's configuration stays readable in its backup, unless the plan says so."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from press_deploy.engine.backup.archives import check_config
from press_deploy.engine.backup.config_secrets import KEY_NAME, LEFT_OUT, protect_config, read_config
from press_deploy.engine.ground.errors import StepFailed

CONFIG = {
	"db_name": "shop",
	"db_password": "geheim-1",
	"encryption_key": "geheim-2",
	"mail": [{"login": "a", "password": "geheim-3", "port": 25}],
	"developer_mode": 0,
	"api_token": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
	path = tmp_path / "site_config.json"
	path.write_text(json.dumps(CONFIG))
	return path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
	return tmp_path / KEY_NAME


def mode_of(path: Path) -> int:
	return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_left_out_and_named(path: Path, key_file: Path) -> None:
	for _time in range(2):
		assert protect_config(path, "leave_out", key_file) == path
		kept = read_config(path, key_file)
		assert "geheim" not in path.read_text() and mode_of(path) == 0o600
		assert kept[LEFT_OUT] == ["db_password", "encryption_key", "mail[0].password"]
		assert kept["mail"] == [{"login": "a", "password": None, "port": 25}] and kept["db_name"] == "shop"
	assert not key_file.exists() and check_config(path) == {"encrypted": False}


def test_an_encrypted_configuration_needs_the_key_of_its_bench(path: Path, key_file: Path) -> None:
	kept = protect_config(path, "encrypt", key_file)
	assert kept != path and not path.exists() and b"geheim" not in kept.read_bytes()
	assert mode_of(kept) == mode_of(key_file) == 0o600
	assert read_config(kept, key_file) == CONFIG and check_config(kept) == {"encrypted": True}
	# Asked again, after a crash or not, it is the same.
	key = key_file.read_bytes()
	assert protect_config(path, "encrypt", key_file) == kept
	path.write_text(json.dumps(CONFIG))
	assert protect_config(path, "encrypt", key_file) == kept and not path.exists()
	assert read_config(kept, key_file) == CONFIG and key_file.read_bytes() == key
	key_file.unlink()
	with pytest.raises(StepFailed, match="put the key of the bench"):
		read_config(kept, key_file)
	assert not key_file.exists()
	other = path.with_name("other.json")
	other.write_text("{}")
	protect_config(other, "encrypt", key_file)
	with pytest.raises(StepFailed, match="another key"):
		read_config(kept, key_file)


def test_a_plain_configuration_is_at_least_private(path: Path, key_file: Path) -> None:
	os.chmod(path, 0o644)
	assert protect_config(path, "plain", key_file) == path
	assert mode_of(path) == 0o600 and read_config(path, key_file) == CONFIG


@pytest.mark.parametrize("mode", ["encrypt", "leave_out"])
def test_what_is_no_configuration_is_refused_without_repeating_it(
	path: Path, key_file: Path, mode: str
) -> None:
	path.write_text('{"db_password": "geheim')
	with pytest.raises(StepFailed) as caught:
		protect_config(path, mode, key_file)
	assert "geheim" not in str(caught.value) and path.exists()


def test_a_changed_file_is_not_decrypted(path: Path, key_file: Path) -> None:
	kept = protect_config(path, "encrypt", key_file)
	text = kept.read_text()
	kept.write_text(text[:50] + ("A" if text[50] != "A" else "B") + text[51:])
	with pytest.raises(StepFailed, match="changed"):
		read_config(kept, key_file)


def test_a_key_that_others_can_read_is_refused(path: Path, key_file: Path) -> None:
	kept = protect_config(path, "encrypt", key_file)
	os.chmod(key_file, 0o640)
	with pytest.raises(StepFailed, match="chmod 0600"):
		read_config(kept, key_file)
	key_file.write_text("no key")
	os.chmod(key_file, 0o600)
	with pytest.raises(StepFailed, match="holds no key"):
		read_config(kept, key_file)


def test_of_keys_that_are_made_at_the_same_time_one_wins(tmp_path: Path, key_file: Path) -> None:
	paths = [tmp_path / f"{number}.json" for number in range(8)]
	for path in paths:
		path.write_text(json.dumps(CONFIG))
	start = threading.Barrier(len(paths))

	def protect(path: Path) -> None:
		start.wait()
		protect_config(path, "encrypt", key_file)

	threads = [threading.Thread(target=protect, args=[path]) for path in paths]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	assert all(read_config(path.with_name(f"{path.name}.encrypted"), key_file) == CONFIG for path in paths)
	assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
