"""Console checks: Python against the real site that leaves nothing behind, whatever it does.

Invariant: the transaction of a check is rolled back, also when the check commits, ends the process or
runs out of time. It sends no mail and queues no job.
"""

from __future__ import annotations

import io
import re
import signal
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from unittest import mock

import frappe
from rq import Queue

from press_deploy.site.engine import site_engine

OUTPUT_LIMIT = 10_000
_FILE_NAME = "<console check>"
_COMMENTS = re.compile(r"(\s+|/\*.*?\*/|--[^\n]*\n|#[^\n]*\n)*", re.DOTALL)
# Everything else can commit by itself in MariaDB; the start of a transaction does when something was written.
_HARMLESS_STATEMENTS = {
	"select", "insert", "update", "delete", "replace", "with", "show", "describe", "desc", "explain",
	"savepoint", "release", "rollback", "start", "begin", "pragma", "set", "values",
}  # fmt: skip
_WRITES = {"insert", "update", "delete", "replace", "with"}


class CheckTimedOut(BaseException):
	"""The check took too long. No `Exception`, so that the check's own `except Exception` doesn't eat it."""


class CommitRefused(Exception):
	"""A console check tried to make its changes permanent."""


def check_console(code: str, timeout_seconds: int = 60) -> dict:
	"""Execute Python with `frappe` and the site connected, then roll back.

	Returns {"passed": bool, "error": None or one line, "output": what was printed}.
	"""
	output, error = io.StringIO(), None
	frappe.db.rollback()
	try:
		with _nothing_stays(), redirect_stdout(output), _time_limit(timeout_seconds):
			exec(compile(code, _FILE_NAME, "exec"), {"__name__": "__console_check__", "frappe": frappe})
	except BaseException as raised:
		error = _explain(raised, code, timeout_seconds)
	finally:
		_roll_back()
	return {"passed": error is None, "error": error, "output": output.getvalue()[-OUTPUT_LIMIT:]}


@contextmanager
def _nothing_stays() -> Iterator[None]:
	database = type(frappe.local.db)
	query = database.sql

	def guarded_sql(self, statement, *arguments, **options):
		word = _first_word(str(statement))
		_refuse_commit(self, word, str(statement))
		if word in _WRITES:
			site_engine().sessions.stay_in_transaction(self, query)
		return query(self, statement, *arguments, **options)

	def refuse(*_arguments, **_options):
		raise CommitRefused(
			"a console check must not commit; take frappe.db.commit() out, it is rolled back anyway"
		)

	with ExitStack() as stack:
		stack.enter_context(mock.patch.object(database, "commit", refuse))
		stack.enter_context(mock.patch.object(database, "sql_ddl", refuse))
		stack.enter_context(mock.patch.object(database, "sql", guarded_sql))
		stack.enter_context(mock.patch.object(Queue, "enqueue_call", _pass_job_over))
		stack.enter_context(mock.patch.dict(frappe.flags, {"mute_emails": True}))
		yield


def _first_word(statement: str) -> str:
	return re.match(r"\w*", statement[_COMMENTS.match(statement).end() :])[0].lower()


def _refuse_commit(database, word: str, statement: str) -> None:
	begins = word in ("start", "begin") and database.transaction_writes
	implicit = begins and site_engine().sessions.BEGIN_COMMITS
	if word not in _HARMLESS_STATEMENTS or implicit or (word == "set" and "autocommit" in statement.lower()):
		raise CommitRefused(f"a console check must not commit, and “{word}” would; take it out")


def _pass_job_over(_queue, _function, **options) -> None:
	name = (options.get("kwargs") or {}).get("job_name") or "a job"
	print(f"(not queued, this is a check: {name})")


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
	def stop(_signal, _frame):
		raise CheckTimedOut

	previous = signal.signal(signal.SIGALRM, stop)
	signal.setitimer(signal.ITIMER_REAL, seconds)
	try:
		yield
	finally:
		signal.setitimer(signal.ITIMER_REAL, 0)
		signal.signal(signal.SIGALRM, previous)


def _roll_back() -> None:
	try:
		frappe.db.rollback()
	except BaseException:
		# The check broke the connection; closing it makes the database roll back.
		frappe.db.close()
		frappe.connect()
	frappe.set_user("Administrator")
	# What it cached was derived from records that are not there any more.
	frappe.clear_cache()


def _explain(error: BaseException, code: str, timeout_seconds: float) -> str:
	if isinstance(error, CheckTimedOut):
		return f"not finished after {timeout_seconds:g} s"
	if isinstance(error, SystemExit):
		return f"it called sys.exit({error.code!r})"
	lines = code.splitlines()
	frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE_NAME]
	number = frames[-1].lineno if frames else getattr(error, "lineno", None)
	where = f" (line {number}: {lines[number - 1].strip()})" if number and number <= len(lines) else ""
	return f"{type(error).__name__}: {error}".rstrip(": ") + where
