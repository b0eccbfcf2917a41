"""A disk that is full, for real: a file system of its own in memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


class small_disk:
	"""A file system of `size` (as mount has it, such as 64k) over a directory. Mounting needs root everywhere."""

	def __init__(self, directory: Path, size: str):
		self._directory, self._size = directory, size

	def __enter__(self) -> None:
		self._directory.mkdir(exist_ok=True)
		options = f"size={self._size},mode=0700"
		command = ["mount", "-t", "tmpfs", "-o", options, "press_deploy", str(self._directory)]
		mounted = subprocess.run(command, capture_output=True, text=True)
		if mounted.returncode:
			pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")

	def __exit__(self, *_exception: object) -> None:
		subprocess.run(["umount", "--lazy", str(self._directory)], check=True)


def fill_disk(filler: Path) -> None:
	with filler.open("wb", buffering=0) as file:
		for size in (65536, 1024, 1):
			try:
				while True:
					file.write(b"x" * size)
			except OSError:
				continue
