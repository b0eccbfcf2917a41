"""Code by file copy, where git is not available: staged and checked first, originals kept and put back.

Invariant: nothing is written outside the app's own directory, through no link, and no file is replaced
before its original is safe in the run's directory.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.hashing import hash_file
from press_deploy.engine.plan.spec import App

TRANSFER_SECONDS = 300


def fetch_command(host: str, source: str, target: Path) -> list[str]:
	"""Copy one file from an SSH host. `source` was validated: no character of it means anything to a shell."""
	return ["scp", "-B", "-oConnectTimeout=15", "--", f"{host}:{source}", str(target)]


class FileCopy:
	"""The files of one app, which is at `root`, in one run, whose `private` directory keeps copies of them."""

	def __init__(self, app: App, root: Path, private: Path, programs: Programs):
		self._app, self._root, self._programs = app, root, programs
		self._staged, self._originals = private / "staged" / app.name, private / "originals" / app.name

	def check_targets(self) -> None:
		"""Raise `StepFailed` when a target leads out of the app through a link, or a source is missing."""
		for file in self._app.files:
			target = self._root
			for part in Path(file.path).parts:
				target = target / part
				if target.is_symlink():
					raise StepFailed(
						"Checking", file.path, f"{target} is a symbolic link", "take the file out of the plan"
					)
			if target.is_dir():
				raise StepFailed("Checking", file.path, "it is a directory", "list single files")
			source = Path(self._app.source) / file.path
			if not self._app.ssh_host:
				self._check_content(source, file.sha256)

	def stage(self) -> None:
		"""Bring the new files into the run's directory and check each against the plan."""
		for file in self._app.files:
			target = self._staged / file.path
			target.parent.mkdir(parents=True, exist_ok=True)
			source = Path(self._app.source) / file.path
			if self._app.ssh_host:
				self._programs.execute(
					fetch_command(self._app.ssh_host, str(source), target),
					timeout=TRANSFER_SECONDS,
					doing="Copying with",
				)
			else:
				shutil.copyfile(source, target)
			self._check_content(target, file.sha256)

	def keep_originals(self) -> list[dict[str, Any]]:
		"""Copy what the new files will replace; return [{path, sha256 or None where there was no file, mode}]."""
		self.check_targets()
		kept = []
		for file in self._app.files:
			original, copy = self._root / file.path, self._originals / file.path
			if not original.exists():
				kept.append({"path": file.path, "sha256": None, "mode": 0o644})
				continue
			durable.copy(original, copy)
			kept.append(
				{"path": file.path, "sha256": hash_file(copy), "mode": original.stat().st_mode & 0o777}
			)
		return kept

	def apply(self, kept: list[dict[str, Any]]) -> None:
		modes = {entry["path"]: entry["mode"] for entry in kept}
		for file in self._app.files:
			self._replace(self._root / file.path, self._staged / file.path, modes[file.path])

	def is_applied(self) -> bool:
		return all(self._hash(file.path) == file.sha256 for file in self._app.files)

	def undo(self, kept: list[dict[str, Any]]) -> None:
		for entry in kept:
			target = self._root / entry["path"]
			if entry["sha256"] is None:
				target.unlink(missing_ok=True)
				_temporary(target).unlink(missing_ok=True)
			else:
				self._replace(target, self._originals / entry["path"], entry["mode"])

	def keep_edited(self, kept: list[dict[str, Any]], directory: Path) -> list[str]:
		"""Copy to `directory` what undoing would write over although it is nobody's but people's; return the paths."""
		known = {file.path: {file.sha256} for file in self._app.files}
		for entry in kept:
			known[entry["path"]].add(entry["sha256"])
		edited = [path for path, hashes in known.items() if self._hash(path) not in {None, *hashes}]
		for path in edited:
			durable.copy(self._root / path, directory / path)
		return edited

	def is_undone(self, kept: list[dict[str, Any]]) -> bool:
		return all(self._hash(entry["path"]) == entry["sha256"] for entry in kept)

	def _replace(self, target: Path, content: Path, mode: int) -> None:
		target.parent.mkdir(parents=True, exist_ok=True)
		temporary = _temporary(target)
		# Never through what a killed run, or somebody else, left there.
		temporary.unlink(missing_ok=True)
		durable.copy(content, temporary)
		os.chmod(temporary, mode)
		os.replace(temporary, target)
		durable.sync_directory(target.parent)

	def _hash(self, path: str) -> str | None:
		target = self._root / path
		return hash_file(target) if target.is_file() else None

	def _check_content(self, file: Path, expected: str) -> None:
		if not file.is_file() or file.is_symlink():
			raise StepFailed(
				"Checking", str(file), "it is not a regular file", "correct source and files in the plan"
			)
		if (found := hash_file(file)) != expected:
			raise StepFailed(
				"Checking",
				str(file),
				f"its SHA-256 is {found[:12]}…, the plan says {expected[:12]}…",
				"correct one of them",
			)


def _temporary(target: Path) -> Path:
	"""Where the new content of a file is put together."""
	return target.with_name(f".{target.name}.press_deploy")
