"""HTTP over a unix socket, as an address like any other.

Invariant: a socket is reached however long its path is, although the kernel takes 107 bytes of one: it is named
by an open descriptor of its directory.
"""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

SCHEME = "http+unix://"


def address_of(path: Path) -> str:
	"""The address of the server that listens at `path`; a request's own path is added to it."""
	return f"{SCHEME}{quote(str(path), safe='')}"


def pool_for(url: str) -> HTTPConnectionPool:
	"""Connections to the server of such an address."""
	pool = HTTPConnectionPool("localhost")
	pool.ConnectionCls = partial(_UnixConnection, Path(unquote(urlsplit(url).netloc)))
	return pool


class _UnixConnection(HTTPConnection):
	def __init__(self, path: Path, *arguments, **options):
		self._path = path
		super().__init__(*arguments, **options)

	def _new_conn(self) -> socket.socket:
		connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		try:
			connection.settimeout(self.timeout)
			_connect(connection, self._path)
		except TimeoutError as error:
			connection.close()
			raise ConnectTimeoutError(self, f"nobody answered at {self._path}") from error
		except OSError as error:
			connection.close()
			# Without a socket there, it is as with a port at which nobody listens.
			why = "Connection refused" if isinstance(error, FileNotFoundError) else str(error)
			raise NewConnectionError(self, f"{self._path}: {why}") from error
		return connection


def _connect(connection: socket.socket, path: Path) -> None:
	directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
	try:
		connection.connect(f"/proc/self/fd/{directory}/{path.name}")
	finally:
		os.close(directory)
