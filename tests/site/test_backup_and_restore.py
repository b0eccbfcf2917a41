"""Backups are complete, private and hide the password; a database goes back, and what it replaces is kept."""

import gzip
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import zstandard

from tests.site.real_site import TaskFailed


def back_up(site, directory: Path, with_files: bool = True) -> dict[str, Path]:
	made = site.call("backup", directory=str(directory), with_files=with_files)
	assert made["partial"] is False
	return {file["kind"]: Path(file["path"]) for file in made["files"]}


def test_a_backup_is_complete_and_private(site, tmp_path):
	files = back_up(site, tmp_path / "backup")
	assert set(files) == {"database", "config", "public_files", "private_files"}
	assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())
	assert json.loads(files["config"].read_text()) == site.config
	for kind in ("public_files", "private_files"):
		tarfile.open(files[kind]).getmembers()
	with gzip.open(files["database"]) as dump:
		content = dump.read()
	if site.is_sqlite:
		assert content.startswith(b"SQLite format 3\0")
	else:
		assert content.splitlines()[-1].startswith(b"-- Dump completed")


def test_what_the_site_excludes_from_backups_is_in_it(site, tmp_path):
	config = site.path / "site_config.json"
	before = config.read_text()
	try:
		config.write_text(before.replace("{", '{"backup": {"excludes": ["ToDo"]}, ', 1))
		files = back_up(site, tmp_path / "backup", with_files=False)
	finally:
		config.write_text(before)
	assert set(files) == {"database", "config"}
	with gzip.open(files["database"]) as dump:
		assert b"tabToDo" in dump.read()


@pytest.mark.parametrize("directory", ["relative", "/tmp/a b", "/tmp/$(id)", "/tmp/a;b", "/tmp/a\nb"])
def test_directories_that_a_shell_would_read(site, directory):
	with pytest.raises(TaskFailed, match="field “directory”"):
		site.call("backup", directory=directory, with_files=False)


def test_no_password_among_the_arguments_of_any_process(site, tmp_path):
	if site.is_sqlite:
		pytest.skip("SQLite has no password")
	password, seen = site.config["db_password"].encode(), set()
	backup = site.start("backup", directory=str(tmp_path / "backup"), with_files=False)
	while backup.poll() is None:
		for path in Path("/proc").glob("[0-9]*/cmdline"):
			try:
				command = path.read_bytes()
			except OSError:
				continue
			if b"mariadb-dump" in command or b"mysqldump" in command:
				seen.add(command)
		time.sleep(0.005)
	assert seen, "the dump was never seen running"
	assert not any(password in command for command in seen)


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_the_database_goes_back_and_the_present_one_is_kept(site, tmp_path, todo, packed):
	todo.add()
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	if packed == "zstd":
		dump = _repack(dump)
	todo.add()
	site.execute("frappe.db.sql_ddl('CREATE TABLE press_deploy_later (a int)')")
	quarantine = tmp_path / "quarantine.gz"

	restored = site.call("restore", database=str(dump), quarantine=str(quarantine))

	assert restored["tables"] > 200
	assert todo.count() == 1
	assert "press_deploy_later" not in site.execute("result = frappe.db.get_tables(cached=False)")
	assert quarantine.stat().st_mode & 0o077 == 0
	with gzip.open(quarantine) as kept:
		content = kept.read()
	assert content.count(todo.mark.encode()) >= 2 and b"press_deploy_later" in content


def test_a_second_call_keeps_the_first_quarantine(site, tmp_path, todo):
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	quarantine = tmp_path / "quarantine.gz"
	todo.add()
	site.call("restore", database=str(dump), quarantine=str(quarantine))
	kept = quarantine.read_bytes()
	site.call("restore", database=str(dump), quarantine=str(quarantine))
	assert quarantine.read_bytes() == kept


def test_an_interrupted_restore_can_be_repeated(site, tmp_path, todo):
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	quarantine = tmp_path / "quarantine.gz"
	todo.add()
	process = site.start("restore", database=str(dump), quarantine=str(quarantine))
	while not quarantine.exists():
		assert process.poll() is None, process.stdout.read()
		time.sleep(0.01)
	time.sleep(0.3)
	assert process.poll() is None or site.is_sqlite, "it was over before it could be killed"
	process.kill()
	process.wait()
	kept = quarantine.read_bytes()
	site.call("restore", database=str(dump), quarantine=str(quarantine))
	assert todo.count() == 0
	assert quarantine.read_bytes() == kept


def damage(dump: Path, how: str) -> None:
	content = dump.read_bytes()
	if how == "cut":
		dump.write_bytes(content[: len(content) // 2])
	elif how == "flipped":
		dump.write_bytes(content[:5000] + bytes([content[5000] ^ 0xFF]) + content[5001:])
	elif how == "no closing line":
		whole = gzip.decompress(content)
		dump.write_bytes(gzip.compress(whole[: len(whole) // 2]))
	elif how == "not gzip":
		dump.write_bytes(b"hello")
	else:
		os.remove(dump)


@pytest.mark.parametrize("how", ["cut", "flipped", "no closing line", "not gzip", "absent"])
def test_a_dump_that_is_not_whole_touches_nothing(site, tmp_path, todo, how):
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	damage(dump, how)
	todo.add()
	with pytest.raises(TaskFailed, match="Verifying"):
		site.call("restore", database=str(dump), quarantine=str(tmp_path / "quarantine.gz"))
	assert todo.count() == 1
	assert not (tmp_path / "quarantine.gz").exists()


def test_a_damaged_quarantine_stops_before_anything_is_dropped(site, tmp_path, todo):
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	(tmp_path / "quarantine.gz").write_bytes(gzip.compress(b"-- half a dump\n"))
	todo.add()
	with pytest.raises(TaskFailed, match="Verifying"):
		site.call("restore", database=str(dump), quarantine=str(tmp_path / "quarantine.gz"))
	assert todo.count() == 1


def test_sqlite_is_dumped_with_what_is_still_in_the_log(site, tmp_path, todo):
	if not site.is_sqlite:
		pytest.skip("for SQLite")
	todo.add()
	wal = next((site.path / "db").glob("*.db"))
	dump = back_up(site, tmp_path / "backup", with_files=False)["database"]
	copy = tmp_path / "copy.db"
	copy.write_bytes(gzip.decompress(dump.read_bytes()))
	found = subprocess.run(
		["sqlite3", copy, "SELECT count(*) FROM tabToDo"], capture_output=True, text=True, check=True
	)
	assert int(found.stdout) >= 1, wal


def _repack(dump: Path) -> Path:
	"""The same dump as the streaming method packs it."""
	target = dump.with_suffix(".zst")
	target.write_bytes(zstandard.compress(gzip.decompress(dump.read_bytes())))
	return target
