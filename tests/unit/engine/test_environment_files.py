"""An environment is kept by links where they can be made, and put back whatever disk it is on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from press_deploy.engine.bench import environment_files
from press_deploy.engine.bench.environment_files import find_differences, keep, list_files, put_back


@pytest.fixture
def environment(tmp_path: Path) -> Path:
	environment = tmp_path / "bench/env"
	for name in (
		"bin/python",
		"lib/python3/site-packages/units/core.py",
		"lib/python3/site-packages/one.pth",
	):
		(environment / name).parent.mkdir(parents=True, exist_ok=True)
		(environment / name).write_text(name)
	(environment / "lib64").symlink_to("lib")
	return environment


def test_what_is_written_into_is_copied_and_the_rest_linked(environment: Path, tmp_path: Path) -> None:
	listing = keep(environment, tmp_path / "kept")
	packages = "lib/python3/site-packages"
	assert set(listing) == {"bin/python", f"{packages}/units/core.py", f"{packages}/one.pth", "lib64"}
	for name, is_linked in (
		("bin/python", False),
		(f"{packages}/one.pth", False),
		(f"{packages}/units/core.py", True),
	):
		assert (tmp_path / "kept" / name).samefile(environment / name) == is_linked
	assert find_differences(listing, list_files(tmp_path / "kept")) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK])
def test_what_may_not_be_linked_is_copied(
	environment: Path, tmp_path: Path, monkeypatch, number: int
) -> None:
	"""As files of root, which nobody else may link."""

	def refuse(source: str, target: str) -> None:
		raise OSError(number, "no", source)

	monkeypatch.setattr(os, "link", refuse)
	listing = keep(environment, tmp_path / "kept")
	assert find_differences(listing, list_files(tmp_path / "kept")) == []


def test_on_a_full_disk_nothing_is_left_half_made(environment: Path, tmp_path: Path, monkeypatch) -> None:
	keep(environment, tmp_path / "kept")

	def refuse(source: str, target: str) -> None:
		raise OSError(errno.ENOSPC, "full", source)

	monkeypatch.setattr(os, "link", refuse)
	with pytest.raises(OSError, match="full"):
		keep(environment, tmp_path / "kept")
	assert sorted(path.name for path in tmp_path.iterdir()) == ["bench", "kept"]


@pytest.mark.parametrize("killed_at", range(5))
def test_on_another_disk_it_is_put_back_whenever_an_attempt_dies(
	environment: Path, tmp_path: Path, monkeypatch, killed_at: int
) -> None:
	listing, kept = keep(environment, tmp_path / "kept"), tmp_path / "kept"
	(environment / "bin/python").unlink()
	rename, calls = Path.rename, []

	def rename_or_die(source: Path, target: Path) -> Path:
		calls.append(source)
		if len(calls) == killed_at + 1:
			raise KeyboardInterrupt
		if (tmp_path / "bench" in source.parents) != (tmp_path / "bench" in target.parents):
			raise OSError(errno.EXDEV, "another disk", str(source))
		return rename(source, target)

	monkeypatch.setattr(Path, "rename", rename_or_die)
	for _ in range(2):
		try:
			replaced = put_back(kept, environment, tmp_path / "replaced")
		except KeyboardInterrupt:
			continue
	assert find_differences(listing, list_files(environment)) == []
	assert find_differences(listing, list_files(kept)) == []
	assert replaced == environment.with_name("env.replaced") or killed_at < 3
	assert not list(environment.parent.glob(f"*{environment_files.COMING}"))
