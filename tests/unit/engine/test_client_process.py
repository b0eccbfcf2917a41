"""Programs with one pipe to them or from them, and nothing of them left behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from press_deploy.engine.databases.mariadb.client_process import close_pipe, end_client, start_client
from press_deploy.engine.ground.errors import CommandFailed

# Starts a process of its own, says its number, and waits to be ended.
WITH_CHILD = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
import time; time.sleep(600)
"""


@pytest.fixture
def errors() -> Iterator[IO[bytes]]:
	with tempfile.TemporaryFile() as file:
		yield file


def test_it_inherits_the_option_file_and_writes_to_its_pipe(tmp_path: Path, errors: IO[bytes]):
	(tmp_path / "options").write_text("[client]")
	with (tmp_path / "options").open() as options, (tmp_path / "options").open() as other:
		os.set_inheritable(other.fileno(), True)
		process = start_client(
			[sys.executable, "-c", READ, str(options.fileno()), str(other.fileno())], options.fileno(), errors
		)
		assert process.stdout
		assert process.stdout.read() == b"[client] True True"
		end_client(process)
	assert process.returncode == 0 and process.stdout.closed


# What is in the file with the first number; whether the second is closed, and there is nothing to read.
READ = """
import os, sys
first, second = map(int, sys.argv[1:])
try:
	is_closed = os.fstat(second) is None
except OSError:
	is_closed = True
sys.stdout.write(f"{os.read(first, 99).decode()} {is_closed} {sys.stdin.read() == ''}")
"""


def test_one_that_is_fed(errors: IO[bytes]):
	process = start_client(["cat"], None, errors, is_fed=True)
	assert process.stdin and not process.stdout
	assert not os.get_blocking(process.stdin.fileno())
	os.write(process.stdin.fileno(), b"words")
	close_pipe(process)
	assert process.wait(60) == 0
	end_client(process)


def test_it_is_ended_with_what_it_started(errors: IO[bytes]):
	process = start_client([sys.executable, "-c", WITH_CHILD], None, errors)
	assert process.stdout
	child = psutil.Process(int(process.stdout.readline()))
	end_client(process)
	assert process.returncode == -9
	assert psutil.wait_procs([child], 60)[1] == [] or child.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_is_not_there(tmp_path: Path, errors: IO[bytes]):
	with pytest.raises(CommandFailed) as caught:
		start_client([str(tmp_path / "no-such")], None, errors, remedy="install mariadb-backup")
	assert "no-such" in str(caught.value) and "install mariadb-backup" in str(caught.value)
