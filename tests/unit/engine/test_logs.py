"""Log check: what is new and an error, once; nothing that rotates, tears or hides."""

import gzip
import os
import shutil

import pytest

from press_deploy.engine.watching import logs
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.log_entries import LINE_LIMIT

OLD = "ERROR old trouble\n" * 3
NEW = "ERROR new trouble\n"


@pytest.fixture
def file(tmp_path):
	path = tmp_path / "web.log"
	path.write_text(OLD)
	return path


def found(marks, *files, weight=Weight.AGAINST, settled=None):
	findings = logs.errors_since(marks, list(files), settled)
	return {each.example: each.count for each in findings if each.log_class.weight is weight}


def append(path, text):
	with path.open("a") as output:
		output.write(text)


def rename(file, number=1):
	return file.rename(file.with_name(f"{file.name}.{number}"))


def copy_and_truncate(file):
	shutil.copyfile(file, file.with_name(f"{file.name}.1"))
	os.truncate(file, 0)


def pack(file):
	with gzip.open(file.with_name(f"{file.name}.1.gz"), "wb") as output:
		output.write(file.read_bytes())
	file.unlink()


def test_only_what_came_after_the_mark_counts(file):
	marks = logs.mark([file])
	assert found(marks, file) == {}
	append(file, NEW * 2)
	assert found(marks, file) == {"ERROR new trouble": 2}


ROTATIONS = {
	"renamed": lambda file: rename(file),
	"renamed with a date": lambda file: file.rename(file.with_name(f"{file.name}-20300101")),
	"copied and truncated": copy_and_truncate,
	"packed": pack,
}


@pytest.mark.parametrize("rotate", ROTATIONS.values(), ids=ROTATIONS)
@pytest.mark.parametrize(
	"later", ["", "INFO fine\n", "ERROR later trouble\n"], ids=["empty", "fine", "trouble"]
)
def test_a_rotation_hides_nothing_and_repeats_nothing(file, rotate, later):
	marks = logs.mark([file])
	append(file, NEW)
	rotate(file)
	file.write_text(later)
	wanted = {"ERROR new trouble": 1} | ({"ERROR later trouble": 1} if "ERROR" in later else {})
	assert found(marks, file) == wanted


@pytest.mark.parametrize("rotate", ROTATIONS.values(), ids=ROTATIONS)
def test_a_log_that_was_rotated_away_is_still_read(file, rotate):
	marks = logs.mark([file])
	append(file, NEW)
	rotate(file)
	file.unlink(missing_ok=True)
	assert found(marks, *logs.log_files([file.parent])) == {"ERROR new trouble": 1}


def test_every_rotation_since_the_mark_is_read(file):
	marks = logs.mark([file])
	append(file, NEW)
	rename(file)
	file.write_text("ERROR between\n")
	(file.parent / "web.log.1").rename(file.parent / "web.log.2")
	rename(file)
	file.write_text("ERROR last\n")
	assert found(marks, file) == {"ERROR new trouble": 1, "ERROR between": 1, "ERROR last": 1}


def test_rotations_from_before_the_mark_stay_unread(file):
	rename(file)
	append(file.parent / "web.log.1", "ERROR long ago\n" * 50)
	os.utime(file.parent / "web.log.1", (1, 1))
	file.write_text("INFO fine\n")
	marks = logs.mark([file])
	os.truncate(file, 0)
	append(file, "INFO\n")
	assert found(marks, file) == {}


def test_a_rotation_that_is_packed_a_second_time_counts_once(file):
	marks = logs.mark([file])
	append(file, NEW)
	rotated = rename(file)
	with gzip.open(f"{rotated}.gz", "wb") as output:
		output.write(rotated.read_bytes())
	file.write_text("")
	assert found(marks, file) == {"ERROR new trouble": 1}


def test_a_rotation_that_cannot_be_read_is_unknown_and_no_error(file):
	marks = logs.mark([file])
	append(file, NEW)
	pack(file)
	rotated = file.parent / "web.log.1.gz"
	rotated.write_bytes(rotated.read_bytes()[:-9])
	file.write_text("")
	assert found(marks, file) == {}
	(example,) = found(marks, file, weight=Weight.UNKNOWN)
	assert str(rotated) in example


def test_a_truncated_log_is_read_from_its_beginning(file):
	marks = logs.mark([file])
	file.write_text(NEW)
	assert found(marks, file) == {"ERROR new trouble": 1}


def test_a_new_log_is_read_whole(file, tmp_path):
	marks = logs.mark([file])
	(tmp_path / "worker.log").write_text(NEW)
	assert found(marks, file, tmp_path / "worker.log") == {"ERROR new trouble": 1}


def test_a_torn_last_line_counts_already(file):
	marks = logs.mark([file])
	append(file, "ERROR half a li")
	assert found(marks, file) == {"ERROR half a li": 1}


def test_a_mark_inside_a_line_does_not_hide_its_end(file):
	append(file, "INFO something ")
	marks = logs.mark([file])
	append(file, "went wrong: ERROR\n")
	assert sum(found(marks, file).values()) == 1


def test_a_missing_log_is_no_error(tmp_path):
	assert found({}, tmp_path / "none.log") == {} and logs.mark([tmp_path / "none.log"]) == {}


TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 7, in f\n    raise ValueError("x")\n'
LINES = {
	"INFO fine": 0,
	"2030-01-01 ERROR frappe something": 1,
	"[CRITICAL] worker": 1,
	"FATAL: out of memory": 1,
	"an error in lower case": 0,
	"TERRORISM": 0,
	"ValueError: x": 1,
	"frappe.exceptions.ValidationError: x": 1,
	"KeyError": 1,
	"no ValueError: here": 0,
	TRACEBACK + "ValueError: x": 1,
	TRACEBACK + "shop.Trouble: x": 1,
	TRACEBACK + "\nshop.Trouble: x": 1,
	TRACEBACK + "frappe.exceptions.SessionStopped: x": 0,
	f"{TRACEBACK}ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n{TRACEBACK}KeyError: 1": 2,
	'ERROR "GET / HTTP/1.1" 503 120': 0,
	"ERROR Session Stopped": 0,
	"ERROR order 503 can't be booked": 1,
	"requests.exceptions.HTTPError: 503 Server Error: for url: https://payments.example": 1,
	"ERROR New Exception collected in error log": 0,
	"[ERROR] Worker (pid:1) was sent SIGTERM!": 0,
	"ERROR \udcff\udcfe": 1,
}


@pytest.mark.parametrize("text,count", LINES.items(), ids=[repr(text[-30:]) for text in LINES])
def test_an_error_is_told_from_what_is_none(tmp_path, text, count):
	(tmp_path / "a.log").write_text(text + "\nINFO after\n", errors="surrogateescape")
	assert sum(found({}, tmp_path / "a.log").values()) == count


def test_errors_that_differ_in_numbers_and_names_are_one(file):
	marks = logs.mark([file])
	append(file, "".join(f"ERROR 12:{n}: order '{n}' at 0x{n:x} of \"{n}\"\n" for n in range(20)))
	append(file, "ERROR something else\n")
	assert sorted(found(marks, file).values()) == [1, 20]


def test_the_same_line_in_two_logs_counts_once(file, tmp_path):
	(tmp_path / "site").mkdir()
	for place in (file, tmp_path / "site" / "web.log"):
		append(place, NEW)
	(finding,) = logs.errors_since(logs.mark([file]) | {}, [tmp_path / "site" / "web.log"])
	assert finding.count == 1
	os.truncate(file, 0)
	append(file, NEW)
	(finding,) = logs.errors_since({}, [file, tmp_path / "site" / "web.log"])
	assert finding.count == 1


def test_a_huge_line_is_shortened_and_read_in_time(file):
	marks = logs.mark([file])
	append(file, "ERROR " + "x" * 5_000_000 + "\n" + NEW)
	assert all(len(example) <= LINE_LIMIT for example in found(marks, file))
	assert sum(found(marks, file).values()) == 2


def test_only_current_logs_of_others_are_watched(tmp_path):
	for name in ("web.log", "web.log.1", "web.log.2.gz", "press_deploy.log", "a.txt"):
		(tmp_path / name).write_text("")
	(tmp_path / "directory.log").mkdir()
	assert [file.name for file in logs.log_files([tmp_path, tmp_path / "none"])] == ["web.log"]


RESTARTING = "[x] [7] [ERROR] Connection in use: ('127.0.0.1', 8000)\n"


def test_what_restarts_provoke_is_excused_until_services_had_settled(file):
	marks = logs.mark([file])
	append(file, RESTARTING)
	settled = logs.mark([file])
	assert found(marks, file, settled=settled) == {}
	assert found(marks, file) == {RESTARTING.strip(): 1}
	append(file, RESTARTING + NEW)
	assert found(marks, file, settled=settled) == {RESTARTING.strip(): 1, "ERROR new trouble": 1}
	assert found(logs.mark([file]), file, settled=settled) == {}


@pytest.mark.parametrize("when", ["before it settled", "after it settled"])
def test_restarts_are_excused_across_a_rotation(file, when):
	marks = logs.mark([file])
	append(file, RESTARTING)
	if when == "before it settled":
		rename(file)
		file.write_text(RESTARTING)
	settled = logs.mark([file])
	assert found(marks, file, settled=settled) == {}
	append(file, RESTARTING)
	if when == "after it settled":
		rename(file)
		file.write_text(RESTARTING)
	later = 2 if when == "after it settled" else 1
	assert found(marks, file, settled=settled) == {RESTARTING.strip(): later}


def test_where_a_rotation_hides_until_when_nothing_is_excused(file):
	marks = logs.mark([file])
	append(file, RESTARTING)
	settled = logs.mark([file])
	pack(file)
	file.write_text("")
	assert found(marks, file, settled=settled) == {RESTARTING.strip(): 1}


def test_a_traceback_that_the_mark_cuts_is_still_known_for_what_it_is(file):
	frames = '  File "/usr/lib/python3.11/logging/handlers.py", line 7, in emit\n    rename()\n'
	append(file, f"--- Logging error ---\nTraceback (most recent call last):\n{frames}")
	marks = logs.mark([file])
	append(file, "FileNotFoundError: 'frappe.log.2'\nCall stack:\nMessage: 'ERROR'\nArguments: ()\n")
	assert found(marks, file) == {}
	assert found(marks, file, weight=Weight.NOTHING) == {"FileNotFoundError: 'frappe.log.2'": 1}


@pytest.mark.parametrize(
	"length", [1, 100, logs.LEAD_IN_BYTES - 1, logs.LEAD_IN_BYTES, logs.LEAD_IN_BYTES + 1]
)
def test_nothing_from_before_the_mark_counts_wherever_reading_begins(file, length):
	file.write_text("ERROR old trouble\n" + "x" * length + "\n" + OLD)
	marks = logs.mark([file])
	assert found(marks, file) == {}
	append(file, NEW)
	assert found(marks, file) == {"ERROR new trouble": 1}


def test_a_log_that_may_not_be_read_is_unknown_and_no_error(file, monkeypatch):
	def refuse(path, *_arguments):
		raise PermissionError(13, "Permission denied", str(path))

	marks = logs.mark([file])
	append(file, NEW)
	monkeypatch.setattr(type(file), "open", refuse)
	assert found(marks, file) == {}
	assert found(marks, file, weight=Weight.UNKNOWN) == {f"{file}: Permission denied": 1}


def test_more_than_is_read_is_unknown(file, monkeypatch):
	monkeypatch.setattr(logs, "READ_LIMIT_BYTES", 100)
	monkeypatch.setattr(logs, "CHUNK_BYTES", 10)
	marks = logs.mark([])
	file.write_text(NEW + "x" * 200)
	assert found(marks, file) == {"ERROR new trouble": 1}
	assert any("by hand" in example for example in found(marks, file, weight=Weight.UNKNOWN))
