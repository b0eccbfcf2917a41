"""The daemon: accepts, identifies, authorises, performs, answers, logs.

Invariant: who calls is what the kernel says (SO_PEERCRED). Nothing is performed that `policy` has not
authorised, and nothing is read from a user who has no bench here. No caller can hold a connection
longer than REQUEST_SECONDS before its request is complete, nor take all of them.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import sys
import threading
import traceback

from . import policy, protocol
from .audit import AuditLog, Caller
from .configuration import Configuration, ConfigurationFile
from .errors import BadRequest, Busy, Denied, HelperError, OperationFailed
from .listener import open_listener
from .protocol import read_credentials
from .served_benches import ServedBenches

REQUEST_SECONDS = 10.0
MAXIMUM_CONNECTIONS = 16
MAXIMUM_CONNECTIONS_PER_USER = 8
ACCEPT_POLL_SECONDS = 0.3


class Server:
	"""Serves the benches of a configuration until `stop` is called; of a file, whatever it says by then."""

	def __init__(
		self,
		configuration: Configuration,
		request_seconds: float = REQUEST_SECONDS,
		file: ConfigurationFile | None = None,
	):
		self._socket, self._state = configuration.socket, configuration.state
		self._request_seconds = request_seconds
		self._file = file
		self._audit = AuditLog(configuration.audit_log)
		self._benches = ServedBenches(configuration, self._audit)
		self._connections: collections.Counter[int] = collections.Counter()
		self._threads: set[threading.Thread] = set()
		self._lock = threading.Lock()
		self._stopping = threading.Event()

	def serve(self) -> None:
		"""Serve; on return, requests under way are answered and the socket is gone. Raises HelperError."""
		with open_listener(self._socket, self._state) as listener:
			listener.settimeout(ACCEPT_POLL_SECONDS)
			self._benches.start()
			while not self._stopping.is_set():
				connection = self._accept(listener)
				# Whoever has changed the file and then asks is answered by what it says now.
				self._heed_configuration()
				if connection:
					self._admit(connection)
				else:
					self._audit.sum_up()
			self._finish()

	def _accept(self, listener: socket.socket) -> socket.socket | None:
		try:
			return listener.accept()[0]
		except TimeoutError:
			return None
		except OSError as error:
			# As when file descriptors run out: others must finish before it gets better.
			print(f"accept failed: {error}", file=sys.stderr, flush=True)
			self._stopping.wait(ACCEPT_POLL_SECONDS)
			return None

	def stop(self) -> None:
		"""Make `serve` return soon. May be called from a signal handler or another thread."""
		self._stopping.set()

	def _heed_configuration(self) -> None:
		"""Take over what the file says by now. One that is wrong changes nothing, and is said to be."""
		ourselves = Caller(os.geteuid(), os.getpid())
		try:
			configuration = self._file.read_if_changed() if self._file else None
			if configuration:
				changed = self._benches.apply(configuration)
				self._audit.note(ourselves, "configuration", ok=True, changed=changed)
		except HelperError as error:
			self._audit.note(ourselves, "configuration", ok=False, error=error.to_wire())
			print(f"still served as before: {error}", file=sys.stderr, flush=True)

	def _finish(self) -> None:
		with self._lock:
			unfinished = list(self._threads)
		for thread in unfinished:
			thread.join(self._request_seconds)
		self._benches.close()
		self._audit.sum_up(everything=True)

	def _admit(self, connection: socket.socket) -> None:
		"""Give a connection a thread of its own, or turn it away without reading a byte."""
		pid, uid = read_credentials(connection)
		caller = Caller(uid, pid)
		try:
			self._require_user(uid)
			self._start_thread(connection, caller)
		except HelperError as error:
			self._audit.refuse(caller, None, error)
			with connection, contextlib.suppress(OSError):
				self._answer(connection, {"ok": False, "error": error.to_wire()})

	def _require_user(self, uid: int) -> None:
		if uid != 0 and uid not in {bench.uid for bench in self._benches.configuration.benches.values()}:
			raise Denied(f"User id {uid} has no bench here. Call as the user of a bench that is served.")

	def _start_thread(self, connection: socket.socket, caller: Caller) -> None:
		thread = threading.Thread(target=self._serve_connection, args=(connection, caller), daemon=True)
		with self._lock:
			own = self._connections[caller.uid]
			if len(self._threads) >= MAXIMUM_CONNECTIONS or own >= MAXIMUM_CONNECTIONS_PER_USER:
				raise Busy("The helper serves as many requests at a time as it will. Try again in seconds.")
			try:
				thread.start()
			except RuntimeError as error:
				raise Busy(f"The helper has no room for another request ({error}). Try again.") from error
			self._connections[caller.uid] += 1
			self._threads.add(thread)

	def _serve_connection(self, connection: socket.socket, caller: Caller) -> None:
		with connection:
			try:
				with contextlib.suppress(OSError):
					self._answer(connection, self._build_answer(connection, caller))
			finally:
				# Before the connection is closed: a caller who sees the end may come back at once.
				with self._lock:
					self._connections[caller.uid] -= 1
					self._threads.discard(threading.current_thread())

	def _build_answer(self, connection: socket.socket, caller: Caller) -> dict:
		try:
			answer = {"ok": True, "result": self._perform(self._read_request(connection, caller), caller)}
			protocol.encode(answer)
			return answer
		except HelperError as error:
			return {"ok": False, "error": error.to_wire()}
		except Exception:
			traceback.print_exc()
			unforeseen = OperationFailed("The helper failed unexpectedly. See the log of its service.")
			return {"ok": False, "error": unforeseen.to_wire()}

	def _read_request(self, connection: socket.socket, caller: Caller) -> policy.Request:
		message = None
		try:
			try:
				message = protocol.receive(connection, protocol.deadline_in(self._request_seconds))
			except OSError as error:
				limit = self._request_seconds
				raise BadRequest(f"No complete request came within {limit:.0f} s: {error}.") from None
			return policy.authorise(message, caller.uid, self._benches.configuration.benches)
		except HelperError as error:
			self._audit.refuse(caller, message, error)
			raise

	def _perform(self, request: policy.Request, caller: Caller) -> dict:
		operations = self._benches.find(request.bench)
		# The verb is a key of POLICY, so this reaches nothing but the methods named there.
		operation = getattr(operations, request.verb)
		about_caller = {"pid": caller.pid} if policy.POLICY[request.verb].takes_caller else {}
		try:
			with self._audit.attempt(caller, request.verb, request.bench.name, request.arguments):
				return operation(**request.arguments, **about_caller)
		finally:
			self._benches.settle(operations)

	def _answer(self, connection: socket.socket, answer: dict) -> None:
		protocol.send(connection, answer, protocol.deadline_in(self._request_seconds))
