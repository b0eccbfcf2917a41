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
from collections.abc import Callable

from . import policy, protocol
from .audit import AuditLog, Caller
from .configuration import Configuration
from .errors import BadRequest, Busy, Denied, HelperError, OperationFailed
from .leases import LeaseWatcher
from .listener import open_listener
from .operations import Operations
from .protocol import read_credentials

REQUEST_SECONDS = 10.0
MAXIMUM_CONNECTIONS = 16
MAXIMUM_CONNECTIONS_PER_USER = 8
ACCEPT_POLL_SECONDS = 0.3
WATCH_SECONDS = 2.0


class Server:
	"""Serves the benches of a configuration until `stop` is called."""

	def __init__(self, configuration: Configuration, request_seconds: float = REQUEST_SECONDS):
		self._configuration = configuration
		self._request_seconds = request_seconds
		self._audit = AuditLog(configuration.audit_log)
		self._operations = {
			name: Operations(bench, os.path.join(configuration.state, name))
			for name, bench in configuration.benches.items()
		}
		self._connections: collections.Counter[int] = collections.Counter()
		self._threads: set[threading.Thread] = set()
		self._lock = threading.Lock()
		self._stopping = threading.Event()

	def serve(self) -> None:
		"""Serve; on return, requests under way are answered and the socket is gone. Raises HelperError."""
		with open_listener(self._configuration.socket, self._configuration.state) as listener:
			listener.settimeout(ACCEPT_POLL_SECONDS)
			self._start_background()
			while not self._stopping.is_set():
				try:
					connection, _ = listener.accept()
				except TimeoutError:
					continue
				except OSError as error:
					# As when file descriptors run out: others must finish before it gets better.
					print(f"accept failed: {error}", file=sys.stderr, flush=True)
					self._stopping.wait(ACCEPT_POLL_SECONDS)
					continue
				self._admit(connection)
			self._finish()

	def stop(self) -> None:
		"""Make `serve` return soon. May be called from a signal handler or another thread."""
		self._stopping.set()

	def _start_background(self) -> None:
		for name, operations in self._operations.items():
			try:
				operations.continue_restarts()
			except HelperError as error:
				# One bench's unreadable state must not keep the others from being served.
				print(f"{name}: {error}", file=sys.stderr, flush=True)
			watcher = operations.build_watcher(self._audited_resume(name, operations))
			threading.Thread(target=self._watch, args=(watcher,), daemon=True).start()

	def _audited_resume(self, name: str, operations: Operations) -> Callable[[str], None]:
		def resume(run: str) -> None:
			caller = Caller(os.geteuid(), os.getpid())
			with self._audit.attempt(caller, "resume_runner", name, {"run": run, "because": "lease expired"}):
				operations.resume_runner(run)

		return resume

	def _watch(self, watcher: LeaseWatcher) -> None:
		while not self._stopping.wait(WATCH_SECONDS):
			try:
				watcher.check()
			except Exception:
				# Whatever it is, the next look may succeed; a watcher that died would strand a site.
				traceback.print_exc()

	def _finish(self) -> None:
		with self._lock:
			unfinished = list(self._threads)
		for thread in unfinished:
			thread.join(self._request_seconds)
		for operations in self._operations.values():
			operations.close()

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
		if uid != 0 and uid not in {bench.uid for bench in self._configuration.benches.values()}:
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
			return policy.authorise(message, caller.uid, self._configuration.benches)
		except HelperError as error:
			self._audit.refuse(caller, message, error)
			raise

	def _perform(self, request: policy.Request, caller: Caller) -> dict:
		# The verb is a key of POLICY, so this reaches nothing but the methods named there.
		operation = getattr(self._operations[request.bench.name], request.verb)
		with self._audit.attempt(caller, request.verb, request.bench.name, request.arguments):
			return operation(**request.arguments)

	def _answer(self, connection: socket.socket, answer: dict) -> None:
		protocol.send(connection, answer, protocol.deadline_in(self._request_seconds))
