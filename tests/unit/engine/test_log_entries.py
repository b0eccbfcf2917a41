"""Blocks in logs: tracebacks of several processes in one file, and what logging says about its own failing."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from press_deploy.engine.watching.log_entries import (
	FORGOTTEN_AFTER_LINES,
	Entry,
	Origin,
	_Reader,
	read_entries,
	reports_error,
)

LOGGING = "/usr/lib/python3.11/logging/handlers.py"
APP = "/home/frappe/frappe-bench/apps/shop/shop/orders.py"
MISSING = (
	"FileNotFoundError: [Errno 2] No such file or directory: "
	"'/home/frappe/frappe-bench/logs/frappe.log.2' -> '/home/frappe/frappe-bench/logs/frappe.log.3'"
)


def traceback(exception: str, *files: str) -> list[str]:
	frames = [
		part for file in files for part in (f'  File "{file}", line 7, in f', "    work()", "    ^^^^^^")
	]
	return ["Traceback (most recent call last):", *frames, exception]


def logging_failure(exception: str = MISSING, file: str = LOGGING) -> list[str]:
	return [
		"--- Logging error ---",
		*traceback(exception, file, "/usr/lib/python3.11/logging/__init__.py"),
		"Call stack:",
		f'  File "{APP}", line 3, in book',
		'    frappe.logger().error("New Exception collected")',
		"Message: 'ERROR [CRITICAL] New Exception collected in error log\\nSite: shop'",
		"Arguments: ()",
	]


def read(lines: list[str], origin: Origin = Origin.STABLE) -> list[Entry]:
	return list(read_entries((origin, line.encode()) for line in lines))


def test_what_logging_says_of_its_own_failing_is_one_entry():
	(entry,) = read([*logging_failure(), "INFO fine"])
	assert (entry.text, entry.in_logging) == (MISSING, True)


def test_a_chain_of_exceptions_inside_logging_is_all_logging_s():
	chain = ["", "During handling of the above exception, another exception occurred:", ""]
	block = logging_failure()
	more = traceback("OSError: [Errno 28] No space left on device", LOGGING)
	cut = block.index("Call stack:")
	found = read([*block[:cut], *chain, *more, *block[cut:]])
	assert [entry.in_logging for entry in found] == [True, True]


def test_an_error_behind_a_failure_of_logging_is_its_own():
	found = read([*logging_failure(), *traceback("ValueError: x", APP), "ERROR orders are stuck"])
	assert [(entry.text, entry.in_logging) for entry in found] == [
		(MISSING, True),
		("ValueError: x", False),
		("ERROR orders are stuck", False),
	]
	assert found[1].frames == (APP,)


def interleave(seed: int, *blocks: list[str]) -> list[str]:
	"""The lines of several processes, each in its own order, mixed as they may reach one file."""
	chance, waiting, mixed = random.Random(seed), [list(block) for block in blocks], []
	while waiting:
		block = chance.choice(waiting)
		mixed.append(block.pop(0))
		waiting = [each for each in waiting if each]
	return mixed


@pytest.mark.parametrize("seed", range(200))
def test_failures_of_logging_in_several_processes_at_once_hide_no_error(seed):
	error = traceback("ValueError: x", APP)
	found = read(interleave(seed, logging_failure(), error, logging_failure()))
	counted = [entry.text for entry in found if not entry.in_logging]
	assert counted == ["ValueError: x"], [entry.text for entry in found]
	assert all(APP in entry.frames for entry in found if not entry.in_logging)


@pytest.mark.parametrize("seed", range(50))
def test_an_exception_gets_the_frames_of_all_that_it_is_mixed_with(seed):
	redis = "/env/lib/python3.11/site-packages/redis/connection.py"
	lost = traceback("redis.exceptions.ConnectionError: x", redis)
	found = read(interleave(seed, lost, traceback("redis.exceptions.ConnectionError: x", APP)))
	assert len(found) == 2
	assert sum(APP in entry.frames for entry in found) >= 1


def test_a_log_line_of_another_process_inside_a_traceback_ends_it_not():
	lines = traceback("ValueError: x", APP)
	lines.insert(3, "[2030-01-01 12:00:00 +0000] [77] [INFO] Booting worker with pid: 77")
	lines.insert(4, "2030-01-01 12:00:00,100 ERROR frappe orders are stuck")
	found = read(lines)
	assert [entry.text for entry in found] == [lines[4], "ValueError: x"]


def test_a_traceback_whose_process_was_killed_hides_nothing_behind_it():
	cut = traceback("ValueError: never said", APP)[:-1]
	whole = traceback("KeyError: 1", "/a.py")
	assert [entry.text for entry in read([*cut, *whole])] == ["KeyError: 1"]
	later = [f"INFO {number}" for number in range(FORGOTTEN_AFTER_LINES + 1)]
	found = read([*cut, *whole, *later, *traceback("IndexError: 2", "/b.py")])
	assert [(entry.text, entry.frames) for entry in found] == [
		("KeyError: 1", (APP, "/a.py")),
		("IndexError: 2", ("/b.py",)),
	]


def test_a_line_that_only_looks_like_logging_s_excuses_nothing():
	"""Whoever writes that line must also fail under logging's own frames."""
	(entry,) = read(["--- Logging error ---", *traceback("ValueError: x", APP)])
	assert not entry.in_logging
	assert [entry.text for entry in read(["Message: ERROR orders", "Arguments: ERROR"])] == [
		"Message: ERROR orders",
		"Arguments: ERROR",
	]


def test_node_puts_its_frames_behind_the_error():
	(entry,) = read(
		[
			"node:events:502",
			"      throw er; // Unhandled 'error' event",
			"      ^",
			"",
			"SocketClosedUnexpectedlyError: Socket closed unexpectedly",
			"    at Socket.<anonymous> (/b/apps/frappe/node_modules/@redis/client/dist/lib/client/socket.js:194:118)",
			"    at TCP.<anonymous> (node:net:343:12)",
			"    at /b/apps/shop/realtime/handlers.js:3:1",
			"Emitted 'error' event on RedisClient instance at:",
			"    at RedisSocket.emit (node:events:524:28)",
		]
	)
	assert entry.frames == (
		"/b/apps/frappe/node_modules/@redis/client/dist/lib/client/socket.js",
		"node:net",
		"/b/apps/shop/realtime/handlers.js",
	)


def test_what_ended_before_the_mark_is_no_entry_but_is_known():
	block = logging_failure()
	lines = [(Origin.LEAD_IN if number < 4 else Origin.STABLE, line) for number, line in enumerate(block)]
	before = [(Origin.LEAD_IN, line) for line in traceback("KeyError: old", APP)]
	found = list(read_entries((origin, line.encode()) for origin, line in [*before, *lines]))
	assert [(entry.text, entry.in_logging) for entry in found] == [(MISSING, True)]


def test_what_is_passed_over_unread_says_nothing():
	"""Whole blocks, cut anywhere, give what looking at each line gives."""
	chance = random.Random(23)
	chain = ["During handling of the above exception, another exception occurred:", ""]
	node = ["Error: connect ECONNREFUSED 127.0.0.1:6379", "    at TCPConnectWrap.x (node:net:1:2)"]
	words = [
		"Message: here",
		"Arguments: ()",
		"Call stack:",
		"",
		"  indented",
		"ERROR stuck",
		"x.y.Exception: z",
		"CRITICAL",
	]
	plain = [
		'127.0.0.1 "GET / HTTP/1.1" 200',
		"INFO fine",
		"Terror",
		"an Error in a line",
		"no exception here",
	]
	for _ in range(400):
		lines: list[str] = []
		for _part in range(chance.randint(1, 12)):
			block = chance.choice(
				[logging_failure(), traceback("KeyError: k", APP), chain, node, words, plain]
			)
			some = block if chance.random() < 0.5 else chance.sample(block, chance.randint(1, len(block)))
			lines += some + [chance.choice(plain)] * chance.choice([0, 3, FORGOTTEN_AFTER_LINES + 1])
		reader, wanted = _Reader(), []
		for line in lines:
			if reader.is_busy or reports_error(line.encode()):
				wanted += reader.take(Origin.STABLE, line.encode())
		wanted += [*reader.end_line(), *reader.give_up()]
		cuts = sorted({0, len(lines), *(chance.randint(0, len(lines)) for _ in range(3))})
		blocks = ["\n".join(lines[start:end]) for start, end in pairwise(cuts)]
		assert read(blocks) == wanted
