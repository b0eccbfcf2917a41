"""Opening a reader, for as long as one moment is to be read.

Invariant: whatever opened it, the reader is closed with the `with` block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from press_deploy.engine.databases.losses.mariadb import MariaDBReader
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.losses.sqlite import SQLiteReader
from press_deploy.engine.databases.mariadb.server import Server


@contextmanager
def open_snapshot(server: Server | None, *files: str) -> Iterator[Reader]:
	"""A reader of this moment: of all databases of `server`, or of SQLite `files` where there is none.

	Opened behind closed doors it goes on seeing what was there when the site has been opened again.
	Raises `StepFailed`.
	"""
	with closing(MariaDBReader(server) if server else SQLiteReader(*files)) as reader:
		yield reader
