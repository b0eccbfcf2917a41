"""Executing programs: nothing asks, nothing hangs, nothing is left."""

import errno
import re
import sys
import time
from pathlib import Path

import psutil
import pytest

from press_deploy.engine.bench import programs as engine_programs
from press_deploy.engine.bench.programs import RUN_VARIABLE, Programs
from press_deploy.engine.bench.step_log import StepLog
from press_deploy.engine.ground.errors import STEP_LOG, CommandFailed, CommandTimedOut, StepFailed

from .support import HANG_SECONDS, OWN, wait_until

# A process whose child and grandchild outlive it, unless somebody ends the group.
FAMILY = "sleep 600 & sh -c 'sleep 600 & echo $! ; wait' & echo $! ; echo $$ ; wait"


def execute(*arguments, timeout=HANG_SECONDS, programs=None, **options):
	return (programs or Programs("run-1")).execute(arguments, timeout=timeout, doing="Trying", **options)


def marked(run):
	"""The living processes of a run."""
	found = []
	for process in psutil.process_iter():
		try:
			if process.environ().get(RUN_VARIABLE) == run and process.status() != psutil.STATUS_ZOMBIE:
				found.append(process.pid)
		except psutil.Error:
			continue
	return found


def test_output_is_returned_and_both_outputs_are_logged(tmp_path):
	programs = Programs()
	programs.log = StepLog(tmp_path / "step.log")
	assert execute("sh", "-c", "echo out; echo err >&2", programs=programs) == "out\n"
	assert (tmp_path / "step.log").read_text() == "$ sh -c echo out; echo err >&2\nout\nerr\n"


def test_arguments_reach_the_program_as_they_are():
	odd = ["; rm -rf /", "$(id)", "a b", "*", "é", "'", "--x"]
	assert execute(sys.executable, "-c", "import sys; print(sys.argv[1:])", *odd) == f"{odd}\n"


def test_stdin_and_nothing_else_is_read():
	assert execute("cat", stdin="x" * 200_000) == "x" * 200_000
	assert execute("cat") == ""


def test_output_that_is_no_text_is_read_byte_for_byte(tmp_path):
	programs = Programs()
	programs.log = StepLog(tmp_path / "step.log")
	output = execute("printf", r"\377\376\r\na\rb\n", programs=programs)
	assert output.encode("utf-8", "surrogateescape") == b"\xff\xfe\r\na\rb\n"
	assert execute("cat", stdin=output) == output
	assert "a" in (tmp_path / "step.log").read_text()


@pytest.mark.parametrize(
	"script,said",
	[
		("echo one; echo two >&2; exit 3", "exit status 3: two"),
		("echo one; exit 1", "exit status 1: one"),
		("exit 7", "exit status 7"),
		("kill -9 $$", "exit status -9"),
	],
)
def test_a_failure_says_why(script, said):
	with pytest.raises(CommandFailed) as caught:
		execute("sh", "-c", script)
	assert not isinstance(caught.value, CommandTimedOut)
	assert caught.value.why == said and caught.value.doing == "Trying" and caught.value.remedy


def test_a_failure_says_where_all_of_it_can_be_read(tmp_path):
	programs, log = Programs(), tmp_path / "step.log"
	with programs.logging_to(log), pytest.raises(CommandFailed) as caught:
		execute("sh", "-c", "exit 7", programs=programs)
	assert caught.value.remedy == f"see {log}" and "exit 7" in log.read_text()


def test_where_nobody_kept_what_it_said_it_can_be_typed_again(tmp_path):
	with pytest.raises(CommandFailed) as caught:
		execute("sh", "-c", "echo ssh://tok3n@git.example/x; exit 7", cwd=tmp_path)
	typed = f"cd {tmp_path} && sh -c 'echo ssh://***@git.example/x; exit 7'"
	assert caught.value.remedy == f"see all that it says: {typed}"
	with pytest.raises(CommandTimedOut) as caught:
		execute("sleep", "600", timeout=0.1)
	assert caught.value.remedy == "see all that it says: sleep 600"


def test_whatever_leaves_a_log_names_it(tmp_path):
	programs, log = Programs(), tmp_path / "step.log"
	outer = programs.log
	with pytest.raises(StepFailed) as caught, programs.logging_to(log):
		raise StepFailed("Storing", "s3://x", "the store is silent", f"see {STEP_LOG}")
	assert caught.value.remedy == f"see {log}" and programs.log is outer


@pytest.mark.parametrize("program", ["press-deploy-no-such-program", "/etc/passwd", "/"])
def test_a_program_that_cannot_be_started_is_a_failure(program):
	with pytest.raises(CommandFailed, match="Starting"):
		execute(program)


def test_past_its_time_it_is_ended_with_everything_it_started(tmp_path):
	programs = Programs(f"{OWN}-run-timeout")
	programs.log = StepLog(tmp_path / "step.log")
	with pytest.raises(CommandTimedOut, match=r"not finished after 0\.5 s"):
		execute("sh", "-c", FAMILY, timeout=0.5, programs=programs)
	assert len((tmp_path / "step.log").read_text().split()) > 3, "the family never lived"
	wait_until(lambda: not marked(f"{OWN}-run-timeout"), "the end of the whole group")


def test_a_child_in_a_session_of_its_own_does_not_hold_the_run(monkeypatch):
	monkeypatch.setattr(engine_programs, "OUTPUT_SECONDS", 0.2)
	begun = time.monotonic()
	with pytest.raises(CommandTimedOut):
		execute("sh", "-c", "setsid sleep 60 & wait", timeout=0.3, programs=Programs(f"{OWN}-run-session"))
	assert time.monotonic() - begun < HANG_SECONDS
	for pid in marked(f"{OWN}-run-session"):
		psutil.Process(pid).kill()


def test_an_interrupt_ends_the_program(monkeypatch):
	def interrupt(*_arguments, **_options):
		raise KeyboardInterrupt

	monkeypatch.setattr(engine_programs.subprocess.Popen, "communicate", interrupt)
	with pytest.raises(KeyboardInterrupt):
		execute("sleep", "600", programs=Programs(f"{OWN}-run-interrupt"))
	wait_until(lambda: not marked(f"{OWN}-run-interrupt"), "the end of the program")


def test_the_run_is_known_by_its_environment_and_nothing_asks(monkeypatch):
	monkeypatch.setenv("GIT_DIR", "/elsewhere")
	environment = Programs("run-1").environment({"A": "b"})
	assert environment[RUN_VARIABLE] == "run-1" and environment["A"] == "b" and "GIT_DIR" not in environment
	assert environment["GIT_TERMINAL_PROMPT"] == "0" and environment["SSH_ASKPASS"] == "/bin/false"
	assert RUN_VARIABLE not in Programs().environment()


def test_a_log_that_cannot_be_written_fails_nothing(tmp_path):
	for place in (tmp_path / "none" / "step.log", tmp_path, Path("/dev/full"), None):
		log = StepLog(place)
		log.write("a\n")
		log.close()
		log.write("b\n")
		log.close()


def test_a_log_loses_the_line_that_does_not_fit_and_no_other(tmp_path):
	log = StepLog(tmp_path / "step.log")
	file, refused = log._file, []

	class FullDisk:
		def write(self, text):
			refused.append(text)
			raise OSError(errno.ENOSPC, "No space left on device")

	log.write("before\n")
	log._file = FullDisk()
	log.write("lost\n")
	log._file = file
	log.write("after\n")
	assert refused == ["lost\n"], "the fault never fired"
	assert (tmp_path / "step.log").read_text() == "before\nafter\n"
	log.close()
	log.write("too late\n")
	assert (tmp_path / "step.log").read_text() == "before\nafter\n"


@pytest.mark.parametrize("status", ["0", "3"])
def test_no_password_of_an_address_is_repeated(tmp_path, status):
	programs = Programs("run")
	programs.log = StepLog(tmp_path / "step.log")
	said = "fatal: unable to access https://ada:s3cret@git.example/shop.git and ssh://tok3n@git.example/x"
	command = ["sh", "-c", f"echo '{said}' >&2; exit {status}"]
	try:
		programs.execute(command, timeout=20, doing="Trying")
		error = ""
	except CommandFailed as failed:
		error = str(failed)
		assert "https://***@git.example/shop.git" in error
	log = (tmp_path / "step.log").read_text()
	assert "***@git.example" in log and not {"s3cret", "tok3n"} & set(
		re.findall(r"\w+", log.partition("\n")[2] + error)
	)
