"""A connection to supervisord: XML-RPC over its unix socket.

Invariant: an answer is limited in size and each wait in time, since a supervisord may belong to the
bench's user; one that belongs to a third user is not spoken to at all.
"""

from __future__ import annotations

import http.client
import socket
import urllib.parse
import xml.parsers.expat
import xmlrpc.client

from .errors import NotFound, OperationFailed
from .protocol import read_credentials

TIMEOUT_SECONDS = 5.0
MAXIMUM_BYTES = 4 * 1024 * 1024
BROKEN = (OSError, http.client.HTTPException, xmlrpc.client.Error, xml.parsers.expat.ExpatError)
FAULTS = {"BAD_NAME": 10, "NOT_RUNNING": 70, "ALREADY_STARTED": 60}


class SupervisorConnection:
	"""Calls of one supervisord. `owners` are the user ids that it may run as."""

	def __init__(
		self,
		path: str,
		username: str | None = None,
		password: str | None = None,
		*,
		owners: set[int],
	):
		self._path = path
		self._owners = owners
		self._login = ""
		if username is not None:
			self._login = f"{urllib.parse.quote(username, '')}:{urllib.parse.quote(password or '', '')}@"

	def call(self, method: str, *arguments: object, accept: str | None = None) -> dict | list | bool:
		"""Call `supervisor.<method>`; the fault called `accept` counts as success.

		Raises NotFound for a name that supervisor does not know, OperationFailed for anything else.
		"""
		transport = _Transport(self._path, self._owners)
		what = f"Asking supervisor ({self._path}) for {method} {' '.join(map(str, arguments))}".rstrip()
		try:
			with xmlrpc.client.ServerProxy(f"http://{self._login}supervisor/RPC2", transport) as server:
				return getattr(server.supervisor, method)(*arguments)
		except xmlrpc.client.Fault as fault:
			if accept is not None and fault.faultCode == FAULTS[accept]:
				return True
			kind = NotFound if fault.faultCode == FAULTS["BAD_NAME"] else OperationFailed
			raise kind(f"{what} was refused: {fault.faultString}") from None
		except xmlrpc.client.ProtocolError as error:
			# Not the error's own text: it repeats the address, which holds the password.
			raise OperationFailed(f"{what} failed: HTTP {error.errcode} {error.errmsg}") from None
		except BROKEN as error:
			raise OperationFailed(f"{what} failed: {error}. Is supervisord running?") from None

	def find_owner(self) -> int:
		"""Return the user id that supervisord runs as, and its programs where they name none.

		Raises OperationFailed.
		"""
		connection = _Connection(self._path, self._owners)
		try:
			connection.connect()
			return read_credentials(connection.sock)[1]
		except OSError as error:
			raise OperationFailed(f"Asking whose supervisor ({self._path}) is failed: {error}.") from None
		finally:
			connection.close()


class _Transport(xmlrpc.client.Transport):
	"""XML-RPC's transport, led through a unix socket."""

	def __init__(self, path: str, owners: set[int]):
		super().__init__()
		self._path = path
		self._owners = owners

	accept_gzip_encoding = False
	# The inherited one asks a second time when the connection breaks, twice as long as was promised.
	request = xmlrpc.client.Transport.single_request

	def make_connection(self, host: object) -> http.client.HTTPConnection:
		_, self._extra_headers, _ = self.get_host_info(host)
		return _Connection(self._path, self._owners)

	def parse_response(self, response: http.client.HTTPResponse) -> object:
		content = response.read(MAXIMUM_BYTES + 1)
		response.close()
		if len(content) > MAXIMUM_BYTES:
			raise OperationFailed(f"Supervisor ({self._path}) answered with more than {MAXIMUM_BYTES} bytes.")
		parser, unmarshaller = self.getparser()
		parser.feed(content)
		parser.close()
		return unmarshaller.close()


class _Connection(http.client.HTTPConnection):
	def __init__(self, path: str, owners: set[int]):
		super().__init__("supervisor", timeout=TIMEOUT_SECONDS)
		self._path = path
		self._owners = owners

	def connect(self) -> None:
		self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.sock.settimeout(TIMEOUT_SECONDS)
		self.sock.connect(self._path)
		_, owner = read_credentials(self.sock)
		if owner not in self._owners:
			raise OperationFailed(
				f"The process behind {self._path} belongs to user id {owner}, which is neither root nor the "
				"bench's user. Stop it, and start supervisord."
			)
