"""The preview instance, with a real gunicorn: it answers while the public gets 503, and leaves nothing."""

import json

import psutil
import pytest

from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.preview import open_preview
from press_deploy.engine.programs import RUN_VARIABLE, Programs
from press_deploy.engine.step_log import StepLog
from press_deploy.engine.web import GOOD, Web, fetch

from .support import OWN, SITE, make_bench, make_spec, wait_until

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
		assert address.startswith("http://127.0.0.1:") and left()
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
