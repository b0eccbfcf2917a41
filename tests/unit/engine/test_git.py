"""Git, with real repositories: nothing of a ref is an option, and no hook runs."""

import os
import subprocess

import pytest

from press_deploy.engine.bench import git as engine_git
from press_deploy.engine.bench.git import (
	Position,
	Repository,
	check_expected,
	is_full_commit,
	matches_expected,
)
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import CommandFailed, StepFailed

from .support import commit_file, git


@pytest.fixture
def origin(tmp_path):
	path = tmp_path / "origin"
	path.mkdir()
	git(path, "init", "--quiet")
	commit_file(path, "version.txt", "1")
	return path


@pytest.fixture
def app(tmp_path, origin):
	path = tmp_path / "apps" / "shop"
	subprocess.run(["git", "clone", "--quiet", "--origin", "upstream", origin, path], check=True)
	return path


@pytest.fixture
def repository(app):
	return Repository(app, Programs())


def test_a_position_is_commit_and_branch(origin, app, repository):
	commit = git(origin, "rev-parse", "HEAD")
	assert repository.position() == Position(commit, "main")
	git(app, "checkout", "--quiet", "--detach")
	assert repository.position() == Position(commit, None)


@pytest.mark.parametrize("name", ["new.txt", "version.txt", "with space", "é.txt"])
def test_every_change_shows(app, repository, name):
	assert repository.changes() == []
	(app / name).write_text("changed")
	assert len(repository.changes()) == 1


def test_the_remote_is_the_plan_s_or_the_usual_one(repository, app):
	assert repository.choose_remote("upstream") == "upstream"
	assert repository.choose_remote("origin") == "upstream"
	git(app, "remote", "rename", "upstream", "other")
	assert repository.choose_remote("upstream") == "upstream"


def test_the_remote_says_what_a_ref_is(origin, repository):
	first = git(origin, "rev-parse", "HEAD")
	git(origin, "tag", "light")
	git(origin, "tag", "--annotate", "heavy", "-m", "heavy")
	commit_file(origin, "version.txt", "2")
	assert repository.ask_remote("upstream", "main") == (git(origin, "rev-parse", "HEAD"), "branch")
	assert repository.ask_remote("upstream", "light") == (first, "tag")
	assert repository.ask_remote("upstream", "heavy") == (first, "tag")
	assert repository.ask_remote("upstream", "nothing") == (None, "commit")
	assert repository.ask_remote("upstream", "mai") == (None, "commit")


@pytest.mark.parametrize(
	"tag", [["tag", "both"], ["tag", "--annotate", "both", "-m", "x"]], ids=["light", "annotated"]
)
def test_what_is_fetched_is_what_was_asked_of(origin, repository, tag):
	git(origin, *tag)
	git(origin, "checkout", "--quiet", "-b", "both")
	commit_file(origin, "version.txt", "2")
	commit, kind = repository.ask_remote("upstream", "both")
	assert (repository.fetch("upstream", "both", keep_as="run"), kind) == (commit, "branch")


@pytest.mark.parametrize("ref", ["main", "heavy", "commit"])
def test_a_fetched_commit_is_kept_although_nothing_else_points_to_it(origin, app, repository, ref):
	wanted = commit_file(origin, "version.txt", "2")
	git(origin, "tag", "--annotate", "heavy", "-m", "heavy")
	before = repository.position()
	commit = repository.fetch("upstream", wanted if ref == "commit" else ref, keep_as="run-1")
	assert commit == wanted
	assert repository.position() == before and repository.changes() == []
	assert git(app, "rev-parse", "refs/press_deploy/run-1") == wanted


def test_an_unreachable_remote_is_an_error(app, repository, tmp_path):
	git(app, "remote", "set-url", "upstream", str(tmp_path / "gone"))
	for ask in (
		lambda: repository.ask_remote("upstream", "main"),
		lambda: repository.fetch("upstream", "main", "run"),
	):
		with pytest.raises(CommandFailed) as caught:
			ask()
		assert "upstream" in str(caught.value) or "main" in str(caught.value)


def test_a_ref_that_is_not_there_is_an_error(repository):
	with pytest.raises(CommandFailed):
		repository.fetch("upstream", "nothing", "run")


@pytest.mark.parametrize("branch", ["main", "version-2", None])
def test_a_switch_moves_the_tree_and_back(origin, app, repository, branch):
	before = repository.position()
	wanted = commit_file(origin, "version.txt", "2")
	repository.fetch("upstream", "main", "run")
	repository.switch(wanted, branch)
	assert repository.position() == Position(wanted, branch) and repository.changes() == []
	assert (app / "version.txt").read_text() == "2"
	repository.switch(before.commit, before.branch)
	if branch and branch != before.branch:
		repository.restore_branch(branch, None)
	assert repository.position() == before and repository.changes() == []
	assert git(app, "branch", "--format=%(refname:short)") == "main"


def test_a_torn_switch_is_mended(origin, app, repository):
	wanted = commit_file(origin, "version.txt", "2")
	commit_file(origin, "gone.txt", "x")
	repository.fetch("upstream", "main", "run")
	(app / "version.txt").write_text("half")
	(app / "gone.txt").write_text("half")
	repository.switch(wanted, "main")
	assert (app / "version.txt").read_text() == "2" and repository.position().commit == wanted


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock"])
def test_locks_of_a_killed_git_do_not_stop_a_switch(origin, app, repository, lock):
	wanted = commit_file(origin, "version.txt", "2")
	repository.fetch("upstream", "main", "run")
	(app / ".git" / lock).write_text("")
	repository.switch(wanted, "main")
	assert repository.position() == Position(wanted, "main")


def test_locks_of_a_killed_git_do_not_stop_a_fetch(app, repository):
	repository.fetch("upstream", "main", "run")
	(app / ".git/refs/press_deploy/run.lock").write_text("")
	assert repository.fetch("upstream", "main", "run") == repository.position().commit


def test_a_work_tree_of_its_own_can_be_switched(app, tmp_path):
	git(app, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
	tree = Repository(tmp_path / "tree", Programs())
	commit = tree.position().commit
	assert tree.exists()
	tree.switch(commit, "other")
	assert tree.position() == Position(commit, "other")


def test_a_branch_that_was_elsewhere_is_put_back(app, repository):
	old = repository.position().commit
	git(app, "branch", "release")
	new = commit_file(app, "version.txt", "2")
	git(app, "branch", "--force", "release", new)
	repository.restore_branch("release", old)
	assert repository.branch_commit("release") == old
	repository.restore_branch("release", None)
	assert repository.branch_commit("release") is None
	repository.restore_branch("release", None)


def test_hooks_never_run(origin, app, repository, tmp_path):
	for hook in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
		file = app / ".git" / "hooks" / hook
		file.parent.mkdir(exist_ok=True)
		file.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
		file.chmod(0o755)
	wanted = commit_file(origin, "version.txt", "2")
	repository.fetch("upstream", "main", "run")
	repository.switch(wanted, "main")
	assert not (tmp_path / "ran").exists()
	git(app, "checkout", "--quiet", "--detach")
	assert (tmp_path / "ran").exists(), "the hook itself does not work, so the test shows nothing"


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"])
def test_the_environment_of_a_hook_leads_nowhere(repository, monkeypatch, tmp_path, name):
	before = repository.position()
	monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
	assert repository.position() == before and repository.changes() == []


ODD_NAMES = [
	"shop/patches.txt",
	"é/doctype/é/é.json",
	"a b.json",
	'quo"te.json',
	"tab\t.json",
	"new\nline.json",
]


def test_changed_files_have_their_own_names(app, repository):
	before = repository.position().commit
	for name in ODD_NAMES:
		commit_file(app, name, "x")
	git(app, "mv", "version.txt", "renamed.txt")
	git(app, "commit", "--quiet", "-m", "Rename")
	changed = repository.changed_files(before, repository.position().commit)
	assert sorted(changed) == sorted([*ODD_NAMES, "version.txt", "renamed.txt"])
	assert repository.changed_files(before, before) == []


def test_history_is_told_from_a_side_line(app, repository):
	first = repository.position().commit
	second = commit_file(app, "version.txt", "2")
	assert repository.contains(first, second) and not repository.contains(second, first)


@pytest.mark.parametrize(
	"commit,expected,fits",
	[
		("a" * 40, None, True),
		("a" * 40, "aaaaaaa", True),
		("a" * 40, "a" * 40, True),
		("a" * 40, "aaaaaab", False),
	],
)
def test_the_expected_commit_is_a_beginning_of_it(commit, expected, fits):
	assert matches_expected(commit, expected) is fits
	if fits:
		check_expected("shop", commit, expected)
	else:
		with pytest.raises(StepFailed, match="the plan expects"):
			check_expected("shop", commit, expected)


@pytest.mark.parametrize(
	"ref,full", [("a" * 40, True), ("a" * 39, False), ("A" * 40, False), ("g" * 40, False)]
)
def test_a_full_commit_is_known_by_its_look(ref, full):
	assert is_full_commit(ref) is full


@pytest.mark.parametrize(
	"command",
	[
		engine_git.fetch_command("app", "upstream", "main"),
		engine_git.list_remote_command("app", "upstream", "main"),
	],
)
def test_what_comes_from_a_plan_stands_behind_the_options(command):
	end = command.index("--")
	assert command.index("upstream") > end and "core.hooksPath=/dev/null" in command
	assert not [argument for argument in command[end:] if argument.startswith("-") and argument != "--"]


def test_switching_takes_a_commit_and_no_path():
	assert engine_git.switch_command("app", "a" * 40, None)[-2:] == ["a" * 40, "--"]
	assert engine_git.switch_command("app", "a" * 40, "b")[-4:] == ["-B", "b", "a" * 40, "--"]


EDITS = [b"one\r\ntwo\r\n", b"caf\xe9\n", b"\xff\xfe\x00\x01", b"no newline at the end", b"\r\r\n\n"]


@pytest.mark.parametrize("edited", EDITS)
@pytest.mark.parametrize("autocrlf", ["false", "input"])
def test_a_difference_brings_the_very_bytes_back(app, repository, tmp_path, edited, autocrlf):
	git(app, "config", "core.autocrlf", autocrlf)
	(app / "version.txt").write_bytes(edited)
	# What people have in their configuration makes git show something else than a patch.
	for key, value in {"color.ui": "always", "diff.noprefix": "true", "diff.external": "/bin/false"}.items():
		git(app, "config", key, value)
	patch = tmp_path / "kept.patch"
	patch.write_bytes(repository.difference())
	assert repository.takes(patch)
	git(app, "checkout", "--force", "HEAD", "--", ".")
	assert (app / "version.txt").read_bytes() != edited
	git(app, "-c", "core.autocrlf=false", "apply", str(patch))
	assert (app / "version.txt").read_bytes() == edited


def test_a_patch_that_git_does_not_read_back_is_found_out(app, repository, tmp_path):
	(app / "version.txt").write_bytes(b"caf\xe9\n")
	patch = tmp_path / "kept.patch"
	patch.write_bytes(repository.difference().replace(b"-1", b"-2"))
	assert not repository.takes(patch)
	assert (app / "version.txt").read_bytes() == b"caf\xe9\n" and repository.changed_paths()
	assert [str(path) for path in repository.changed_paths()] == ["version.txt"]


def make_ssh_command(directory, name):
	"""A stand-in for ssh that knows a deploy key: it says that it was used, and does on this machine what git asks."""
	command = directory / name
	command.write_text(
		f'#!/bin/sh\necho "$@" >>{directory}/{name}.used\nfor last; do :; done\nexec sh -c "$last"\n'
	)
	command.chmod(0o755)
	return command


@pytest.mark.parametrize("place", ["repository", "environment"])
def test_a_deploy_key_of_one_s_own_is_used(origin, app, repository, tmp_path, monkeypatch, place):
	command = make_ssh_command(tmp_path, "deploy-key")
	git(app, "remote", "set-url", "upstream", f"ssh://git@shop.invalid{origin}")
	if place == "repository":
		git(app, "config", "core.sshCommand", f"{command} -i key")
	else:
		monkeypatch.setenv("GIT_SSH_COMMAND", f"{command} -i key")
	commit = commit_file(origin, "version.txt", "2")
	assert repository.ask_remote("upstream", "main") == (commit, "branch")
	assert repository.fetch("upstream", "main", "kept") == commit
	assert (tmp_path / "deploy-key.used").read_text().count("-i key") >= 2


def test_where_nobody_says_how_a_host_is_reached_nothing_is_asked(app, repository, tmp_path, monkeypatch):
	make_ssh_command(tmp_path, "ssh")
	monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
	monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
	git(app, "remote", "set-url", "upstream", f"ssh://git@shop.invalid{app}")
	assert repository.ask_remote("upstream", "main")[1] == "branch"
	assert "BatchMode=yes" in (tmp_path / "ssh.used").read_text()
