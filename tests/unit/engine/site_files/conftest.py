"""A site with files, backed up some time ago as Frappe does it."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

OLD_SECONDS = 7 * 86_400
FILES = {
	"public/files/logo.png": b"logo" * 500,
	"public/files/deep/er/picture.jpg": b"picture",
	"public/files/empty.txt": b"",
	"private/files/contract.pdf": b"contract" * 300,
	"private/files/ümlaut – draft.txt": b"draft",
	"private/files/" + os.fsdecode(b"\xff\xfe.bin"): b"no character",
}


@dataclass
class SitePlaces:
	"""Where everything of one site is."""

	site: Path
	archives: list[Path]
	keep: Path
	quarantine: Path

	def write(self, path: str, content: bytes = b"new") -> Path:
		file = self.site / path
		file.parent.mkdir(parents=True, exist_ok=True)
		file.write_bytes(content)
		return file

	def snapshot(self) -> dict[str, tuple]:
		"""Everything below the site but directories: content, mode, time; links by their target."""
		return snapshot(self.site)

	def quarantined(self) -> dict[str, bytes]:
		return {str(path.relative_to(self.quarantine)): path.read_bytes() for path in find(self.quarantine)}


def find(directory: Path) -> list[Path]:
	return sorted(path for path in directory.rglob("*") if path.is_symlink() or path.is_file())


def snapshot(directory: Path) -> dict[str, tuple]:
	found = {}
	for path in find(directory):
		status = path.lstat()
		content = ("link", os.readlink(path)) if path.is_symlink() else ("file", path.read_bytes())
		found[str(path.relative_to(directory))] = (*content, status.st_mode & 0o777, status.st_mtime_ns)
	return found


def pack(sites: Path, site: str, target: Path, kind: str, *options: str) -> Path:
	"""As Frappe: `tar -cf target ./SITE/public/files` in the sites directory."""
	subprocess.run(["tar", *options, "-cf", target, f"./{site}/{kind}/files"], cwd=sites, check=True)
	return target


def settle(site: Path, before: float) -> None:
	for path in find(site):
		os.utime(path, (before, before), follow_symlinks=False)


@pytest.fixture
def places(tmp_path: Path) -> SitePlaces:
	sites, backup = tmp_path / "sites", tmp_path / "backup"
	found = SitePlaces(sites / "shop.example", [], tmp_path / "keep", tmp_path / "quarantine")
	backup.mkdir()
	for path, content in FILES.items():
		found.write(path, content)
	(found.site / "public/files/logo.png").chmod(0o640)
	settle(found.site, time.time() - OLD_SECONDS + 0.123456789)
	for kind in ("public", "private"):
		found.archives.append(pack(sites, "shop.example", backup / f"{kind}-files.tar", kind))
		# Later than every ctime, so that what the tar holds is known to be what is there.
		os.utime(found.archives[-1], (time.time() + 5, time.time() + 5))
	return found
