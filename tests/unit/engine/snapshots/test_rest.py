"""How long a service wants to be left alone, and what is kept of its messages."""

from __future__ import annotations

import email.utils
import time

import pytest

from press_deploy.engine.snapshots.base import ProviderTrouble, pick, shorten
from press_deploy.engine.snapshots.rest import LONGEST_RETRY_AFTER, find_message, read_pause


@pytest.mark.parametrize(
	("headers", "status", "seconds"),
	[
		({"Retry-After": "12"}, 503, 12),
		({"Retry-After": "999999"}, 429, LONGEST_RETRY_AFTER),
		({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 503, 0),
		({"Retry-After": "-5"}, 503, None),
		({"Retry-After": "nan"}, 503, None),
		({"Retry-After": "soon"}, 503, None),
		({}, 503, None),
		({"ratelimit-remaining": "10", "ratelimit-reset": "99999999999"}, 200, None),
		({"ratelimit-remaining": "0", "ratelimit-reset": "99999999999"}, 200, LONGEST_RETRY_AFTER),
		({"ratelimit-remaining": "0", "ratelimit-reset": "never"}, 429, None),
		({"ratelimit-reset": "1"}, 429, 0),
	],
)
def test_the_pause_a_service_asks_for(headers, status, seconds):
	assert read_pause(headers, status) == seconds


def test_a_date_is_a_pause_until_then():
	pause = read_pause({"Retry-After": email.utils.formatdate(time.time() + 300, usegmt=True)}, 503)
	assert 100 < pause <= 301


@pytest.mark.parametrize(
	("answer", "message"),
	[
		({"error": {"message": "a"}}, "a"),
		({"error": "invalid_grant", "error_description": "b"}, "b"),
		({"error": "invalid_grant"}, "invalid_grant"),
		({"id": "x", "message": "c"}, "c"),
		([], ""),
		(None, ""),
	],
)
def test_messages_of_the_providers(answer, message):
	assert find_message(answer) == message


def test_a_message_is_one_short_printable_line():
	assert shorten("a\n\x1b[31m\tb\0c") == "a [31m b c"
	assert len(shorten("x" * 10_000)) == 301


@pytest.mark.parametrize("answer", [None, [], {}, {"a": None}, {"a": {"b": 1}}, {"a": {"b": True}}])
def test_an_answer_of_another_form_is_trouble_that_refuses_nothing(answer):
	with pytest.raises(ProviderTrouble, match=r"“a\.b”") as trouble:
		pick(answer, "a", "b")
	assert not trouble.value.refused
