"""The worker: takes queued jobs from the sites' databases and calls the app's functions.

Invariant: a job that has begun is finished before the worker obeys SIGTERM, like rq's.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import traceback
import uuid

from press_deploy.demo import framework

POLL_SECONDS = 0.5


def main() -> int:
	"""Work until SIGTERM."""
	# It is kept waiting while a job is at work, and ends a pause at once.
	signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
	_give_up_interrupted()
	while signal.sigtimedwait({signal.SIGTERM}, 0 if _work_once() else POLL_SECONDS) is None:
		pass
	return 0


def _give_up_interrupted() -> None:
	"""A killed worker leaves its job marked as running, which it is not: there is but one worker."""
	for site in framework.list_sites():
		with framework.connect(site) as database, database:
			database.execute(
				"UPDATE jobs SET status = 'failed', result = 'interrupted' WHERE status = 'running'"
			)


def _work_once() -> bool:
	"""Do one job of any site, unless a run holds the worker; return whether there was one."""
	if framework.held_by():
		return False
	for site in framework.list_sites():
		try:
			with framework.connect(site) as database:
				job = _take(database)
				if job:
					_perform(database, *job)
					return True
		except (OSError, KeyError, ValueError, sqlite3.Error):
			# The database may be about to be restored, the configuration about to be written.
			traceback.print_exc()
	return False


def _take(database: sqlite3.Connection) -> tuple[int, str, str] | None:
	"""Mark the oldest queued job as running; return its id, function and arguments."""
	query = "SELECT id, function, arguments FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1"
	job = database.execute(query).fetchone()
	if job is None:
		return None
	taken = "UPDATE jobs SET status = 'running' WHERE id = ? AND status = 'queued'"
	with database:
		return job if database.execute(taken, job[:1]).rowcount else None


def _perform(database: sqlite3.Connection, number: int, function: str, arguments: str) -> None:
	try:
		call = getattr(framework.import_app("shop.jobs"), function)
		status, result = "done", json.dumps(call(database, **json.loads(arguments)))
	except Exception as error:
		status, result = "failed", f"{type(error).__name__}: {error}"
		_note_error(database, f"shop.jobs.{function}", traceback.format_exc())
	with database:
		database.execute("UPDATE jobs SET status = ?, result = ? WHERE id = ?", (status, result, number))


def _note_error(database: sqlite3.Connection, method: str, error: str) -> None:
	print(error, flush=True)
	created = time.strftime("%Y-%m-%d %H:%M:%S.000000")
	with database:
		row = (uuid.uuid4().hex[:10], created, method, error)
		database.execute(
			"INSERT INTO `tabError Log` (name, creation, method, error) VALUES (?, ?, ?, ?)", row
		)


if __name__ == "__main__":
	framework.leave(main())
