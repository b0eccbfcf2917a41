"""Never fill the disk of a server that is in use: MariaDB may abort on a full disk, with every site on it.

Seen with 10.11: InnoDB that runs out of disk space while it rolls a load back ends the whole server.

Invariant: where the server's disk can be seen from here, a load is ended before the reserve is touched.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.progress import show_size

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# What stays free: a share of the disk, and of a large disk no more than this.
RESERVED_SHARE, RESERVED_BYTES = 0.05, 1 << 30


class DiskWatch:
	"""The disks that a load into `database` fills: of its files, of the server, and of its temporary files."""

	def __init__(self, server: Server, database: str):
		self._directories = _find_directories(server, database)

	def check(self, doing: str, what: str) -> None:
		"""Raise `StepFailed` when less is free than the reserve; cheap enough to ask many times a second."""
		for directory in self._directories:
			try:
				disk = os.statvfs(directory)
			except OSError:
				# It is not there any more, or can't be seen: the server itself says what it lacks.
				continue
			free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
			reserve = min(RESERVED_BYTES, size * RESERVED_SHARE)
			if free < reserve:
				raise StepFailed(
					doing,
					what,
					f"only {show_size(free)} are free on the server's disk ({directory}); it was stopped before the "
					f"disk is full, because a server without space may end ({show_size(reserve)} stay in reserve)",
					"free space there, then try again",
				)


def _find_directories(server: Server, database: str) -> list[Path]:
	"""None where the server is on another host, or can't be asked: what it lacks it says itself."""
	try:
		with server.session() as cursor:
			cursor.execute(
				"SELECT @@datadir, @@tmpdir, @@hostname, CAST(CONVERT(%s USING filename) AS BINARY)",
				(database,),
			)
			return _choose(server, *cursor.fetchone())
	except (pymysql.Error, OSError):
		return []


def _choose(server: Server, data: str, temporary: str, host: str, database: Any) -> list[Path]:
	if not (server.socket or server.host in LOCAL_HOSTS) or host != socket.gethostname():
		return []
	# A database may be a disk of its own.
	own = Path(data) / bytes(database).decode("ascii", "replace")
	return [path for path in (own, Path(data), *map(Path, temporary.split(":"))) if path.is_dir()]
