"""Asking a site over HTTP, each time on a fresh connection, as a new visitor would."""

from __future__ import annotations

import time
from functools import cache
from ssl import SSLContext
from urllib.parse import urlsplit, urlunsplit

import certifi
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, exceptions
from urllib3.util.ssl_ import create_urllib3_context

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
from press_deploy.engine.ground.unix_socket import SCHEME, pool_for
from press_deploy.engine.plan.spec import PlanSpec

BODY_LIMIT = 1_000_000
HEADERS = {
	"Connection": "close",
	"Cache-Control": "no-cache",
	"Accept": "*/*",
	"Accept-Encoding": "gzip, deflate",
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
		with _open(url) as pool:
			response = pool.urlopen(
				method,
				urlunsplit(("", "", *urlsplit(url)[2:4], "")) or "/",
				headers={**HEADERS, **(headers or {})},
				timeout=timeout,
				retries=False,
				redirect=False,
				preload_content=False,
			)
			text = _read_body(response, clock + timeout)
			status = response.status
			kind = _kind_of(status)
	except exceptions.NewConnectionError as error:  # before urllib3 2 this is a kind of timeout
		kind = REFUSED if "refused" in str(error).lower() else BROKEN
		why = type(error).__name__
	except exceptions.TimeoutError as error:
		kind, why = TIMEOUT, type(error).__name__
	except Exception as error:
		# A reset after the connection was made is another thing than nobody listening.
		kind, why = BROKEN, type(error).__name__
	return Answer(begun, status, kind, (time.perf_counter() - clock) * 1000, text, why)


def _open(url: str) -> HTTPConnectionPool:
	"""A pool for one connection to the server of an address, to be used as a context manager."""
	if url.startswith(SCHEME):
		return pool_for(url)
	parts = urlsplit(url)
	if parts.scheme == "https":
		return HTTPSConnectionPool(parts.hostname, parts.port, ssl_context=_tls())
	return HTTPConnectionPool(parts.hostname, parts.port)


@cache
def _tls() -> SSLContext:
	"""Reading the authorities takes longer than most answers."""
	context = create_urllib3_context()
	context.load_verify_locations(certifi.where())
	return context


def _read_body(response: HTTPResponse, deadline: float) -> str:
	"""The body, up to a limit. `timeout` watches over each read only: an answer that drips has to end too."""
	body, read = b"", getattr(response, "read1", response.read)
	while len(body) < BODY_LIMIT and (part := read(BODY_LIMIT, decode_content=True)):
		body += part
		if time.perf_counter() > deadline:
			raise exceptions.TimeoutError
	return body.decode("utf-8", "replace")


def _kind_of(status: int) -> str:
	if status == 503:
		return MAINTENANCE
	if status >= 500:
		return SERVER_ERROR
	return CLIENT_ERROR if status >= 400 else GOOD
