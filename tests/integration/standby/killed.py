"""A process that does something to a standby, and is killed between two of its effects.

It is a fork of the process that tests: hundreds of kills take seconds.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

import pymysql.cursors

from press_deploy.engine.ground import durable

# They change nothing: a kill before them is one before the effect that follows.
_READING = ("SELECT", "SHOW", "USE", "SET", "CHECKSUM")


def kill_at(instant: int | None, act: Callable[[], Any]) -> bool:
	"""Do it in another process, which is killed before its effect number `instant`; False when it had fewer.

	Effects are statements that change something and notes that reach the disk. None kills nothing. The rest
	of what the process had asked the server to do may go on, as it would in a real crash.
	"""
	process = os.fork()
	if not process:
		_act(instant, act)
	_, status = os.waitpid(process, 0)
	ended = os.waitstatus_to_exitcode(status)
	assert ended in (0, -signal.SIGKILL), f"it ended with {ended}"
	return ended == -signal.SIGKILL


def _act(instant: int | None, act: Callable[[], Any]) -> None:
	try:
		if instant is not None:
			_arm(instant)
		act()
		os._exit(0)
	except BaseException:
		traceback.print_exc()
		os._exit(1)


def _arm(instant: int) -> None:
	left = [instant]

	def count() -> None:
		if left[0] == 0:
			os.kill(os.getpid(), signal.SIGKILL)
		left[0] -= 1

	execute, write_json = pymysql.cursors.Cursor.execute, durable.write_json

	def counted_execute(cursor: Any, query: Any, args: Any = None) -> int:
		text = query.decode("latin-1") if isinstance(query, bytes) else query
		if not text.startswith(_READING):
			count()
		return execute(cursor, query, args)

	def counted_write(*arguments: Any, **named: Any) -> None:
		count()
		write_json(*arguments, **named)

	pymysql.cursors.Cursor.execute = counted_execute  # type: ignore[method-assign]
	durable.write_json = counted_write
