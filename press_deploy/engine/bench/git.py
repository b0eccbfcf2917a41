"""Git as far as a deployment needs it. The functions at the top only build argument lists.

Invariant: a ref never stands where git could read an option, and hooks of the repository never run.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import CommandFailed, StepFailed

LOCAL_SECONDS = 120
REMOTE_SECONDS = 300
DEFAULT_REMOTES = ("upstream", "origin")
# How a host is reached where neither the repository nor the environment says how: asking for nothing, soon given up.
SSH_COMMAND = "ssh -oBatchMode=yes -oConnectTimeout=15"


def _git(app: Path, *arguments: str) -> list[str]:
	return ["git", "-C", str(app), "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]


def fetch_command(app: Path, remote: str, ref: str) -> list[str]:
	return _git(app, "fetch", "--no-tags", "--force", "--", remote, ref)


def list_remote_command(app: Path, remote: str, ref: str) -> list[str]:
	return _git(
		app, "ls-remote", "--", remote, f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}"
	)


def switch_command(app: Path, commit: str, branch: str | None) -> list[str]:
	"""Move the work tree to a commit, on a branch of that name or detached; `--force` mends a torn switch."""
	place = ["-B", branch] if branch else ["--detach"]
	return _git(app, "checkout", "--quiet", "--force", *place, commit, "--")


@dataclass(frozen=True)
class Position:
	"""Where a repository stands: full SHA, and the branch when HEAD is on one."""

	commit: str
	branch: str | None

	def as_data(self) -> dict[str, str | None]:
		return asdict(self)


class Repository:
	"""The repository of one app."""

	def __init__(self, app: Path, programs: Programs):
		self.path, self._programs = app, programs

	def exists(self) -> bool:
		return (self.path / ".git").exists()

	def position(self) -> Position:
		commit = self._read("rev-parse", "--verify", "HEAD^{commit}").strip()
		try:
			branch = self._read("symbolic-ref", "--quiet", "--short", "HEAD").strip()
		except CommandFailed:
			branch = None
		return Position(commit, branch)

	def changes(self, *, untracked: bool = True) -> list[str]:
		"""What differs from HEAD, as lines of `git status --porcelain`."""
		return self._read(
			"status", "--porcelain", f"--untracked-files={'normal' if untracked else 'no'}"
		).splitlines()

	def difference(self) -> bytes:
		"""The uncommitted changes of tracked files, as a patch, whatever the user's git is told to show instead."""
		plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
		# Line ends are bytes like others.
		patch = self._read(
			"-c", "core.autocrlf=false", "diff", "--binary", "--full-index", *plain, "HEAD", "--"
		)
		return patch.encode("utf-8", "surrogateescape")

	def takes(self, patch: Path) -> bool:
		"""Whether a patch can be applied to HEAD; tried on an index of its own, so that nothing is touched."""
		with tempfile.TemporaryDirectory() as directory:
			index = {"GIT_INDEX_FILE": f"{directory}/index"}
			try:
				self._read("read-tree", "HEAD", environment=index)
				self._read("apply", "--check", "--cached", "--binary", str(patch), environment=index)
			except CommandFailed:
				return False
		return True

	def changed_paths(self) -> list[Path]:
		"""The tracked files that differ from HEAD and are there."""
		names = self._read("diff", "-z", "--name-only", "--no-renames", "HEAD", "--").split("\0")[:-1]
		return [path for path in map(Path, names) if (self.path / path).is_file()]

	def remotes(self) -> list[str]:
		return self._read("remote").split()

	def choose_remote(self, wanted: str) -> str:
		"""The remote of the plan, or the other usual name where that one is missing."""
		remotes = self.remotes()
		return next((name for name in (wanted, *DEFAULT_REMOTES) if name in remotes), wanted)

	def ask_remote(self, remote: str, ref: str) -> tuple[str | None, str]:
		"""(SHA, kind) of a ref at the remote, kind being branch, tag or commit. Changes nothing.

		The SHA is None when the remote has no branch or tag of that name. Raises `CommandFailed`.
		"""
		output = self._programs.execute(
			list_remote_command(self.path, remote, ref),
			timeout=REMOTE_SECONDS,
			doing=f"Asking remote {remote} of",
			environment=self._way_to_hosts(),
		)
		found = dict(reversed(line.split("\t")) for line in output.splitlines() if "\t" in line)
		if sha := found.get(f"refs/heads/{ref}"):
			return sha, "branch"
		sha = found.get(f"refs/tags/{ref}^{{}}") or found.get(f"refs/tags/{ref}")
		return sha, "tag" if sha else "commit"

	def fetch(self, remote: str, ref: str, keep_as: str) -> str:
		"""Bring a ref here and keep it under `refs/press_deploy/<keep_as>`; return its full SHA."""
		self._remove_locks("refs/press_deploy")
		# By its full name: where a tag and a branch share one, git would fetch the other than was asked of.
		_commit, kind = self.ask_remote(remote, ref)
		full_name = {"branch": f"refs/heads/{ref}", "tag": f"refs/tags/{ref}"}.get(kind, ref)
		self._programs.execute(
			fetch_command(self.path, remote, full_name),
			timeout=REMOTE_SECONDS,
			doing=f"Fetching {ref} with",
			environment=self._way_to_hosts(),
		)
		commit = self._read("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
		self._read("update-ref", f"refs/press_deploy/{keep_as}", commit)
		return commit

	def switch(self, commit: str, branch: str | None) -> None:
		"""Check a commit out. Locks that a killed git left are removed: the caller holds the bench."""
		self._remove_locks("index", "HEAD", "packed-refs", "refs")
		self._programs.execute(
			switch_command(self.path, commit, branch),
			timeout=LOCAL_SECONDS,
			doing=f"Switching {self.path.name} with",
		)

	def branch_commit(self, branch: str) -> str | None:
		"""The commit of a local branch; None when there is none."""
		try:
			return self._read("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}").strip()
		except CommandFailed:
			return None

	def restore_branch(self, branch: str, commit: str | None) -> None:
		"""Let a branch that is not checked out point where it did, or not exist."""
		if commit:
			self._read("update-ref", f"refs/heads/{branch}", commit)
		elif self.branch_commit(branch):
			self._read("update-ref", "-d", f"refs/heads/{branch}")

	def changed_files(self, before: str, after: str) -> list[str]:
		# With -z git does not quote unusual names.
		return self._read("diff", "-z", "--name-only", "--no-renames", before, after, "--").split("\0")[:-1]

	def contains(self, ancestor: str, commit: str) -> bool:
		try:
			self._read("merge-base", "--is-ancestor", ancestor, commit)
		except CommandFailed:
			return False
		return True

	def _remove_locks(self, *names: str) -> None:
		"""Remove the lock files of these entries of git's directory, and of all below them."""
		for name in names:
			entry = self.path / self._read("rev-parse", "--git-path", name).rstrip("\n")
			for lock in (entry.with_name(f"{entry.name}.lock"), *entry.rglob("*.lock")):
				lock.unlink(missing_ok=True)

	def _way_to_hosts(self) -> dict[str, str]:
		"""Ours, unless somebody set one: a deploy key per repository stands in `core.sshCommand`."""
		if {"GIT_SSH_COMMAND", "GIT_SSH"} & os.environ.keys():
			return {}
		try:
			self._read("config", "--get", "core.sshCommand")
		except CommandFailed:
			return {"GIT_SSH_COMMAND": SSH_COMMAND}
		return {}

	def _read(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
		return self._programs.execute(
			_git(self.path, *arguments),
			timeout=LOCAL_SECONDS,
			doing=f"Reading {self.path.name} with",
			environment=environment,
		)


def is_full_commit(ref: str) -> bool:
	return len(ref) == 40 and not set(ref) - set("0123456789abcdef")


def matches_expected(commit: str, expected: str | None) -> bool:
	return expected is None or commit.startswith(expected)


def check_expected(app: str, commit: str, expected: str | None) -> None:
	"""Raise `StepFailed` when the remote's commit is another one than the plan's."""
	if not matches_expected(commit, expected):
		raise StepFailed(
			"Comparing commits of",
			app,
			f"the ref is at {commit[:12]}, the plan expects {expected}",
			"correct expected_commit in the plan, or have the remote corrected",
		)
