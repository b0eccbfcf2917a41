"""The journal: what is in it was on the disk, and what was altered shows."""

import errno
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.ground.errors import JournalDamaged, JournalError, StepFailed
from press_deploy.engine.journal.journal import Journal, hash_fields, read_journal
from tests.support.small_disk import fill_disk, small_disk


@pytest.fixture
def path(tmp_path):
	return tmp_path / "journal.jsonl"


def write(path, *events):
	journal = Journal(path)
	for event in events:
		journal.append(event, {"of": event})
	journal.close()
	return path


def events(path):
	return [record.event for record in read_journal(path)]


def edit(path, number, **fields):
	"""Change a record as somebody would who knows how hashes work, but changes one record only."""
	lines = path.read_bytes().splitlines(keepends=True)
	record = json.loads(lines[number]) | fields
	if "hash" not in fields:
		record["hash"] = hash_fields({key: value for key, value in record.items() if key != "hash"})
	lines[number] = json.dumps(record).encode() + b"\n"
	path.write_bytes(b"".join(lines))


def test_what_was_appended_is_read_back_and_goes_on(path):
	write(path, "a", "b")
	assert events(write(path, "c")) == ["a", "b", "c"]
	assert [record.seq for record in read_journal(path)] == [1, 2, 3]
	assert all(record.moment.tzinfo for record in read_journal(path))


def test_a_record_is_on_the_disk_before_anybody_hears_of_it(path, monkeypatch):
	synced, heard = [], []
	monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
	journal = Journal(path)
	journal.on_append = lambda record: heard.append((record.event, synced[-1], path.stat().st_size))
	journal.append("a")
	journal.close()
	assert heard == [("a", path.stat().st_size, path.stat().st_size)]


def test_it_is_for_its_owner_alone(path):
	assert write(path, "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", range(0, 12))
def test_a_torn_last_line_is_cut_off_and_noted(path, kept):
	whole = write(path, "a", "b").read_bytes()
	line = write(path, "c").read_bytes()[len(whole) :]
	torn = line[: len(line) * kept // 12]
	path.write_bytes(whole + torn)
	assert events(path) == ["a", "b"]
	write(path, "d")
	assert events(path) == ["a", "b", *(["journal-repaired"] if torn else []), "d"]
	if torn:
		assert list(read_journal(path))[2].data["cut_bytes"] == len(torn)


def test_a_journal_that_is_one_torn_line_begins_anew(path):
	path.write_bytes(b'{"v": 1, "se')
	write(path, "a")
	assert events(path) == ["journal-repaired", "a"]


DAMAGES = {
	"a changed byte": lambda lines: [lines[0], lines[1].replace(b'"of":"b"', b'"of":"x"'), lines[2]],
	"a record too few": lambda lines: [lines[0], lines[2]],
	"a record twice": lambda lines: [lines[0], lines[1], lines[1], lines[2]],
	"another order": lambda lines: [lines[1], lines[0], lines[2]],
	"an empty line": lambda lines: [lines[0], b"\n", *lines[1:]],
	"no JSON": lambda lines: [lines[0], b"rubbish\n", *lines[1:]],
	"no object": lambda lines: [b"[]\n", *lines],
	"no UTF-8": lambda lines: [lines[0], b"\xff\xfe\n", *lines[1:]],
	"NUL bytes": lambda lines: [*lines, b"\0" * 100 + b"\n"],
	"a field too many": lambda lines: [lines[0].replace(b'{"data"', b'{"x":1,"data"'), *lines[1:]],
	"not a number": lambda lines: [lines[0].replace(b'"of":"a"', b'"of":NaN'), *lines[1:]],
	"half a character": lambda lines: [lines[0].replace(b'"of":"a"', b'"of":"\\ud800"'), *lines[1:]],
	"a deep nest": lambda lines: [b"[" * 100_000 + b"\n", *lines],
	"the last line is torn with its end": lambda lines: [*lines[:2], lines[2][:20] + b"\n"],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_does_not_add_up_is_refused(path, damage):
	write(path, "a", "b", "c")
	path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
	for read in (lambda: list(read_journal(path)), lambda: Journal(path)):
		with pytest.raises(JournalDamaged) as caught:
			read()
		assert str(path) in caught.value.what and caught.value.remedy


@pytest.mark.parametrize(
	"fields",
	[{"event": "x"}, {"data": {}}, {"seq": 7}, {"v": 2}, {"previous": "0" * 64}, {"hash": "0" * 64}],
	ids=lambda fields: next(iter(fields)),
)
def test_an_edited_record_shows_although_its_own_hash_fits(path, fields):
	edit(write(path, "a", "b", "c"), 1, **fields)
	with pytest.raises(JournalDamaged):
		list(read_journal(path))


def test_the_last_record_cannot_be_renumbered(path):
	edit(write(path, "a", "b"), 1, seq=3)
	with pytest.raises(JournalDamaged, match="sequence number"):
		list(read_journal(path))


@given(st.data())
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, data):
	path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
	content = bytearray(write(path, "a", "b").read_bytes())
	place = data.draw(st.integers(0, len(content) - 2))
	content[place] ^= data.draw(st.integers(1, 255))
	path.write_bytes(content)
	with pytest.raises(JournalDamaged):
		list(read_journal(path))


@pytest.mark.parametrize(
	"bad",
	[{"a": float("nan")}, {"a": object()}, {1: 1, "a": 1}],
	ids=["nan", "object", "mixed-keys"],
)
def test_data_that_is_no_json_leaves_no_trace(path, bad):
	journal = Journal(path)
	journal.append("a")
	with pytest.raises((TypeError, ValueError)):
		journal.append("bad", bad)
	journal.append("b")
	journal.close()
	assert events(path) == ["a", "b"]


def test_a_name_of_a_file_that_is_no_text_is_written_with_its_bytes(path):
	name = os.fsdecode(b"export-\xe9t\xe9.csv")
	error = StepFailed("Copying", f"file {name}", f"{name} was written to", "try again")
	journal = Journal(path)
	journal.append("step-failed", {"error": error.as_data(), "names": [name], name: 1})
	journal.close()
	assert "file export-\\udce9t\\udce9.csv" in str(error)
	(record,) = read_journal(path)
	assert (
		record.data["names"]
		== ["export-\\udce9t\\udce9.csv"]
		== [each for each in record.data if "csv" in each]
	)


def fail_writes(monkeypatch, failures, written=5):
	"""Let the next writes run out of space after some bytes, as a full disk does."""
	left, write_really = [failures], os.write

	def write_(descriptor, data):
		if left[0]:
			left[0] -= 1
			write_really(descriptor, data[:written])
			raise OSError(errno.ENOSPC, "No space left on device")
		return write_really(descriptor, data)

	monkeypatch.setattr(os, "write", write_)
	return left


def test_a_full_disk_takes_the_reserve_first(path, monkeypatch):
	journal = Journal(path)
	reserve = path.with_name(".journal.jsonl.reserve")
	assert reserve.stat().st_size >= 100_000
	left = fail_writes(monkeypatch, 1)
	journal.append("a")
	assert not left[0] and not reserve.exists() and events(path) == ["a"]
	journal.append("b")
	journal.close()
	assert events(path) == ["a", "b"]


def test_a_rollback_that_was_given_the_reserve_still_says_how_it_ended(path):
	with small_disk(path.parent, "2m"):
		journal = Journal(path)
		journal.free_reserve()
		fill_disk(path.parent / "filler")
		for number in range(20):
			journal.append("a", {"number": number})
		assert events(path) == ["a"] * 20
		journal.close()


def test_a_disk_that_stays_full_stops_the_run_with_a_whole_journal(path, monkeypatch):
	journal = Journal(path)
	journal.append("a")
	fail_writes(monkeypatch, 3)
	with pytest.raises(JournalError, match="No space left") as caught:
		journal.append("b")
	assert not isinstance(caught.value, JournalDamaged) and "free space" in caught.value.remedy
	assert events(path) == ["a"]
	journal.append("c")
	assert events(path) == ["a", "c"]
	journal.close()


def test_no_room_for_a_reserve_is_no_error(path, monkeypatch):
	def refuse(*_arguments):
		raise OSError(errno.ENOSPC, "No space left on device")

	monkeypatch.setattr(os, "posix_fallocate", refuse)
	assert events(write(path, "a")) == ["a"]


def test_the_reserves_go_when_the_journal_is_closed(path):
	write(path, "a")
	assert [entry.name for entry in path.parent.iterdir()] == ["journal.jsonl"]


def test_a_killed_writer_leaves_whole_records(path):
	code = (
		"import sys; from pathlib import Path; from press_deploy.engine.journal.journal import Journal\n"
		"journal = Journal(Path(sys.argv[1]))\n"
		"while True: journal.append('tick', {'text': 'x' * 5000}); print(len(journal.records), flush=True)"
	)
	with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as writer:
		said = [int(writer.stdout.readline()) for _line in range(20)]
		writer.kill()
		said += [int(line) for line in writer.stdout.read().split()]
	assert len(events(path)) >= said[-1]
	write(path, "after")
	assert events(path)[-1] == "after"
