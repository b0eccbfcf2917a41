"""One MariaDB server and one account on it: connections, and its client programs.

Invariant: the password is in no argument, no environment and no file on a disk. Programs read it from a
file in memory that only they are handed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from press_deploy.engine.ground.errors import InputError

CONNECT_SECONDS = 10
# A session waits while a client program loads a database; a server's limit for web requests is not for it.
SILENT_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Server:
	"""Where a server is, and who asks. `socket` wins over host and port."""

	user: str
	password: str = field(repr=False, default="")
	host: str = "127.0.0.1"
	port: int = 3306
	socket: str | None = None

	@classmethod
	def of_site(cls, config: dict[str, Any]) -> Server:
		"""The server of a site, asked as the site's own user; `config` is the site's merged configuration."""
		return cls(
			config.get("db_user") or config["db_name"],
			config.get("db_password") or "",
			config.get("db_host") or "127.0.0.1",
			int(config.get("db_port") or 3306),
			config.get("db_socket") or None,
		)

	def as_user(self, user: str, password: str) -> Server:
		"""The same server, asked by somebody else."""
		return replace(self, user=user, password=password)

	def connect(self, database: str | None = None, *, read_seconds: float = 7200) -> pymysql.Connection:
		"""A connection that commits by itself. Raises `pymysql.Error`."""
		address: dict[str, Any] = {"host": self.host, "port": self.port}
		if self.socket:
			# Nobody can listen to a socket of this machine; reading all certificates for it takes 24 ms.
			address = {"unix_socket": self.socket, "ssl_disabled": True}
		return pymysql.connect(
			user=self.user,
			password=self.password,
			database=database,
			charset="utf8mb4",
			connect_timeout=CONNECT_SECONDS,
			read_timeout=read_seconds,
			write_timeout=read_seconds,
			autocommit=True,
			init_command=f"SET SESSION wait_timeout = {SILENT_SECONDS}",
			**address,
		)

	@contextmanager
	def session(self, database: str | None = None) -> Iterator[pymysql.cursors.Cursor]:
		"""A cursor on a connection that is closed afterwards. Raises `pymysql.Error`."""
		connection = self.connect(database)
		try:
			with connection.cursor() as cursor:
				yield cursor
		finally:
			try:
				connection.close()
			except pymysql.Error:
				# It was lost, and what was done over it has said so.
				pass

	@contextmanager
	def option_file(self) -> Iterator[int]:
		"""A file in memory with what client programs need to log in; yields its descriptor.

		Pass it on (`pass_fds`), and name it first among the arguments: see `client_command`.
		"""
		options = {"user": self.user, "password": self.password}
		if self.socket:
			options["socket"] = self.socket
		else:
			options |= {"host": self.host, "port": str(self.port), "protocol": "tcp"}
		lines = "".join(f"{name}={_quote_option(value)}\n" for name, value in options.items())
		descriptor = os.memfd_create("press-deploy-options")
		try:
			# The programs ignore a file that others may write to.
			os.fchmod(descriptor, 0o600)
			os.write(descriptor, f"[client]\n{lines}".encode())
			yield descriptor
		finally:
			os.close(descriptor)


def client_command(program: str, options: int, *arguments: str) -> list[str]:
	"""The argument list of a client program that reads the option file with this descriptor, and no other."""
	return [program, f"--defaults-file=/proc/self/fd/{options}", *arguments]


def parse_database_url(url: str) -> tuple[Server, str | None]:
	"""Read `mysql://user:password@host:port/database` or `…?socket=/path`. Raises `InputError`."""
	parts = urlsplit(url)
	shown = url.replace(f":{parts.password}@", ":(not shown)@") if parts.password else url
	remedy = "write mysql://USER:PASSWORD@HOST:PORT/DATABASE, or mysql://USER@/?socket=PATH"
	if parts.scheme not in ("mysql", "mariadb") or not parts.username:
		raise InputError("database-url", shown, "it is not the address of a MariaDB server", remedy)
	try:
		port = parts.port or 3306
	except ValueError:
		raise InputError("database-url", shown, "its port is no number", remedy) from None
	socket = unquote(parts.query.removeprefix("socket=")) if parts.query.startswith("socket=") else None
	server = Server(
		unquote(parts.username), unquote(parts.password or ""), parts.hostname or "127.0.0.1", port, socket
	)
	return server, unquote(parts.path.lstrip("/")) or None


def quote(name: str) -> str:
	"""A database's or table's name as it stands in a statement."""
	return f"`{name.replace('`', '``')}`"


def _quote_option(value: str) -> str:
	escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
	return f'"{escaped}"'
