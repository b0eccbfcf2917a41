"""What reports the same thing has one name, on every bench and in every run; what does not has another."""

from __future__ import annotations

import pytest

from press_deploy.engine.watching.fingerprints import fingerprint, shape_of_line
from press_deploy.engine.watching.log_entries import Entry, Origin, read_entries

BENCH, OTHER_BENCH = "/home/frappe/frappe-bench", "/srv/b2"
SERVER = "env/lib/python3.11/site-packages/gunicorn/workers/sync.py"


def traceback(exception: str, *calls: tuple[str, str], bench: str = BENCH, line: int = 7) -> Entry:
	frames = [f'  File "{bench}/{file}", line {line}, in {function}' for file, function in calls]
	lines = ["Traceback (most recent call last):", *frames, exception]
	(entry,) = read_entries((Origin.STABLE, text.encode()) for text in lines)
	return entry


BOOK = ("apps/shop/shop/orders.py", "book")
CALLED = ("apps/frappe/frappe/app.py", "application")


def test_an_exception_is_the_same_whatever_it_says_and_wherever_the_bench_is() -> None:
	one = traceback("KeyError: 'SO-1'", (SERVER, "handle"), CALLED, BOOK)
	other = traceback("KeyError: 'of a customer'", CALLED, BOOK, bench=OTHER_BENCH, line=9)
	assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
	"other",
	[
		traceback("ValueError: 'SO-1'", CALLED, BOOK),
		traceback("KeyError: 'SO-1'", CALLED, ("apps/shop/shop/orders.py", "cancel")),
		traceback("KeyError: 'SO-1'", CALLED, ("apps/shop/shop/invoices.py", "book")),
		traceback("KeyError: 'SO-1'", CALLED),
		Entry("KeyError: 'SO-1'"),
	],
)
def test_another_type_place_or_way_is_another(other: Entry) -> None:
	assert fingerprint(other) != fingerprint(traceback("KeyError: 'SO-1'", CALLED, BOOK))


def test_without_an_app_the_innermost_frame_counts() -> None:
	one = traceback("OSError: [Errno 28] No space left on device", (SERVER, "handle"), (SERVER, "write"))
	same = traceback("OSError: [Errno 5]", (SERVER, "write"))
	assert fingerprint(one) == fingerprint(same) != fingerprint(traceback("OSError: x", (SERVER, "read")))


@pytest.mark.parametrize(
	("one", "other"),
	[
		(
			"2026-01-01 00:00:00,000 ERROR frappe order 4711 is stuck",
			"2026-02-03 04:05:06,789 ERROR frappe order 1 is stuck",
		),
		("ERROR no such document 'SO-0001'", 'ERROR no such document "of a user"'),
		("ERROR at 0x7f3a", "ERROR at 0x11"),
		("ERROR of ann@example.com", "ERROR of bob.b@mail.example.org"),
		("ERROR job 5f0c1de2-58cc-4372-a567-0e02b2c3d479", "ERROR job 00000000-58cc-4372-a567-abcdefabcdef"),
		("ERROR in 3f2b8c91d0", "ERROR in 00112233aa"),
	],
)
def test_lines_are_the_same_but_for_what_varies(one: str, other: str) -> None:
	assert shape_of_line(one) == shape_of_line(other)
	assert fingerprint(Entry(one)) == fingerprint(Entry(other))


@pytest.mark.parametrize(
	("one", "other"), [("ERROR orders", "ERROR invoices"), ("ERROR deadbeef", "ERROR feedface")]
)
def test_words_do_not_vary(one: str, other: str) -> None:
	assert fingerprint(Entry(one)) != fingerprint(Entry(other))


def test_names_are_those_of_always() -> None:
	"""They are kept for years: whoever changes them forgets what was seen."""
	assert fingerprint(traceback("KeyError: 'x'", CALLED, BOOK)) == "d9df6831bab7"
	assert fingerprint(Entry("2026-01-01 00:00:00,000 ERROR frappe order 4711 is stuck")) == "a45dbdf48043"
