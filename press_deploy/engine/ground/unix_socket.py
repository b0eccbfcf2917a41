"""HTTP over a unix socket, as an address like any other.

Invariant: a socket is reached however long its path is, although the kernel takes 107 bytes of one: it is named
by an open descriptor of its directory.
"""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

SCHEME = "http+unix://"


def address_of(path: Path) -> str:
	"""The address of the server that listens at `path`; a request's own path is added to it."""
	return f"{SCHEME}{quote(str(path), safe='')}"


class UnixConnection(HTTPConnection):
	"""A connection to the server of such an address; without a socket there, it is as where nobody listens."""

	def __init__(self, url: str, timeout: float):
		super().__init__("localhost", timeout=timeout)
		self._path = Path(unquote(urlsplit(url).netloc))

	def connect(self) -> None:
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.sock.settimeout(self.timeout)
		try:
			_connect(self.sock, self._path)
		except FileNotFoundError as error:
			raise ConnectionRefusedError(f"there is no {self._path}") from error


def _connect(connection: socket.socket, path: Path) -> None:
	directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
	try:
		connection.connect(f"/proc/self/fd/{directory}/{path.name}")
	finally:
		os.close(directory)
