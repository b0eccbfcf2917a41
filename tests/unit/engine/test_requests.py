"""Requests: each is taken once, and what is none is passed over."""

import json

import pytest

from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.requests import put_request, read_requests
from press_deploy.engine.journal.run_directory import RunDirectory

from .support import make_bench, make_spec

WRONG = [None, 1, ["a"], "a\nb", "a\0b", "a\x1b[2J", "\udcff", "x" * 501]


@pytest.fixture
def run(tmp_path):
	return RunDirectory.create(make_bench(tmp_path / "bench"), make_spec())


def test_requests_are_read_oldest_first_until_they_are_taken(run):
	put = [put_request(run, action, "ada", "why") for action in ("go", "no-go", "abort", "rollback")]
	assert read_requests(run, set()) == put
	assert read_requests(run, {put[0].name, put[2].name}) == [put[1], put[3]]
	assert read_requests(run, {request.name for request in put}) == []


@pytest.mark.parametrize("action", ["", "GO", "delete", "../x", None, 1, ["go"]], ids=repr)
def test_an_unknown_action_is_refused(run, action):
	with pytest.raises(InputError) as caught:
		put_request(run, action, "ada", "why")
	assert caught.value.field == "action" and not list(run.requests.iterdir())


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("field", ["by", "reason"])
def test_words_are_one_line_each(run, field, value):
	with pytest.raises(InputError) as caught:
		put_request(run, "go", **{"by": "ada", "reason": "why", field: value})
	assert caught.value.field == field and caught.value.remedy and not list(run.requests.iterdir())


def test_what_is_no_request_is_passed_over(run):
	put = put_request(run, "go", "ada", "why")
	good = json.loads((run.requests / f"{put.name}.json").read_text())
	for number, content in enumerate(
		[
			b"",
			b"rubbish",
			b"[]",
			b"{}",
			b"\xff",
			json.dumps(good).encode(),  # under another name: it would be taken twice
			json.dumps({**good, "name": "0000-6", "action": "delete"}).encode(),
			json.dumps({**good, "name": "0000-7", "more": 1}).encode(),
		]
	):
		(run.requests / f"0000-{number}.json").write_bytes(content)
	(run.requests / f".{put.name}.json.tmp").write_text(json.dumps(good))
	assert read_requests(run, set()) == [put]
