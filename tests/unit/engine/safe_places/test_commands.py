"""What is executed for an SSH host, and how its failures are told."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from press_deploy.engine.ground.errors import CommandFailed
from press_deploy.engine.plan.safe_places import SshPlace
from press_deploy.engine.safe_places.base import StoredFile
from press_deploy.engine.safe_places.ssh import script_command, send_command, ssh_command
from press_deploy.engine.safe_places.ssh_errors import translate

SPEC = SshPlace(host="backup@vault", port=2222, path="/srv/b", identity_file="/home/frappe/.ssh/id")
FILE = StoredFile(Path("/bench/a b/x.gz"), "x.gz", 1, "0" * 64)


def test_nothing_is_asked_and_no_new_host_is_trusted():
	command = ssh_command(SPEC)
	assert {"-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes"} <= set(command)
	assert command[command.index("-p") + 1] == "2222"
	assert command[command.index("-i") + 1] == "/home/frappe/.ssh/id"


def test_the_remote_shell_sees_one_constant_script_and_quoted_names():
	command = script_command(SPEC, 'cd -- "$1"', "a;b", "$(id)", "'")
	assert command[-3:-1] == ["--", "backup@vault"]
	assert shlex.split(command[-1]) == ["sh", "-c", 'cd -- "$1"', "sh", "/srv/b", "a;b", "$(id)", "'"]


def test_rsync_is_told_the_same_client_in_words_without_spaces():
	command = send_command(SPEC, FILE, "backup@vault:/srv/b/x.gz")
	(shell,) = [part.removeprefix("--rsh=") for part in command if part.startswith("--rsh=")]
	assert shell.split(" ") == ssh_command(SPEC)
	assert command[-3:] == ["--", "/bench/a b/x.gz", "backup@vault:/srv/b/x.gz"]


@pytest.mark.parametrize(
	"said,meant",
	[
		("exit status 255: Host key verification failed.", "host key"),
		("exit status 255: backup@vault: Permission denied (publickey).", "none of our keys"),
		("exit status 255: ssh: connect to host vault port 22: Connection timed out", "can't be reached"),
		("exit status 255", "connection was cut"),
		("exit status 30: rsync error: timeout in data send/receive", "connection was cut"),
		("exit status 11: write failed: No space left on device (28)", "no space left"),
		("exit status 127: sh: 1: rsync: not found", "program is missing"),
		("exit status 1: mkdir: cannot create directory 'x': Permission denied", "may not write"),
		("exit status 7: nobody knows", "rsync: exit status 7: nobody knows"),
	],
)
def test_failures_have_words_and_a_remedy(said, meant):
	error = translate("Sending", "vault:/srv/b", CommandFailed("Sending", "rsync", said))
	assert meant in error.why and error.remedy
