"""Code by file copy, on real files and over a real SSH server: nothing leaves the app, originals come back."""

import getpass
import hashlib
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.demo.ports import choose_port
from press_deploy.engine.bench.file_copy import FileCopy, fetch_command
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import CommandFailed, StepFailed
from press_deploy.engine.plan.spec import App

from .support import wait_until

NEW = {"shop/api.py": "new api", "shop/added/deep.py": "added", "shop/tool.sh": "new tool"}
OLD = {"shop/api.py": "old api", "shop/tool.sh": "old tool", "shop/other.py": "other"}


def write(root, files):
	for name, content in files.items():
		(root / name).parent.mkdir(parents=True, exist_ok=True)
		(root / name).write_text(content)


def snapshot(root):
	return {
		str(path.relative_to(root)): (path.read_text(), path.stat().st_mode & 0o777)
		for path in root.rglob("*")
		if path.is_file()
	}


@pytest.fixture
def places(tmp_path):
	"""The app as it is, the files of the release, and the run's private directory."""
	write(tmp_path / "apps/shop", OLD)
	(tmp_path / "apps/shop/shop/tool.sh").chmod(0o755)
	write(tmp_path / "source", NEW)
	(tmp_path / "private").mkdir()
	return SimpleNamespace(
		app=tmp_path / "apps/shop", source=tmp_path / "source", private=tmp_path / "private"
	)


@pytest.fixture
def make_copy(places):
	def make(names=tuple(NEW), hashes=None, **fields) -> FileCopy:
		files = [
			{
				"path": name,
				"sha256": (hashes or {}).get(name) or hashlib.sha256(NEW.get(name, "").encode()).hexdigest(),
			}
			for name in names
		]
		app = App(name="shop", method="copy", source=str(places.source), files=files, **fields)
		return FileCopy(app, places.app, places.private, Programs())

	return make


def test_files_are_replaced_and_come_back(places, make_copy):
	before, copy = snapshot(places.app), make_copy()
	copy.check_targets()
	copy.stage()
	kept = copy.keep_originals()
	assert snapshot(places.app) == before and not copy.is_applied() and copy.is_undone(kept)
	for _time in range(2):
		copy.apply(kept)
	assert copy.is_applied() and not copy.is_undone(kept)
	assert snapshot(places.app)["shop/tool.sh"] == ("new tool", 0o755)
	assert snapshot(places.app)["shop/other.py"] == before["shop/other.py"]
	for _time in range(2):
		copy.undo(kept)
	assert copy.is_undone(kept) and not copy.is_applied() and snapshot(places.app) == before


def test_what_people_edited_since_is_kept_before_it_is_written_over(places, make_copy, tmp_path):
	before, copy = snapshot(places.app), make_copy()
	copy.stage()
	kept = copy.keep_originals()
	copy.apply(kept)
	assert copy.keep_edited(kept, tmp_path / "edited") == []
	(places.app / "shop/api.py").write_bytes(b"caf\xe9\r\n")
	(places.app / "shop/tool.sh").write_text(OLD["shop/tool.sh"])
	assert copy.keep_edited(kept, tmp_path / "edited") == ["shop/api.py"]
	copy.undo(kept)
	assert snapshot(places.app) == before and copy.keep_edited(kept, tmp_path / "edited") == []
	assert (tmp_path / "edited/shop/api.py").read_bytes() == b"caf\xe9\r\n"


def test_what_is_kept_says_what_was_there_absence_included(make_copy):
	kept = {entry["path"]: entry for entry in make_copy().keep_originals()}
	assert kept["shop/added/deep.py"]["sha256"] is None
	assert kept["shop/api.py"]["sha256"] == hashlib.sha256(b"old api").hexdigest()
	assert kept["shop/tool.sh"]["mode"] == 0o755


@pytest.mark.parametrize("replaced", range(len(NEW) + 1))
def test_a_half_made_copy_goes_on_or_back(places, make_copy, monkeypatch, replaced):
	before, copy = snapshot(places.app), make_copy()
	copy.stage()
	kept, replace, calls = copy.keep_originals(), os.replace, []

	def die(*arguments):
		calls.append(arguments)
		if len(calls) > replaced:
			raise KeyboardInterrupt
		replace(*arguments)

	monkeypatch.setattr(os, "replace", die)
	if replaced < len(NEW):
		with pytest.raises(KeyboardInterrupt):
			copy.apply(kept)
	monkeypatch.undo()
	copy.undo(kept)
	assert snapshot(places.app) == before
	copy.apply(kept)
	assert copy.is_applied() and set(snapshot(places.app)) == {*OLD, *NEW}


def link_file(places):
	(places.app / "shop/api.py").unlink()
	(places.app / "shop/api.py").symlink_to(places.source.parent / "outside.txt")


def link_directory(places):
	shutil.rmtree(places.app / "shop")
	(places.source.parent / "elsewhere").mkdir()
	(places.app / "shop").symlink_to(places.source.parent / "elsewhere")


def dangling_link(places):
	(places.app / "shop/added").symlink_to("/nonexistent")


def directory(places):
	(places.app / "shop/added/deep.py").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [link_file, link_directory, dangling_link, directory])
def test_no_target_is_reached_through_a_link(places, make_copy, spoil):
	outside = places.source.parent / "outside.txt"
	outside.write_text("precious")
	spoil(places)
	copy = make_copy()
	for check in (copy.check_targets, copy.keep_originals):
		with pytest.raises(StepFailed) as caught:
			check()
		assert caught.value.remedy
	assert outside.read_text() == "precious" and not list(places.private.iterdir())


def test_a_planted_link_is_not_written_through(places, make_copy):
	outside = places.source.parent / "outside.txt"
	outside.write_text("precious")
	copy = make_copy()
	copy.stage()
	kept = copy.keep_originals()
	(places.app / "shop/.api.py.press_deploy").symlink_to(outside)
	copy.apply(kept)
	assert outside.read_text() == "precious" and copy.is_applied()
	assert not (places.app / "shop/api.py").is_symlink()


@pytest.mark.parametrize(
	"spoil",
	[
		lambda source: (source / "shop/api.py").unlink(),
		lambda source: (source / "shop/api.py").write_text("new apj"),
		lambda source: (source / "shop/api.py").write_text(""),
		lambda source: ((source / "shop/api.py").unlink(), (source / "shop/api.py").mkdir()),
		lambda source: (
			(source / "shop/api.py").rename(source / "real"),
			(source / "shop/api.py").symlink_to(source / "real"),
		),
	],
	ids=["missing", "changed", "empty", "a directory", "a link"],
)
def test_a_source_that_is_not_the_plan_s_is_refused_before_anything_is_touched(places, make_copy, spoil):
	before = snapshot(places.app)
	spoil(places.source)
	copy = make_copy()
	with pytest.raises(StepFailed):
		copy.check_targets()
	with suppress(StepFailed, OSError):  # through a link the content may be right
		copy.stage()
	assert snapshot(places.app) == before


def test_a_source_that_changes_after_staging_changes_nothing(places, make_copy):
	copy = make_copy()
	copy.stage()
	(places.source / "shop/api.py").write_text("evil")
	copy.apply([{"path": name, "mode": 0o644, "sha256": None} for name in NEW])
	assert copy.is_applied()


def test_the_argument_list_holds_host_and_path_behind_the_options():
	command = fetch_command("ada@host", "/srv/new/a.py", Path("/x"))
	assert command[command.index("--") + 1 :] == ["ada@host:/srv/new/a.py", "/x"] and "-B" in command


needs_ssh = pytest.mark.skipif(
	not (os.path.exists("/usr/sbin/sshd") and shutil.which("scp")), reason="no SSH server on this machine"
)


@pytest.fixture
def ssh_host(tmp_path, monkeypatch):
	"""A server of our own on loopback; an `scp` in front of the real one knows its port and key."""
	ssh = tmp_path / "ssh"
	ssh.mkdir(mode=0o700)
	for name in ("host", "user"):
		subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / name], check=True)
	shutil.copy(ssh / "user.pub", ssh / "authorized")
	port = choose_port()
	(ssh / "known").write_text(f"[127.0.0.1]:{port} {(ssh / 'host.pub').read_text()}")
	(ssh / "config").write_text(
		f"Port {port}\nListenAddress 127.0.0.1\nHostKey {ssh}/host\nAuthorizedKeysFile {ssh}/authorized\n"
		f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
		"Subsystem sftp internal-sftp\n"
	)
	options = f"-F /dev/null -P {port} -i {ssh}/user -o UserKnownHostsFile={ssh}/known -o IdentitiesOnly=yes"
	(tmp_path / "bin").mkdir()
	wrapper = tmp_path / "bin" / "scp"
	wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("scp")} {options} "$@"\n')
	wrapper.chmod(0o755)
	monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
	if os.geteuid() == 0:
		Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd wants it for its unprivileged half
	with (ssh / "log").open("wb") as log:
		server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", ssh / "config"], stderr=log)

	def listens():
		assert server.poll() is None, (ssh / "log").read_text()
		with socket.socket() as client:
			return client.connect_ex(("127.0.0.1", port)) == 0

	try:
		wait_until(listens, "the SSH server")
		yield f"{getpass.getuser()}@127.0.0.1"
	finally:
		server.terminate()
		server.wait()


@needs_ssh
def test_files_come_from_an_ssh_host(places, make_copy, ssh_host):
	copy = make_copy(ssh_host=ssh_host)
	copy.check_targets()
	copy.stage()
	kept = copy.keep_originals()
	copy.apply(kept)
	assert copy.is_applied()
	copy.undo(kept)
	assert copy.is_undone(kept)


@needs_ssh
def test_a_host_with_another_key_gets_no_trust(places, make_copy, ssh_host, tmp_path):
	subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
	known = tmp_path / "ssh" / "known"
	known.write_text(f"{known.read_text().split()[0]} {(tmp_path / 'other.pub').read_text()}")
	with pytest.raises(CommandFailed, match="Host key verification failed"):
		make_copy(ssh_host=ssh_host).stage()


@needs_ssh
@pytest.mark.parametrize("spoil", ["missing", "changed"])
def test_a_wrong_file_of_an_ssh_host_is_refused(places, make_copy, ssh_host, spoil):
	file, before = places.source / "shop/api.py", snapshot(places.app)
	file.unlink() if spoil == "missing" else file.write_text("evil")
	with pytest.raises((StepFailed, CommandFailed)) as caught:
		make_copy(ssh_host=ssh_host).stage()
	assert caught.value.remedy and snapshot(places.app) == before


def test_an_unreachable_host_is_an_error(make_copy):
	with pytest.raises(CommandFailed):
		make_copy(ssh_host="host.invalid").stage()
