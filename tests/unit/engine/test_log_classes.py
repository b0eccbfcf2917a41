"""What is held against a release, and what is not.

The files in log_samples were written by a real bench whose services (gunicorn, RQ, Redis, socketio, scheduler) were
restarted twenty times under load, and by four processes that rotated one log; only names and ports were changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from press_deploy.engine.watching import logs
from press_deploy.engine.watching.log_classes import CLASSES, Weight, classify
from press_deploy.engine.watching.log_entries import Entry, Origin

SAMPLES = Path(__file__).parent / "log_samples"
SITE_PACKAGES = "/home/frappe/frappe-bench/env/lib/python3.11/site-packages"
LIBRARY = "/usr/lib/python3.11/socket.py"
FRAPPE = "/home/frappe/frappe-bench/apps/frappe/frappe/utils/background_jobs.py"
APP = "/home/frappe/frappe-bench/apps/shop/shop/orders.py"
REDIS, RQ = f"{SITE_PACKAGES}/redis/connection.py", f"{SITE_PACKAGES}/rq/worker.py"
GUNICORN, WERKZEUG = f"{SITE_PACKAGES}/gunicorn/util.py", f"{SITE_PACKAGES}/werkzeug/wsgi.py"
REQUESTS = f"{SITE_PACKAGES}/requests/adapters.py"
PROGRAM = "/home/frappe/frappe-bench/env/bin/gunicorn"


def sample(name: str, settled: bool = True) -> dict[str, set[str]]:
	"""The classes of what a sample holds, each with its texts."""
	file = SAMPLES / f"{name}.txt"
	found: dict[str, set[str]] = {}
	for finding in logs.errors_since({}, [file], logs.mark([file]) if settled else None):
		found.setdefault(finding.log_class.name, set()).add(finding.example)
	return found


@pytest.mark.parametrize(
	("name", "classes"),
	[
		("logging", {"logging"}),
		("workers", {"restart"}),
		("worker-start", {"restart"}),
		("node", {"restart"}),
		("gunicorn", {"stopping"}),
		("frappe", {"pointer", "restart"}),
	],
)
def test_what_a_real_bench_says_while_it_restarts_is_not_held_against_a_release(name, classes):
	assert set(sample(name)) == classes


@pytest.mark.parametrize("name", ["workers", "worker-start", "node", "frappe"])
def test_the_same_after_services_had_settled_is(name):
	found = sample(name, settled=False)
	assert "restart" not in found and found["release"]


def test_a_job_that_the_scheduler_finds_queued_already_is_no_error(tmp_path):
	line = "2026-11-30 13:36:00,384 ERROR scheduler Skipped queueing {} because it was found in queue for test.localhost\n"
	text = line.format("press.press.doctype.site.site.sync") + line.format("shop.tasks.bill").replace(
		"found", "lost"
	)
	(tmp_path / "scheduler.log").write_text(text)
	findings = logs.errors_since({}, [tmp_path / "scheduler.log"])
	assert {each.log_class.name: each.count for each in findings} == {"release": 1, "queued": 1}


def test_failures_of_logging_are_one_finding_that_is_shown(tmp_path):
	(tmp_path / "a.log").write_text((SAMPLES / "logging.txt").read_text() * 3)
	findings = [each.as_data() for each in logs.errors_since({}, [tmp_path / "a.log"])]
	assert {each["class"] for each in findings} == {"logging"}
	assert logs.count_against(findings) == 0
	assert logs.describe_excused(findings) == "18 × logging itself failed"


LOST = "redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:13000. Connection refused."
REFUSED = "ConnectionRefusedError: [Errno 111] Connection refused"
PIPE = "BrokenPipeError: [Errno 32] Broken pipe"
NODE_REDIS = "/b/apps/frappe/node_modules/@redis/client/dist/lib/client/socket.js"
CASES = {
	# while services restart
	"an idle worker": (Origin.SETTLING, LOST, [FRAPPE, RQ, REDIS], "restart"),
	"the same later": (Origin.STABLE, LOST, [FRAPPE, RQ, REDIS], "release"),
	"a job of the app": (Origin.SETTLING, LOST, [FRAPPE, RQ, APP, FRAPPE, REDIS], "release"),
	"the app's request, later": (Origin.STABLE, LOST, [GUNICORN, FRAPPE, APP, REDIS], "release"),
	"a server script": (Origin.SETTLING, LOST, [FRAPPE, "<serverscript>: book", REDIS], "release"),
	"no traceback": (Origin.SETTLING, LOST, [], "release"),
	"somebody else's server": (Origin.SETTLING, REFUSED, [FRAPPE, REQUESTS, LIBRARY], "release"),
	"somebody else's server, by hand": (Origin.SETTLING, REFUSED, [FRAPPE, LIBRARY], "release"),
	"an unknown package": (Origin.SETTLING, LOST, [f"{SITE_PACKAGES}/shoplib/a.py", REDIS], "release"),
	"another exception": (Origin.SETTLING, "ValueError: x", [FRAPPE, RQ, REDIS], "release"),
	"a key that is wrong": (
		Origin.SETTLING,
		"redis.exceptions.ResponseError: WRONGTYPE",
		[RQ, REDIS],
		"release",
	),
	"one that only sounds alike": (Origin.SETTLING, "shop.MyConnectionError: x", [FRAPPE, REDIS], "release"),
	"a worker told to stop": (
		Origin.SETTLING,
		"SystemExit: 0",
		[APP, f"{SITE_PACKAGES}/gunicorn/workers/base.py"],
		"restart",
	),
	"an app that ends its process": (Origin.SETTLING, "SystemExit: 1", [GUNICORN, APP], "release"),
	"node without Redis": (
		Origin.SETTLING,
		"Error: connect ECONNREFUSED 127.0.0.1:11000",
		["node:net", NODE_REDIS],
		"restart",
	),
	"node without Redis, later": (
		Origin.STABLE,
		"Error: connect ECONNREFUSED 127.0.0.1:11000",
		["node:net"],
		"release",
	),
	"node in an app": (
		Origin.SETTLING,
		"Error: connect ECONNREFUSED 1.2.3.4:80",
		["node:net", "/b/apps/shop/realtime/handlers.js"],
		"release",
	),
	"a port still in use": (
		Origin.SETTLING,
		"[x] [7] [ERROR] Connection in use: ('127.0.0.1', 8000)",
		[],
		"restart",
	),
	"a port in use for good": (
		Origin.STABLE,
		"[x] [7] [ERROR] Connection in use: ('127.0.0.1', 8000)",
		[],
		"release",
	),
	"no port at all": (
		Origin.SETTLING,
		"[x] [7] [ERROR] Can't connect to ('127.0.0.1', 8000)",
		[],
		"release",
	),
	"a worker killed for memory": (
		Origin.SETTLING,
		"[x] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
		[],
		"release",
	),
	"a worker that hangs": (Origin.SETTLING, "[x] [7] [CRITICAL] WORKER TIMEOUT (pid:9)", [], "release"),
	"a worker told to stop, any time": (
		Origin.STABLE,
		"[x] [7] [ERROR] Worker (pid:9) was sent SIGTERM!",
		[],
		"stopping",
	),
	# visitors
	"a visitor hung up": (Origin.STABLE, PIPE, [PROGRAM, GUNICORN, LIBRARY], "visitor"),
	"a visitor hung up while he asked": (
		Origin.STABLE,
		"werkzeug.exceptions.ClientDisconnected: 400",
		[GUNICORN, FRAPPE, WERKZEUG],
		"visitor",
	),
	"the app's own pipe": (Origin.STABLE, PIPE, [GUNICORN, FRAPPE, APP, LIBRARY], "release"),
	"the app's own connection": (
		Origin.STABLE,
		"ConnectionResetError: [Errno 104]",
		[GUNICORN, APP, REQUESTS, LIBRARY],
		"release",
	),
	"a pipe of Frappe's": (Origin.STABLE, PIPE, [GUNICORN, FRAPPE, LIBRARY], "release"),
	"an app that says it was the visitor": (
		Origin.STABLE,
		"werkzeug.exceptions.ClientDisconnected",
		[GUNICORN, APP],
		"release",
	),
	# maintenance
	"a request turned away": (
		Origin.STABLE,
		"frappe.exceptions.SessionStopped: Session Stopped",
		[GUNICORN, "apps/frappe/frappe/app.py"],
		"maintenance",
	),
	"an app that turns away": (
		Origin.STABLE,
		"frappe.exceptions.SessionStopped: closed",
		[GUNICORN, APP],
		"release",
	),
	"an exception that sounds alike": (Origin.STABLE, "shop.PaymentSessionStopped: x", [APP], "release"),
	# the rest
	"the line above a traceback": (
		Origin.STABLE,
		"[x] [7] [ERROR] Error handling request /api",
		[],
		"pointer",
	),
	"a log that was not read": (Origin.UNREAD, "web.log: Permission denied", [], "unread"),
	"an error": (Origin.STABLE, "ERROR orders are stuck", [], "release"),
}


@pytest.mark.parametrize(("origin", "text", "frames", "wanted"), CASES.values(), ids=CASES)
def test_an_entry_is_of_the_class_that_its_exception_and_its_frames_make_it(origin, text, frames, wanted):
	assert classify(Entry(text, origin, tuple(frames))).name == wanted


def test_each_class_has_a_name_of_its_own_and_only_the_last_takes_everything():
	assert len({each.name for each in CLASSES}) == len(CLASSES)
	assert [each.weight for each in CLASSES].count(Weight.AGAINST) == 1
	assert CLASSES[-1].weight is Weight.AGAINST and CLASSES[-1].is_one(Entry(""))
	assert not any(each.is_one(Entry("")) for each in CLASSES[:-1])
