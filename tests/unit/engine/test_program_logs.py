"""Where a program logs is read from the bench's own configuration, and never made up."""

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.program_logs import find_log, list_logs, read_logs

CONFIGURATION = """\
[program:bench-frappe-web]
stdout_logfile=/srv/logs/web.log
stderr_logfile=/srv/logs/web.error.log ; rotated

[program:bench-frappe-short-worker]
process_name=%(program_name)s-%(process_num)d
stdout_logfile=/srv/logs/worker.log
redirect_stderr=true
stderr_logfile=/srv/logs/never.log

[program:bench-frappe-schedule]
stderr_logfile=AUTO
stdout_logfile=logs/schedule.log

[program:bench-many]
stderr_logfile=/srv/logs/%(process_num)d.log
"""


@pytest.fixture
def bench(tmp_path):
	(tmp_path / "config").mkdir()
	(tmp_path / "config" / "supervisor.conf").write_text(CONFIGURATION)
	return Bench(tmp_path)


@pytest.mark.parametrize(
	("program", "log"),
	[
		("bench-web:bench-frappe-web", "/srv/logs/web.error.log"),
		("bench-workers:bench-frappe-short-worker-0", "/srv/logs/worker.log"),
		("bench-workers:bench-frappe-schedule", "{}/logs/schedule.log"),
		("bench-workers:bench-many_01", "{}/logs"),
		("other:bench-frappe-web-more", "{}/logs"),
		("bench-frappe-web.service", "journalctl -u bench-frappe-web.service"),
	],
)
def test_where_a_program_logs(bench, program, log):
	assert find_log(bench, program) == log.format(bench.path)


@pytest.mark.parametrize("content", [None, b"[program:web\n", b"\xff\xfe"])
def test_without_a_file_that_can_be_read_the_directory_of_the_logs_is_named(tmp_path, content):
	(tmp_path / "config").mkdir()
	if content is not None:
		(tmp_path / "config" / "supervisor.conf").write_bytes(content)
	assert find_log(Bench(tmp_path), "a:b") == str(tmp_path / "logs")


def test_several_are_named_once_each_and_can_be_typed(bench):
	web, unit = "bench-web:bench-frappe-web", "bench-web.service"
	assert list_logs(bench, [web, web, unit]) == "/srv/logs/web.error.log, journalctl -u bench-web.service"
	assert read_logs(bench, [web, web, unit, "none"]).split("; ") == [
		"tail -n 100 /srv/logs/web.error.log",
		"journalctl -u bench-web.service -n 100",
		f"ls -t {bench.logs}",
	]
