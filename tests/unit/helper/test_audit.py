"""The audit log stays readable and small, whatever a caller does to it."""

import json

import pytest

from press_deploy.helper import audit
from press_deploy.helper.audit import AuditLog, Caller
from press_deploy.helper.errors import Denied

from .support import exchange, frame, make_configuration, make_entry, read_audit, running_server, wait_until

STRANGER, OTHER = Caller(54321, 7), Caller(54322, 8)


@pytest.fixture
def log(directory):
	return AuditLog(str(directory / "helper.log"))


def test_of_many_refusals_the_first_are_shown_and_the_others_counted(log, directory, monkeypatch):
	for _ in range(audit.SHOWN_REFUSALS + 5):
		log.refuse(STRANGER, None, Denied("no"))
	log.refuse(OTHER, None, Denied("no"))
	shown = [line["uid"] for line in read_audit(directory) if line["event"] == "request"]
	assert shown == [STRANGER.uid] * audit.SHOWN_REFUSALS + [OTHER.uid]
	log.sum_up()
	assert len(read_audit(directory)) == 2 * len(shown), "its time is not over"
	monkeypatch.setattr(audit, "REFUSAL_SECONDS", 0.0)
	log.sum_up()
	(summary,) = [line for line in read_audit(directory) if line["event"] == "refused"]
	assert (summary["uid"], summary["count"]) == (STRANGER.uid, 5)
	assert summary["message"].startswith("5 more refused within ")
	log.refuse(STRANGER, None, Denied("again"))
	assert read_audit(directory)[-1]["error"]["message"] == "again"


def test_allowed_requests_are_all_shown(log, directory):
	for _ in range(3 * audit.SHOWN_REFUSALS):
		with log.attempt(STRANGER, "restart", "shop", {"role": "web"}):
			pass
	assert len(read_audit(directory)) == 6 * audit.SHOWN_REFUSALS


def test_more_callers_than_can_be_remembered_are_summed_up(log, directory, monkeypatch):
	monkeypatch.setattr(audit, "MAXIMUM_CALLERS", 3)
	monkeypatch.setattr(audit, "SHOWN_REFUSALS", 0)
	for uid in range(10):
		log.refuse(Caller(uid, 1), None, Denied("no"))
		assert len(log._refusals) <= 3
	log.sum_up(everything=True)
	assert [line["uid"] for line in read_audit(directory)] == list(range(10))


def test_the_log_is_rotated_and_bounded(log, directory, monkeypatch):
	monkeypatch.setattr(audit, "MAXIMUM_BYTES", 2000)
	monkeypatch.setattr(audit, "KEPT_FILES", 3)
	for number in range(200):
		log.note(STRANGER, "test", number=number)
	files = sorted(directory.glob("helper.log*"))
	assert [file.name for file in files] == ["helper.log", "helper.log.1", "helper.log.2", "helper.log.3"]
	assert all(file.stat().st_size < 2200 and file.stat().st_mode & 0o777 == 0o600 for file in files)
	lines = [line for file in (*reversed(files[1:]), files[0]) for line in file.read_text().splitlines()]
	numbers = [json.loads(line)["number"] for line in lines]
	assert numbers == list(range(numbers[0], 200)), "a line is missing, or out of order"


def test_a_server_that_is_idle_sums_up(bench, directory, monkeypatch):
	monkeypatch.setattr(audit, "SHOWN_REFUSALS", 1)
	monkeypatch.setattr(audit, "REFUSAL_SECONDS", 0.5)
	data = make_configuration(directory, make_entry(bench))
	with running_server(data):
		for _ in range(3):
			exchange(data["socket"], frame({}))

		def is_summed_up():
			# Of the first question, which the server was found by, the lines were deleted.
			log = directory / "helper.log"
			return log.exists() and any(line["event"] == "refused" for line in read_audit(directory))

		wait_until(is_summed_up, "the summary")
