"""The preview instance, with a real gunicorn: it answers while the public gets 503, and leaves nothing."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from press_deploy.engine.bench.answer import GOOD, REFUSED
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.preview import BOOT, PREVIEW, SOCKET, open_preview, remove_leftovers
from press_deploy.engine.bench.programs import RUN_VARIABLE, Programs
from press_deploy.engine.bench.step_log import StepLog
from press_deploy.engine.bench.web import Web, fetch
from press_deploy.engine.ground.errors import StepFailed

from .support import OWN, SITE, make_bench, make_spec, put_python, wait_until

# Answers with what the site's own configuration says, as the preview instance sees it.
APPLICATION = """
import json, os
def application(environ, start_response):
	path = os.path.join(os.environ["SITES_PATH"], environ["HTTP_HOST"], "site_config.json")
	with open(path) as file:
		config = json.load(file)
	common = json.load(open(os.path.join(os.environ["SITES_PATH"], "common_site_config.json")))
	closed = config.get("maintenance_mode") or common.get("maintenance_mode")
	start_response("503 Closed" if closed else "200 OK", [])
	return [json.dumps({"config": config, "link": open(environ["HTTP_HOST"] + "/note.txt").read()}).encode()]
"""


@pytest.fixture
def bench(tmp_path):
	path = make_bench(tmp_path / "bench")
	put_python(path)
	(path / "sites" / "tiny.py").write_text(APPLICATION)
	(path / "sites" / SITE / "note.txt").write_text("linked")
	(path / "sites" / SITE / "site_config.json").write_text(
		json.dumps({"db_password": "x", "maintenance_mode": 1})
	)
	(path / "sites" / "common_site_config.json").write_text(json.dumps({"maintenance_mode": 1, "a": 2}))
	(path / "config" / "press_deploy.json").write_text(json.dumps({"web_application": "tiny:application"}))
	return Bench(path)


@pytest.fixture
def programs():
	return Programs(f"{OWN}-run-preview")


@pytest.fixture
def opened(bench, programs, tmp_path):
	"""The context manager, ready to be entered."""
	web = Web(bench, make_spec())
	return open_preview(bench, [SITE], tmp_path / "run" / "preview", programs, web), web


def left():
	found = []
	for process in psutil.process_iter():
		try:
			if (
				process.environ().get(RUN_VARIABLE) == f"{OWN}-run-preview"
				and process.status() != psutil.STATUS_ZOMBIE
			):
				found.append(process)
		except psutil.Error:
			continue
	return found


def files(bench):
	return {
		path: path.read_text()
		for path in bench.path.rglob("*")
		if path.is_file() and "__pycache__" not in path.parts
	}


def test_it_answers_while_the_site_is_closed_and_leaves_nothing(bench, opened, tmp_path):
	before, (preview, web) = files(bench), opened
	with preview as address:
		answer = web.ask(SITE, address=address)
		assert (answer.kind, json.loads(answer.text)) == (
			GOOD,
			{"config": {"db_password": "x"}, "link": "linked"},
		)
		assert left()
		for copy in (tmp_path / "run" / "preview").rglob("*.json"):
			assert copy.is_symlink() or copy.stat().st_mode & 0o077 == 0
	# Its port may be another's by now; what has ended can't answer there.
	assert not left()
	assert not (tmp_path / "run" / "preview").exists() and files(bench) == before


def test_an_error_inside_leaves_nothing_either(opened):
	with pytest.raises(KeyboardInterrupt), opened[0]:
		assert left()
		raise KeyboardInterrupt
	assert not left()


def test_what_a_killed_runner_left_does_not_stop_it(opened, tmp_path):
	(tmp_path / "run" / "preview" / "sites" / SITE).mkdir(parents=True)
	(tmp_path / "run" / "preview" / "sites" / SITE / "site_config.json").write_text("{}")
	with opened[0] as address:
		assert fetch(address, headers={"Host": SITE}).kind == GOOD


def test_what_it_said_is_kept_in_the_step_s_log_without_passwords(bench, programs, opened, tmp_path):
	(bench.sites_directory / "tiny.py").write_text(
		APPLICATION + "\nimport sys\nprint('from redis://me:geheim@cache', file=sys.stderr)\n"
	)
	programs.log, log = StepLog(tmp_path / "step.log"), tmp_path / "step.log"
	preview, web = opened
	with preview as address:
		assert web.ask(SITE, address=address).kind == GOOD
	assert "preview: from redis://***@cache\n" in log.read_text()
	assert "geheim" not in log.read_text()


@pytest.mark.parametrize(
	"code", ["import no_such_module", "raise RuntimeError('broken release')", "application = ("]
)
def test_code_that_does_not_import_is_a_failure_that_says_so(bench, opened, tmp_path, code):
	(bench.sites_directory / "tiny.py").write_text(code)
	with pytest.raises(StepFailed) as caught, opened[0]:
		pytest.fail("it came up")
	assert caught.value.remedy and caught.value.why
	wait_until(lambda: not left(), "the end of the preview instance")
	assert not (tmp_path / "run" / "preview").exists()


# As another user of this machine: ask at a socket, and say what came of it.
STRANGER = """
import http.client, socket, sys
connection = http.client.HTTPConnection(sys.argv[2])
connection.sock = socket.socket(socket.AF_UNIX)
try:
	connection.sock.connect(sys.argv[1])
except OSError as error:
	print(type(error).__name__)
else:
	connection.request("GET", "/")
	print(connection.getresponse().status)
"""
NOBODY = 65534


def ask_as_stranger(path):
	done = subprocess.run(
		["/usr/bin/python3", "-I", "-c", STRANGER, path, SITE],
		**({"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}),
		cwd="/",
		capture_output=True,
		text=True,
		timeout=60,
	)
	return done.stdout.strip() or done.stderr


@pytest.fixture
def seen_by_all():
	"""A directory that every user may enter, unlike those of pytest."""
	directory = Path(tempfile.mkdtemp(prefix="press_deploy-"))
	directory.chmod(0o755)
	yield directory
	shutil.rmtree(directory)


def test_no_other_user_reaches_it(bench, programs, seen_by_all):
	web = Web(bench, make_spec())
	directory = seen_by_all / "preview"
	with open_preview(bench, [SITE], directory, programs, web) as address:
		path = str(directory / SOCKET)
		assert directory.stat().st_mode & 0o777 == 0o700
		if os.getuid() == 0:
			assert ask_as_stranger(path) == "PermissionError"
		# It is the directory that keeps them out, and nothing else.
		directory.chmod(0o755)
		assert ask_as_stranger(path) == "200"
		for process in left():
			assert not [each for each in process.net_connections("inet") if each.status == "LISTEN"]
		assert web.ask(SITE, address=address).kind == GOOD


def test_it_is_reached_by_a_path_that_no_socket_may_have(bench, programs, tmp_path):
	web, directory = Web(bench, make_spec()), tmp_path / ("d" * 120) / "Preview é%2F"
	with open_preview(bench, [SITE], directory, programs, web) as address:
		assert web.ask(SITE, address=address).kind == GOOD
	assert fetch(address).kind == REFUSED


def test_what_is_left_of_a_killed_runner_is_removed(tmp_path):
	for name in (PREVIEW, BOOT, "backup"):
		(tmp_path / name / "sites" / SITE).mkdir(parents=True)
		(tmp_path / name / "sites" / SITE / "site_config.json").write_text('{"db_password": "x"}')
	remove_leftovers(tmp_path)
	assert [path.name for path in tmp_path.iterdir()] == ["backup"]
