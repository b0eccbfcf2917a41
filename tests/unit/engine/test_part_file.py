"""A file that is whole under its name or not there, whatever happens while it is written."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from press_deploy.engine.databases.mariadb.part_file import name_part, translate_write_error, write_whole


@pytest.fixture
def target(tmp_path: Path) -> Path:
	path = tmp_path / "dump.sql.zst"
	path.write_text("of yesterday")
	return path


def test_it_replaces_the_former_one_when_it_is_whole(target: Path):
	name_part(target).write_text("what a killed process left")
	with write_whole(target) as file:
		file.write(b"of ")
		assert target.read_text() == "of yesterday"
		file.write(b"today")
	assert target.read_text() == "of today"
	assert stat.S_IMODE(target.stat().st_mode) == 0o600
	assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_what_was_not_completed_is_removed(target: Path, error: BaseException):
	with pytest.raises(type(error)), write_whole(target) as file:
		file.write(b"half")
		assert name_part(target).exists()
		raise error
	assert target.read_text() == "of yesterday"
	assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_bytes_are_on_the_disk_before_the_name_is_given(target: Path, monkeypatch: pytest.MonkeyPatch):
	def refuse(_: int) -> None:
		raise OSError(errno.EIO, "Input/output error")

	monkeypatch.setattr("os.fsync", refuse)
	with pytest.raises(OSError, match="Input/output"), write_whole(target) as file:
		file.write(b"lost")
	assert target.read_text() == "of yesterday"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_from_other_errors(target: Path, number: int):
	full = translate_write_error(OSError(number, "words"), "Dumping", "database shop", target)
	assert (full.why, full.remedy) == (
		f"{target} can't be written: the disk is full",
		f"free space for {target.parent}",
	)
	other = translate_write_error(OSError(errno.EIO, "words"), "Dumping", "database shop", target)
	assert other.why == f"{target} can't be written: words"
	assert str(target.parent) in other.remedy
