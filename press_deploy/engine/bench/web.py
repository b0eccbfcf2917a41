"""Asking a site over HTTP, each time on a fresh connection, as a new visitor would."""

from __future__ import annotations

import time

import requests

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
from press_deploy.engine.ground.unix_socket import SCHEME, UnixSocketAdapter
from press_deploy.engine.plan.spec import PlanSpec

BODY_LIMIT = 1_000_000


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
		with requests.Session() as session:
			session.trust_env = False
			session.mount(SCHEME, UnixSocketAdapter())
			with session.request(
				method,
				url,
				headers={"Connection": "close", "Cache-Control": "no-cache", **(headers or {})},
				timeout=timeout,
				allow_redirects=False,
				stream=True,
			) as response:
				text = _read_body(response, clock + timeout)
				status = response.status_code
				kind = _kind_of(status)
	except requests.Timeout as error:
		kind, why = TIMEOUT, type(error).__name__
	except requests.ConnectionError as error:
		# A reset after the connection was made is another thing than nobody listening.
		kind = REFUSED if "refused" in str(error).lower() else BROKEN
		why = type(error).__name__
	except Exception as error:  # urllib3 lets a few of its own out of raw.read
		kind, why = BROKEN, type(error).__name__
	return Answer(begun, status, kind, (time.perf_counter() - clock) * 1000, text, why)


def _read_body(response: requests.Response, deadline: float) -> str:
	"""The body, up to a limit. `timeout` watches over each read only: an answer that drips has to end too."""
	body, read = b"", getattr(response.raw, "read1", response.raw.read)
	while len(body) < BODY_LIMIT and (part := read(BODY_LIMIT, decode_content=True)):
		body += part
		if time.perf_counter() > deadline:
			raise requests.Timeout
	return body.decode("utf-8", "replace")


def _kind_of(status: int) -> str:
	if status == 503:
		return MAINTENANCE
	if status >= 500:
		return SERVER_ERROR
	return CLIENT_ERROR if status >= 400 else GOOD
