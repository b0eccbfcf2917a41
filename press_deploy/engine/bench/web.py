"""Asking a site over HTTP, each time on a fresh connection, as a new visitor would."""

from __future__ import annotations

import time
import zlib
from contextlib import closing
from functools import cache
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead, InvalidURL
from ssl import SSLContext, create_default_context
from urllib.parse import urlsplit

import certifi

from press_deploy.engine.bench.answer import (
	BROKEN,
	CLIENT_ERROR,
	GOOD,
	MAINTENANCE,
	REFUSED,
	SERVER_ERROR,
	TIMEOUT,
	Answer,
)
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.unix_socket import SCHEME, UnixConnection
from press_deploy.engine.plan.spec import PlanSpec

BODY_LIMIT = 1_000_000
# What zlib is told to expect: gzip's header, and its largest window.
GZIP = 16 + zlib.MAX_WBITS
HEADERS = {
	"Connection": "close",
	"Cache-Control": "no-cache",
	"Accept": "*/*",
	"Accept-Encoding": "gzip",
	"User-Agent": "press_deploy",
}


class Web:
	"""The addresses of a run's sites."""

	def __init__(self, bench: Bench, spec: PlanSpec):
		self._bench = bench
		self._public = {site.name: site.public_url for site in spec.sites}

	def ask(
		self,
		site: str,
		path: str = "/api/method/ping",
		*,
		address: str | None = None,
		public: bool = False,
		method: str = "GET",
		headers: dict[str, str] | None = None,
		timeout: float = 5.0,
	) -> Answer:
		"""Ask a site at its bench's web server, at its public address, or at another `address`."""
		base = address or (self._public.get(site) if public else None)
		named = {} if base and base == self._public.get(site) else {"Host": site, "X-Frappe-Site-Name": site}
		base = base or self._bench.web_address
		return fetch(f"{base}{path}", method, {**(headers or {}), **named}, timeout)


def fetch(
	url: str, method: str = "GET", headers: dict[str, str] | None = None, timeout: float = 5.0
) -> Answer:
	"""One request on a connection of its own; redirects are not followed. Never raises for the network."""
	begun, clock = time.time(), time.perf_counter()
	status, text, why = None, "", ""
	try:
		with closing(_connect(url, timeout)) as connection:
			connection.request(method, _target_of(url), headers={**HEADERS, **(headers or {})})
			with connection.getresponse() as response:
				text = _read_body(response, clock + timeout)
				status = response.status
				kind = _kind_of(status)
	except TimeoutError as error:
		kind, why = TIMEOUT, type(error).__name__
	except ConnectionRefusedError as error:
		kind, why = REFUSED, type(error).__name__
	except Exception as error:
		# A reset after the connection was made is another thing than nobody listening.
		kind, why = BROKEN, type(error).__name__
	return Answer(begun, status, kind, (time.perf_counter() - clock) * 1000, text, why)


def _connect(url: str, timeout: float) -> HTTPConnection:
	"""A connection to the server of an address, which is made with the first request."""
	if url.startswith(SCHEME):
		return UnixConnection(url, timeout)
	parts = urlsplit(url)
	if parts.scheme == "https":
		return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=_tls())
	if parts.scheme == "http":
		return HTTPConnection(parts.hostname, parts.port, timeout=timeout)
	raise InvalidURL(url)


def _target_of(url: str) -> str:
	"""What the server is asked for: path and query."""
	parts = urlsplit(url)
	return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@cache
def _tls() -> SSLContext:
	"""Reading the authorities takes longer than most answers."""
	return create_default_context(cafile=certifi.where())


def _read_body(response: HTTPResponse, deadline: float) -> str:
	"""The body, up to a limit. `timeout` watches over each read only: an answer that drips has to end too."""
	body = b""
	while len(body) < BODY_LIMIT and (part := response.read1(BODY_LIMIT)):
		body += part
		if time.perf_counter() > deadline:
			raise TimeoutError
	if len(body) < BODY_LIMIT and response.length:
		raise IncompleteRead(body, response.length)
	if response.getheader("Content-Encoding", "") == "gzip":
		body = zlib.decompressobj(GZIP).decompress(body, BODY_LIMIT)
	return body.decode("utf-8", "replace")


def _kind_of(status: int) -> str:
	if status == 503:
		return MAINTENANCE
	if status >= 500:
		return SERVER_ERROR
	return CLIENT_ERROR if status >= 400 else GOOD
